"""kubectl's discovery files, read and written."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cache_snapshots import NOW_S, SERVER, resource, snapshot, snapshots
from kubelag.kube.cache.examine import is_safe_name, parse_groups, parse_resources
from kubelag.kube.cache.place import Place
from kubelag.kube.cache.tree import MISSING, Reading, files, read_tree
from kubelag.kube.discovery.snapshot import Group, GroupVersion, Snapshot


def write(host: Path, wanted: Snapshot, modified_s: float = NOW_S) -> None:
    for directory, name, content in files(wanted):
        path = host / directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o660)
        os.utime(path, (modified_s, modified_s))


def flaws(reading: Reading, host: Path) -> dict[str, str]:
    return {str(Path(each.path).relative_to(host)): each.problem for each in reading.flaws}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(wanted=snapshots())
def test_what_kubectl_would_keep_comes_back(
    wanted: Snapshot, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("cache")
    host = root / "discovery" / "h"
    write(host, wanted)
    found = read_tree(
        Place(root=str(root), relative="h", server=SERVER, uid=os.geteuid()), NOW_S
    ).snapshot
    assert found is not None
    assert found.groups == wanted.groups
    assert list(found.group_versions) == list(wanted.group_versions)
    for name, each in wanted.group_versions.items():
        if each.state == "ok":
            assert found.group_versions[name] == each
        else:
            assert found.group_versions[name].why == MISSING
    assert (found.source, found.fetched_s) == ("kubectl", NOW_S)


def test_the_files_are_those_that_kubectl_writes() -> None:
    known = {
        "v1": GroupVersion(name="v1", resources=(resource("pods"),)),
        "g/v1": GroupVersion(name="g/v1", state="empty"),
        "g/v2": GroupVersion(name="g/v2", state="failed", resources=(resource("olds"),)),
    }
    groups = (
        Group(name="", versions=("v1",), preferred="v1"),
        Group(name="g", versions=("v1", "v2"), preferred="v2"),
        Group(name="down", versions=(), preferred=""),
    )
    written = list(files(snapshot(groups=1).but(groups=groups, group_versions=known)))
    assert [(directory, name) for directory, name, _ in written] == [
        ("v1", "serverresources.json"),
        ("", "servergroups.json"),
    ]
    assert json.loads(written[0][2]) == {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": "v1",
        "resources": [resource("pods")],
    }
    assert json.loads(written[1][2])["groups"] == [
        {
            "name": "",
            "versions": [{"groupVersion": "v1", "version": "v1"}],
            "preferredVersion": {"groupVersion": "v1", "version": "v1"},
        },
        {
            "name": "g",
            "versions": [
                {"groupVersion": "g/v1", "version": "v1"},
                {"groupVersion": "g/v2", "version": "v2"},
            ],
            "preferredVersion": {"groupVersion": "g/v2", "version": "v2"},
        },
        {
            "name": "down",
            "versions": None,
            "preferredVersion": {"groupVersion": "", "version": ""},
        },
    ]


def _replace_with_link(path: Path) -> None:
    path.rename(path.with_name("real.json"))
    path.symlink_to("real.json")


def _replace_with_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "zero-length": lambda path: os.truncate(path, 0),
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "NUL-filled": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "undecodable": lambda path: path.write_text('{"kind":}'),
    "wrong kind": lambda path: path.write_text('{"kind":"Status","apiVersion":"v1"}'),
    "future mtime": lambda path: os.utime(path, (NOW_S + 61, NOW_S + 61)),
    "writable by others": lambda path: path.chmod(0o662),
    "symlink": _replace_with_link,
    "not a regular file": _replace_with_directory,
    "missing": lambda path: path.unlink(),
}


def damage(path: Path, problem: str) -> None:
    DAMAGES[problem](path)
    if path.is_file() and not path.is_symlink() and problem != "future mtime":
        os.utime(path, (NOW_S, NOW_S))


@pytest.mark.parametrize("problem", DAMAGES)
def test_what_is_wrong_with_one_file_is_told_and_only_that_is_missing(
    problem: str, host: Path, place: Place
) -> None:
    wanted = snapshot()
    write(host, wanted)
    damage(host / "g1.example.com/v1/serverresources.json", problem)
    reading = read_tree(place, NOW_S)
    assert flaws(reading, host) == {"g1.example.com/v1/serverresources.json": problem}
    assert reading.snapshot is not None
    found = dict(reading.snapshot.group_versions)
    bad = found.pop("g1.example.com/v1")
    assert (bad.state, bad.until_s, bad.resources) == ("failed", 0.0, ())
    assert (problem in bad.why) or bad.why == MISSING
    assert found == {
        name: each for name, each in wanted.group_versions.items() if name != "g1.example.com/v1"
    }


@pytest.mark.parametrize("problem", DAMAGES)
def test_without_a_list_of_groups_there_is_nothing(problem: str, host: Path, place: Place) -> None:
    write(host, snapshot())
    damage(host / "servergroups.json", problem)
    reading = read_tree(place, NOW_S)
    assert reading.snapshot is None
    assert flaws(reading, host) == {"servergroups.json": problem}


def test_a_list_of_another_group_version_is_of_the_wrong_kind(host: Path, place: Place) -> None:
    write(host, snapshot())
    (host / "g1.example.com/v1").rename(host / "g2.example.com/v2")
    (host / "g2.example.com/v1").rename(host / "g1.example.com/v1")
    reading = read_tree(place, NOW_S)
    assert flaws(reading, host)["g1.example.com/v1/serverresources.json"] == "wrong kind"


def test_another_users_file_is_not_believed(host: Path, place: Place) -> None:
    write(host, snapshot())
    reading = read_tree(place.but(uid=place.uid + 1), NOW_S)
    assert reading.snapshot is None
    assert flaws(reading, host) == {"servergroups.json": "foreign owner"}


def test_what_has_expired_is_used_and_its_age_is_that_of_the_oldest(
    host: Path, place: Place
) -> None:
    write(host, snapshot())
    old = host / "v1" / "serverresources.json"
    os.utime(old, (NOW_S - 22_000, NOW_S - 22_000))
    reading = read_tree(place, NOW_S)
    assert reading.snapshot is not None
    assert reading.snapshot.fetched_s == NOW_S - 22_000
    assert flaws(reading, host) == {"v1/serverresources.json": "expired"}
    assert reading.snapshot.group_versions["v1"].state == "ok"


def test_a_list_that_is_empty_and_whole_is_an_empty_group_version(host: Path, place: Place) -> None:
    write(host, snapshot())
    (host / "v1/serverresources.json").write_text(
        '{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"v1","resources":null}'
    )
    os.utime(host / "v1/serverresources.json", (NOW_S, NOW_S))
    reading = read_tree(place, NOW_S)
    assert reading.snapshot is not None
    assert reading.snapshot.group_versions["v1"].state == "empty"


def test_a_directory_that_is_a_link_is_not_followed(host: Path, place: Place) -> None:
    write(host, snapshot())
    (host / "g1.example.com").rename(host / "elsewhere")
    (host / "g1.example.com").symlink_to("elsewhere")
    reading = read_tree(place, NOW_S)
    assert flaws(reading, host)["g1.example.com/v1/serverresources.json"] == "unreadable"


def test_no_cache_is_one_flaw(place: Place, host: Path) -> None:
    reading = read_tree(place, NOW_S)
    assert (reading.snapshot, flaws(reading, host)) == (None, {".": "missing"})


@pytest.mark.parametrize(
    "name", ["..", "../..", "a/../b", "a/b/c", "/v1", "", "a//b", "a/.", "é/v1"]
)
def test_a_servers_word_does_not_lead_out_of_the_cache(name: str, host: Path, place: Place) -> None:
    assert not is_safe_name(name)
    evil = GroupVersion(name=name, resources=(resource("pods"),))
    directories = [each for each, _, _ in files(snapshot(1, group_versions={name: evil}))]
    assert directories == [""]
    group = {"name": "", "versions": [{"groupVersion": name, "version": name}]}
    host.mkdir(parents=True)
    (host / "servergroups.json").write_text(json.dumps({"kind": "APIGroupList", "groups": [group]}))
    found = read_tree(place, NOW_S + 1e9).snapshot
    assert found is not None
    assert found.group_versions[name].state == "failed"


@given(st.binary(max_size=60), st.sampled_from(["APIGroupList", "APIResourceList"]))
def test_arbitrary_bytes_never_raise(data: bytes, kind: str) -> None:
    opening = f'{{"kind":"{kind}","groupVersion":"v1","'.encode()
    for content in (data, opening + data, opening + b'groups":[' + data + b"]}"):
        for document, problem in (parse_groups(content), parse_resources(content, "v1")):
            assert (document is None) != (problem is None)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "versions", "version", "kind"]), inner)
    ),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(json_values, json_values)
def test_json_of_any_shape_never_raises(
    tmp_path_factory: pytest.TempPathFactory, groups: object, resources: object
) -> None:
    root = tmp_path_factory.mktemp("cache")
    host = root / "discovery" / "h"
    write(host, snapshot(1))
    for name, key, value in (
        ("v1/serverresources.json", "resources", resources),
        ("servergroups.json", "groups", groups),
    ):
        document = json.loads((host / name).read_text())
        (host / name).write_text(json.dumps(document | {key: value}))
        read_tree(Place(root=str(root), relative="h", server=SERVER, uid=os.geteuid()), 2e9)
