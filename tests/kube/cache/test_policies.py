"""The two ways of writing: verified when read, or waited for when written."""

import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from cache_snapshots import SERVER, snapshot
from kubelag.kube.cache.http_entries import decode_entry, entry_name
from kubelag.kube.cache.store import Store
from kubelag.kube.transport.messages import Response

MakeStore = Callable[..., Store]
URL = f"{SERVER}/apis?timeout=32s"
AGGREGATED = Response(
    status=200, headers={"etag": '"E"', "vary": "Accept"}, body=b'{"kind":"APIGroupDiscoveryList"}'
)
PLAIN = Response(status=200, headers={"cache-control": "no-cache, private"}, body=b"{}")


@pytest.fixture
def fsyncs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were synced."""
    seen: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        seen.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return seen


def test_by_default_only_what_can_save_a_request_is_kept_and_nothing_is_synced(
    make_store: MakeStore, root: Path, fsyncs: list[str]
) -> None:
    store = make_store()
    store.put(f"{SERVER}/apis?timeout=32s", AGGREGATED, "application/json;v=v2")
    store.put(f"{SERVER}/apis/apps/v1?timeout=32s", PLAIN, "application/json")
    assert not root.exists()
    store.save(snapshot())
    store.flush()
    (entry,) = (root / "http").iterdir()
    assert entry.name == entry_name(URL, is_summed=True)
    assert stat.S_IMODE(entry.stat().st_mode) == 0o660
    found = decode_entry(entry.read_bytes(), is_summed=True)
    assert found is not None
    assert found.headers["x-varied-accept"] == "application/json;v=v2"
    assert (store.troubles, fsyncs) == ([], [])


def test_as_up_to_1_24_every_answer_is_synced_at_once(
    make_store: MakeStore, root: Path, fsyncs: list[str]
) -> None:
    store = make_store(policy="synced")
    store.put(URL, PLAIN, "application/json")
    store.put(f"{SERVER}/api?timeout=32s", AGGREGATED, "application/json")
    assert [Path(path).parent for path in fsyncs] == [root / "http/.diskv-temp"] * 2
    assert sorted(path.name for path in (root / "http").iterdir() if path.is_file()) == sorted(
        entry_name(url, is_summed=False) for url in (URL, f"{SERVER}/api?timeout=32s")
    )
    entry = root / "http" / entry_name(URL, is_summed=False)
    assert stat.S_IMODE(entry.stat().st_mode) == 0o660
    assert decode_entry(entry.read_bytes(), is_summed=False) is not None
    assert list((root / "http/.diskv-temp").iterdir()) == []
    store.save(snapshot())
    store.flush()
    assert len(fsyncs) == 2
    assert make_store(policy="synced").snapshot() == snapshot()


def test_the_lock_is_held_while_the_disk_is_waited_for(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(policy="synced")
    held: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda _: held.append(store._policy._lock.locked()))  # type: ignore[union-attr]
    store.put(URL, PLAIN, "")
    assert held == [True]


def test_an_unchanged_answer_is_not_written(make_store: MakeStore, root: Path) -> None:
    for policy in ("checksummed", "synced"):
        store = make_store(policy=policy)
        store.put(URL, AGGREGATED.but(status=304, body=b""), "")
        store.flush()
    assert not (root / "http").exists()


def test_an_answer_that_cannot_be_decoded_is_passed_over(make_store: MakeStore, root: Path) -> None:
    for policy in ("checksummed", "synced"):
        store = make_store(policy=policy)
        store.put(URL, AGGREGATED.but(headers={"etag": "x", "content-encoding": "br"}), "")
        store.flush()
        assert store.troubles == []
    assert not any((root / "http").glob("*"))


def test_whoever_comes_second_leaves_the_writing_to_the_first(
    make_store: MakeStore, host: Path
) -> None:
    first = make_store()
    first.save(snapshot())
    first.flush()
    with (host / "kubelag.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = make_store()
        second.save(snapshot(5))
        second.flush()
        assert second.troubles == []
    assert make_store().snapshot() == snapshot()


def test_a_lock_that_is_a_link_is_not_followed(
    make_store: MakeStore, host: Path, tmp_path: Path
) -> None:
    host.mkdir(parents=True)
    (host / "kubelag.lock").symlink_to(tmp_path / "elsewhere")
    store = make_store()
    store.save(snapshot())
    store.flush()
    assert len(store.troubles) == 1
    assert "kubelag.lock" in store.troubles[0]
    assert not (tmp_path / "elsewhere").exists()
