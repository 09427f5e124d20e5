"""Looking at a cache directory without touching it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubelag.model.evidence import CacheDirectory
from kubelag.observe.cache_directory import look
from kubelag.observe.mounts import Mount

SERVER = "https://127.0.0.1:6443"
HOST = "discovery/127.0.0.1_6443"
NOW_NS = 1_800_000_000 * 10**9
MINUTE_NS = 60 * 10**9


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / ".kube/cache"


def fill(root: Path, age_ns: int = 0, groups: tuple[str, ...] = ("v1", "apps/v1")) -> Path:
    host = root / HOST
    host.mkdir(parents=True)
    versions = [{"groupVersion": one, "version": one.rpartition("/")[2]} for one in groups]
    files = {"servergroups.json": {"groups": [{"versions": versions}, {"versions": None}]}}
    files |= {f"{one}/serverresources.json": {} for one in groups}
    for name, content in files.items():
        path = host / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
        os.utime(path, ns=(0, NOW_NS - age_ns))
    return host


def seen(root: Path, version: str = "1.20.2", server: str | None = SERVER) -> CacheDirectory:
    env = {"HOME": str(root.parent.parent)}
    return look(["kubectl", "get", "nodes"], env, version, server, now_ns=NOW_NS)


def test_a_directory_that_does_not_exist_is_cold(root: Path) -> None:
    cache = seen(root)
    assert (cache.state, cache.entries, cache.problem) == ("cold", 0, None)
    assert cache.root == str(root)
    assert cache.rule == "HOME"
    assert cache.host_directory == str(root / HOST)
    assert cache.file_system is not None
    assert not root.exists()


def test_a_fresh_cache_is_warm_until_its_oldest_entry_expires(root: Path) -> None:
    host = fill(root, age_ns=MINUTE_NS)
    os.utime(host / "v1/serverresources.json", ns=(0, NOW_NS - 2 * MINUTE_NS))
    cache = seen(root)
    assert (cache.state, cache.entries, cache.ttl_s) == ("warm", 3, 600)
    assert cache.fresh_until_ns == NOW_NS + 8 * MINUTE_NS


def test_the_same_cache_is_expired_for_an_old_client_and_warm_for_a_new_one(root: Path) -> None:
    fill(root, age_ns=11 * MINUTE_NS)
    assert seen(root, "1.23.17").state == "expired"
    assert seen(root, "1.24.0").state == "warm"


def test_what_a_removed_group_left_behind_does_not_count(root: Path) -> None:
    host = fill(root)
    stale = host / "old.example.com/v1/serverresources.json"
    stale.parent.mkdir(parents=True)
    stale.write_text("{}")
    os.utime(stale, ns=(0, 0))
    assert (seen(root).state, seen(root).entries) == ("warm", 3)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"groups": 3}', '{"groups": [{}]}', "\0" * 9])
def test_a_damaged_list_of_groups_is_cold(root: Path, content: str) -> None:
    host = fill(root)
    (host / "servergroups.json").write_text(content)
    assert seen(root).state == "cold"


def test_a_list_of_groups_cannot_lead_elsewhere(root: Path) -> None:
    fill(root, groups=("v1",))
    names = [{"groupVersion": "../../../../etc"}, {"groupVersion": "a\0b"}, {"groupVersion": 3}]
    (root / HOST / "servergroups.json").write_text(json.dumps({"groups": [{"versions": names}]}))
    assert seen(root).entries == 1


def test_without_a_server_the_state_is_unknown(root: Path) -> None:
    assert (seen(root, server=None).state, seen(root, server=None).host_directory) == (
        "unknown",
        None,
    )


@pytest.mark.parametrize("part", [".kube", ".kube/cache", ".kube/cache/discovery"])
def test_a_link_to_nothing_is_found_wherever_it_is(tmp_path: Path, part: str) -> None:
    link = tmp_path / part
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to("/dev/shm/kubelag-test-gone")
    cache = seen(tmp_path / ".kube/cache")
    assert cache.state == "dangling_link"
    assert cache.link_target == "/dev/shm/kubelag-test-gone"
    assert cache.problem == (
        f"{link} is a link to /dev/shm/kubelag-test-gone, which does not exist"
    )


def test_links_in_a_circle_are_found(root: Path) -> None:
    root.parent.mkdir()
    root.symlink_to(root)
    assert seen(root).state == "dangling_link"


def test_a_link_that_leads_somewhere_is_only_told(root: Path, tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    root.parent.mkdir()
    root.symlink_to(tmp_path / "memory")
    cache = seen(root)
    assert (cache.state, cache.problem) == ("cold", None)
    assert cache.link_target == str(tmp_path / "memory")
    assert cache.real_root == str(tmp_path / "memory")


def test_a_file_in_the_place_of_the_directory_is_told(root: Path) -> None:
    root.parent.mkdir()
    root.write_text("")
    cache = seen(root)
    assert cache.state == "unwritable"
    assert cache.problem == f"the file {root} is in the place of a directory"


def test_a_place_in_proc_cannot_be_written() -> None:
    argv = ["kubectl", "--cache-dir", "/proc/nope", "get", "nodes"]
    cache = look(argv, {}, "1.33.1", SERVER, now_ns=NOW_NS)
    assert (cache.state, cache.rule, cache.file_system) == ("unwritable", "--cache-dir", "proc")


@pytest.fixture
def nobody() -> Iterator[None]:
    """The test as a user without rights."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.usefixtures("nobody")
