"""What is in a cache, and taking it out again."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cache_snapshots import NOW_S, SERVER, snapshot
from kubelag.kube.cache.clearing import clear
from kubelag.kube.cache.status import status
from kubelag.kube.cache.store import Store
from kubelag.kube.cache.tree import files
from kubelag.kube.transport.messages import Response

MakeStore = Callable[..., Store]
ENTRY = Response(status=200, headers={"etag": "E"}, body=b"{}")
PREFIXED = f"{SERVER}/prefix"


@pytest.fixture
def cache(root: Path) -> Path:
    """A server, another below its path, and a third that only kubectl knows."""
    for server in (SERVER, PREFIXED):
        store = Store(str(root), server, now=lambda: NOW_S)
        store.put(f"{server}/apis?timeout=32s", ENTRY, "")
        store.save(snapshot(server=server))
        store.flush()
        store.remember_unknown("x", NOW_S + 30)
    for directory, name, content in files(snapshot()):
        path = root / "discovery/other_1" / directory / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        path.write_bytes(content)
        os.utime(path, (NOW_S - 700, NOW_S - 700))
    return root


def test_each_server_is_told_with_its_age_and_writer(cache: Path) -> None:
    found = status(str(cache), now_s=NOW_S + 100)
    assert (found.http_entries, found.could_not_look) == (2, ())
    ours, prefixed, theirs = found.hosts
    assert (ours.server, prefixed.server, theirs.server) == (SERVER, PREFIXED, None)
    assert [each.group_versions for each in found.hosts] == [5, 5, 5]
    assert [each.writer for each in found.hosts] == ["kubelag", "kubelag", "kubectl"]
    assert (ours.oldest_age_s, ours.newest_age_s, ours.kubelag_age_s) == (100, 100, 100)
    assert (theirs.oldest_age_s, theirs.kubelag_age_s) == (800, None)
    assert ours.size_bytes == prefixed.size_bytes - len("/prefix")


@pytest.mark.parametrize(
    ("after_s", "fresh"),
    [(0, (True, True, True)), (601, (False, True, True)), (21_601, (False, False, False))],
)
def test_freshness_differs_by_client(
    after_s: float, fresh: tuple[bool, bool, bool], cache: Path
) -> None:
    ours = status(str(cache), now_s=NOW_S + after_s).hosts[0]
    assert (ours.is_fresh_until_1_23, ours.is_fresh_since_1_24, ours.is_fresh_for_kubelag) == fresh


def test_no_cache_is_empty(tmp_path: Path) -> None:
    found = status(str(tmp_path / "none"))
    assert (found.hosts, found.http_entries, found.could_not_look) == ((), 0, ())


def test_clearing_removes_what_is_the_caches_and_nothing_else(cache: Path) -> None:
    strangers = [cache / "notes", cache / "http/notes", cache / "discovery/other_1/notes"]
    for path in strangers:
        path.write_text("mine")
    done = clear(str(cache))
    assert done.kept == ()
    assert done.files == 6 * 3 + 3 * 2 + 2
    assert sorted(path for path in cache.rglob("*") if path.is_file()) == sorted(strangers)
    assert not (cache / "discovery/127.0.0.1_6443").exists()


def test_clearing_one_server_leaves_the_others(cache: Path) -> None:
    clear(str(cache), server="https://other:1")
    assert [each.server for each in status(str(cache)).hosts] == [SERVER, PREFIXED]
    assert status(str(cache)).http_entries == 2


def test_clearing_follows_no_link_and_says_so(cache: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (cache / "discovery/other_1").rename(outside)
    (cache / "discovery/other_1").symlink_to(outside)
    done = clear(str(cache))
    assert done.kept == (f"{cache}/discovery/other_1: it is a symbolic link",)
    assert (outside / "servergroups.json").exists()


def test_clearing_leaves_another_users_files(cache: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    path = cache / "discovery/other_1/servergroups.json"
    os.chown(path, 65534, 65534)
    assert clear(str(cache)).kept == (f"{path}: it belongs to user 65534",)
    assert clear(str(cache), may_touch_foreign=True).files == 1


def test_clearing_nothing_is_nothing(tmp_path: Path) -> None:
    assert clear(str(tmp_path / "none")).files == 0
    assert clear(str(tmp_path / "none"), server=SERVER).kept == ()
    assert clear(str(tmp_path), server="https://..").files == 0
