"""The cache as the client sees it."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from cache_snapshots import NOW_S, SERVER, resource, snapshot
from kubelag.kube.cache import pack
from kubelag.kube.cache.store import Store
from kubelag.kube.cache.tree import MISSING, files
from kubelag.kube.discovery.snapshot import FRESH_S, GroupVersion, Snapshot

MakeStore = Callable[..., Store]


def save(store: Store, wanted: Snapshot) -> None:
    store.save(wanted)
    store.flush()
    assert store.troubles == []


def kubectl_writes(host: Path, wanted: Snapshot, at_s: float) -> None:
    """As kubectl does: a new file in the place of the old."""
    for directory, name, content in files(wanted):
        path = host / directory / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        path.chmod(0o660)
        os.utime(path, (at_s, at_s))


def test_nothing_is_there_at_first(make_store: MakeStore, root: Path) -> None:
    store = make_store()
    assert store.index() is None
    assert store.snapshot() is None
    assert not store.is_unknown("things")
    assert not root.exists()


def test_what_was_saved_is_found(make_store: MakeStore) -> None:
    wanted = snapshot(etags={"/apis": "E"}, source="v2")
    save(make_store(), wanted)
    store = make_store()
    index = store.index()
    assert index is not None
    assert index.rows[0][:2] == ["v1", "things"]
    assert (index.fetched_s, index.etags) == (NOW_S, {"/apis": "E"})
    assert store.snapshot() == wanted
    assert not store.needs_sweep()


def test_modes_and_times_are_kubectls(make_store: MakeStore, root: Path, host: Path) -> None:
    save(make_store(at_s=NOW_S + 5), snapshot())
    for path in [root, *root.rglob("*")]:
        found = path.stat()
        if path.is_dir():
            assert stat.S_IMODE(found.st_mode) == 0o750
        elif path.name.startswith("kubelag"):
            assert stat.S_IMODE(found.st_mode) == 0o600
        else:
            assert (stat.S_IMODE(found.st_mode), found.st_mtime) == (0o660, NOW_S)
    assert sorted(path.name for path in host.iterdir() if path.is_file()) == [
        "kubelag.lock",
        "kubelag.v1",
        "servergroups.json",
    ]


def test_another_server_with_the_same_directory_is_not_this_one(
    make_store: MakeStore, root: Path
) -> None:
    save(make_store(), snapshot())
    other = Store(str(root), SERVER.replace("https", "http"), now=lambda: NOW_S)
    assert other.host == make_store().host
    assert other.index() is None


def test_what_kubectl_wrote_since_is_taken_over(make_store: MakeStore, host: Path) -> None:
    save(make_store(), snapshot())
    newer = snapshot(4)
    kubectl_writes(host, newer, NOW_S + 100)
    store = make_store(at_s=NOW_S + 200)
    assert store.index() is None
    found = store.snapshot()
    assert found is not None
    assert (found.source, found.fetched_s, found.etags) == ("kubectl", NOW_S + 100, {})
    assert (found.groups, found.group_versions) == (newer.groups, newer.group_versions)
    before = {path: path.stat() for path in host.rglob("server*.json")}
    save(store, found)
    assert {path: path.stat() for path in host.rglob("server*.json")} == before
    index = make_store(at_s=NOW_S + 200).index()
    assert index is not None
    assert index.source == "kubectl"


def test_what_only_we_know_survives_taking_over(make_store: MakeStore, host: Path) -> None:
    known = dict(snapshot().group_versions)
    empty = GroupVersion(name="g1.example.com/v1", state="empty")
    down = GroupVersion(
        name="g1.example.com/v1beta1",
        state="stale",
        until_s=NOW_S + 30,
        why="HTTP 503",
        resources=(resource("olds"),),
    )
    known |= {empty.name: empty, down.name: down}
    save(make_store(), snapshot(group_versions=known))
    kubectl_writes(host, snapshot(group_versions=known), NOW_S + 1)
    (host / "v1/serverresources.json").write_bytes(b"")
    (host / "g2.example.com/v1/serverresources.json").unlink()
    found = make_store(at_s=NOW_S + 2).snapshot()
    assert found is not None
    assert found.group_versions[empty.name] == empty
    assert found.group_versions[down.name] == down
    damaged = found.group_versions["v1"]
    assert (damaged.state, damaged.until_s) == ("failed", 0.0)
    assert "zero-length" in damaged.why
    assert damaged.resources == known["v1"].resources
    assert found.group_versions["g2.example.com/v1"].why == MISSING


def test_older_files_of_kubectls_do_not_replace_ours(make_store: MakeStore, host: Path) -> None:
    save(make_store(), snapshot())
    kubectl_writes(host, snapshot(2), NOW_S - 100)
    store = make_store()
    assert store.index() is None
    assert store.snapshot() == snapshot()


def test_kubectls_tree_stands_in_for_a_damaged_file_of_ours(
    make_store: MakeStore, host: Path
) -> None:
    save(make_store(), snapshot())
    path = host / "kubelag.v1"
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    store = make_store()
    assert store.index() is None
    found = store.snapshot()
    assert found is not None
    assert (found.source, found.group_versions) == ("kubectl", snapshot().group_versions)


def test_ours_stands_in_for_a_tree_that_is_gone(make_store: MakeStore, host: Path) -> None:
    save(make_store(), snapshot())
    (host / "servergroups.json").unlink()
    assert make_store().index() is None
    assert make_store().snapshot() == snapshot()


def test_an_unchanged_file_only_has_its_life_renewed(make_store: MakeStore, host: Path) -> None:
    save(make_store(), snapshot())
    inodes = {path: path.stat().st_ino for path in host.rglob("server*.json")}
    known = dict(snapshot().group_versions)
    changed = "g1.example.com/v1"
    known[changed] = known[changed].but(resources=(resource("others"),))
    save(make_store(), snapshot(fetched_s=NOW_S + 50, group_versions=known))
    save(make_store(at_s=NOW_S + 60), snapshot(fetched_s=NOW_S + 50, group_versions=known))
    for path, inode in inodes.items():
        assert path.stat().st_mtime == NOW_S + 50
        assert (path.stat().st_ino == inode) == (f"/{changed}/" not in str(path))
    assert make_store().index() is not None


def test_a_file_that_kubectl_wrote_later_is_left_and_read_again(
    make_store: MakeStore, host: Path
) -> None:
    kubectl_writes(host, snapshot(4), NOW_S + 10)
    save(make_store(at_s=NOW_S + 20), snapshot(fetched_s=NOW_S))
    store = make_store(at_s=NOW_S + 20)
    assert store.index() is None
    found = store.snapshot()
    assert found is not None
    assert found.groups == snapshot(4).groups


def test_a_damaged_file_of_kubectls_is_written_anew(make_store: MakeStore, host: Path) -> None:
    save(make_store(), snapshot())
    broken = host / "v1/serverresources.json"
    os.truncate(broken, 0)
    os.utime(broken, (NOW_S, NOW_S))
    save(make_store(), snapshot())
    assert b"things" in broken.read_bytes()


def test_another_boot_asks_for_a_sweep(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(make_store(), snapshot())
    monkeypatch.setattr(pack, "this_boot", lambda: "another")
    store = make_store()
    assert store.index() is not None
    assert store.needs_sweep()
    save(store, snapshot())
    after = make_store()
    after.snapshot()
    assert not after.needs_sweep()


def test_a_name_is_unknown_until_its_time_has_passed(make_store: MakeStore) -> None:
    store = make_store()
    store.remember_unknown("thing", NOW_S + 30)
    store.remember_unknown("other", NOW_S - 1)
    assert make_store().is_unknown("thing")
    assert not make_store().is_unknown("other")
    assert not make_store().is_unknown("things")
    assert not make_store(at_s=NOW_S + 31).is_unknown("thing")
    assert store.troubles == []


def test_a_damaged_list_of_unknown_names_is_none(make_store: MakeStore, host: Path) -> None:
    make_store().remember_unknown("thing", NOW_S + 30)
    path = host / "kubelag.unknown.v1"
    path.write_bytes(path.read_bytes()[:-1])
    assert not make_store().is_unknown("thing")


def test_the_list_of_unknown_names_does_not_grow_without_end(make_store: MakeStore) -> None:
    store = make_store()
    for number in range(130):
        store.remember_unknown(f"thing{number}", NOW_S + 30)
    assert not store.is_unknown("thing29")
    assert store.is_unknown("thing30")


@pytest.mark.parametrize("server", ["https://", "https://..", "https://h/../../x", ""])
def test_a_server_whose_url_leads_out_of_the_cache_is_not_written(server: str, root: Path) -> None:
    store = Store(str(root), server)
    store.save(snapshot(server=server))
    store.flush()
    store.remember_unknown("x", 1e12)
    assert all("no directory" in clause for clause in store.troubles)
    assert len(store.troubles) == 2
    assert store.snapshot() is None
    assert not root.exists()


def test_there_is_no_other_policy(root: Path) -> None:
    with pytest.raises(ValueError, match="no policy 'durable'"):
        Store(str(root), SERVER, policy="durable")


def test_flushing_nothing_writes_nothing(make_store: MakeStore, root: Path) -> None:
    make_store().flush()
    make_store(policy="synced").flush()
    assert not root.exists()


def test_fresh_is_as_long_as_kubectls() -> None:
    assert FRESH_S == 21_600