def test_a_directory_of_somebody_else_is_told() -> None:
    cache = look(["kubectl"], {"HOME": "/etc"}, "1.33.1", SERVER, now_ns=NOW_NS)
    assert cache.state == "unwritable"
    assert cache.problem is not None
    assert "/etc may not be written by user 65534 (it belongs to user 0" in cache.problem


def test_what_root_left_in_a_users_cache_is_told(
    root: Path, request: pytest.FixtureRequest
) -> None:
    host = fill(root)
    for directory in (root, *root.parents):
        if directory == Path("/tmp") or directory == Path("/"):
            break
        directory.chmod(0o755)
    for directory in (root / "discovery", host):
        os.chown(directory, 65534, 65534)
    request.getfixturevalue("nobody")
    cache = seen(root)
    assert cache.state == "warm"
    assert cache.problem == f"{host}/v1 may not be written (it belongs to user 0, mode 0755)"


def test_a_file_system_without_room_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = os.statvfs_result((4096, 4096, 1000, 2, 2, 1000, 900, 900, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    assert "is full (8 KiB left" in (seen(root).problem or "")


def test_a_file_system_without_inodes_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = os.statvfs_result((4096, 4096, 10**6, 10**6, 10**6, 1000, 3, 3, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    assert "is out of inodes (3 left" in (seen(root).problem or "")


def test_a_read_only_mount_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked = os.statvfs_result((4096, 4096, 10**6, 10**6, 10**6, 0, 0, 0, os.ST_RDONLY, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: locked)
    assert (seen(root).problem or "").endswith("is on a file system that is mounted read-only")


def test_a_fresh_cache_serves_although_it_cannot_be_written(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(root)
    locked = os.statvfs_result((4096, 4096, 10**6, 10**6, 10**6, 0, 0, 0, os.ST_RDONLY, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: locked)
    cache = seen(root)
    assert cache.state == "warm"
    assert cache.problem is not None


def test_looking_takes_no_longer_than_it_may(root: Path) -> None:
    fill(root, groups=tuple(f"g{number}/v1" for number in range(50)))
    ticks = iter(range(10_000))
    cache = look(
        ["kubectl"],
        {"HOME": str(root.parent.parent)},
        "1.20.2",
        SERVER,
        now_ns=NOW_NS,
        clock_s=lambda: next(ticks),
    )
    assert (cache.state, cache.entries) == ("warm", 1)


def test_the_mount_and_device_are_those_of_the_http_cache(root: Path, tmp_path: Path) -> None:
    (tmp_path / "slow").mkdir()
    root.mkdir(parents=True)
    (root / "http").symlink_to(tmp_path / "slow")
    mount = Mount(
        mount_point=str(tmp_path / "slow"),
        file_system="ext4",
        source="/dev/nothing",
        device_number="7:9",
        options=frozenset(),
    )
    (tmp_path / "sys/dev/block/7:9").mkdir(parents=True)
    cache = look(
        ["kubectl"],
        {"HOME": str(tmp_path)},
        "1.20.2",
        SERVER,
        now_ns=NOW_NS,
        mounts=(mount,),
        sys=tmp_path / "sys",
    )
    assert (cache.file_system, cache.device) == ("ext4", "7:9")


def test_a_password_in_the_servers_url_is_not_told(root: Path) -> None:
    cache = seen(root, server="https://me:PLANTED@127.0.0.1:6443")
    assert "PLANTED" not in repr(cache)
    assert cache.host_directory == str(root / "discovery/REDACTED_127.0.0.1_6443")
