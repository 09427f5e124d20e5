"""Our own file says what it was told, or nothing."""

import json

from hypothesis import given
from hypothesis import strategies as st

from cache_snapshots import resource, snapshot, snapshots
from kubelag.kube.cache import sealed
from kubelag.kube.cache.pack import (
    FORMAT_VERSION,
    decode,
    decode_both,
    decode_index,
    encode,
    this_boot,
)
from kubelag.kube.discovery.snapshot import GroupVersion, Snapshot

stamps = st.none() | st.tuples(st.integers(0, 2**63), st.integers(0), st.integers(0, 2**64))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(snapshots(), stamps)
def test_a_snapshot_comes_back_as_it_was(
    wanted: Snapshot, stamp: tuple[int, int, int] | None
) -> None:
    both = decode_both(encode(wanted, stamp=stamp, boot_id="b"))
    assert both is not None
    index, found = both
    assert found == wanted
    assert list(found.group_versions) == list(wanted.group_versions)
    assert (index.stamp, index.boot_id, index.server) == (stamp, "b", wanted.server)


@given(snapshots())
def test_the_index_has_a_row_for_each_resource_that_is_no_subresource(wanted: Snapshot) -> None:
    index = decode_index(encode(wanted))
    assert index is not None
    assert [tuple(row) for row in index.rows] == [
        (
            *(each.name, found["name"], found["singularName"], found["kind"], found["namespaced"]),
            *(found["shortNames"], found["categories"]),
        )
        for each in wanted.group_versions.values()
        for found in each.resources
        if "/" not in found["name"]
    ]
    assert (index.groups, index.etags, index.source) == (
        wanted.groups,
        wanted.etags,
        wanted.source,
    )


def test_the_index_tells_of_every_group_version_that_is_not_well() -> None:
    off = GroupVersion(
        name="g1.example.com/v1", state="stale", until_s=5.0, why="HTTP 503", resources=()
    )
    known = dict(snapshot().group_versions) | {off.name: off}
    index = decode_index(encode(snapshot(group_versions=known)))
    assert index is not None
    assert index.not_ok == {off.name: off}


def test_what_a_server_leaves_out_has_its_plain_value() -> None:
    bare = GroupVersion(name="v1", resources=({"name": "things", "kind": "Thing"},))
    index = decode_index(encode(snapshot(1, group_versions={"v1": bare})))
    assert index is not None
    assert index.rows == (["v1", "things", "", "Thing", False, [], []],)


@given(snapshots(), st.data())
def test_a_flipped_bit_is_a_miss(wanted: Snapshot, at: st.DataObject) -> None:
    data = bytearray(encode(wanted))
    data[at.draw(st.integers(0, len(data) - 1))] ^= 1 << at.draw(st.integers(0, 7))
    assert decode(bytes(data)) is None


@given(json_values, json_values)
def test_sealed_json_of_any_other_shape_is_a_miss_and_no_error(
    first: object, second: object
) -> None:
    data = sealed.seal(FORMAT_VERSION, json.dumps(first).encode(), json.dumps(second).encode())
    assert decode_index(data) is None
    assert decode(data) is None


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_sealed_bytes_that_are_no_json_are_a_miss(first: bytes, second: bytes) -> None:
    assert decode(sealed.seal(FORMAT_VERSION, first, second)) is None
    good = sealed.open_first(encode(snapshot()), FORMAT_VERSION)
    assert good is not None
    assert decode(sealed.seal(FORMAT_VERSION, good, b"\xff" + second)) is None


def test_the_index_needs_nothing_of_the_second_section() -> None:
    wanted = snapshot(group_versions={"v1": GroupVersion(name="v1", resources=(resource("x"),))})
    data = encode(wanted)
    end = sealed.first_end(data, FORMAT_VERSION)
    assert end is not None
    first = sealed.open_first(data[:end], FORMAT_VERSION, len(data))
    assert first is not None
    assert json.loads(first)["rows"][0][1] == "x"


def test_the_boot_has_an_id() -> None:
    assert this_boot() == this_boot()
    assert len(this_boot()) in {0, 36}
