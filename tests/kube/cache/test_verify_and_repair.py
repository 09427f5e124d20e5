"""Whatever is wrong in a cache is found, and healed where that is ours to do."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from cache_snapshots import NOW_S, SERVER, snapshot
from kubelag.kube.cache import findings
from kubelag.kube.cache.http_entries import encode_entry, entry_name
from kubelag.kube.cache.repair import repair, sweep
from kubelag.kube.cache.store import Store
from kubelag.kube.cache.verify import verify
from kubelag.kube.transport.messages import Response

MakeStore = Callable[..., Store]
NOBODY = 65534
ENTRY = Response(status=200, headers={"etag": "E"}, body=b'{"kind":"APIGroupDiscoveryList"}')
URL = f"{SERVER}/apis?timeout=32s"
GROUPS = "discovery/127.0.0.1_6443/servergroups.json"
RESOURCES = "discovery/127.0.0.1_6443/g1.example.com/v1/serverresources.json"
PACK = "discovery/127.0.0.1_6443/kubelag.v1"
UNKNOWN = "discovery/127.0.0.1_6443/kubelag.unknown.v1"
SUMMED = f"http/{entry_name(URL, is_summed=True)}"
DUMP = f"http/{entry_name(URL, is_summed=False)}"
EVERY = (GROUPS, RESOURCES, PACK, UNKNOWN, SUMMED, DUMP)
KUBECTLS = (GROUPS, RESOURCES)


@pytest.fixture
def cache(make_store: MakeStore, root: Path) -> Path:
    """One of everything."""
    store = make_store()
    store.put(URL, ENTRY, "a")
    store.save(snapshot())
    store.flush()
    store.remember_unknown("x", NOW_S + 30)
    (root / DUMP).write_bytes(encode_entry(ENTRY, "a", is_summed=False))
    (root / DUMP).chmod(0o660)
    for path in root.rglob("*"):
        os.utime(path, (NOW_S, NOW_S))
    return root


def problems(root: Path, at_s: float = NOW_S) -> dict[str, str]:
    found = verify(str(root), now_s=at_s).findings
    return {str(Path(each.path).relative_to(root)): each.problem for each in found}


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def _link(path: Path) -> None:
    path.rename(path.parent / "precious")
    path.symlink_to("precious")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


ACTS: dict[str, Callable[[Path], object]] = {
    "zero-length": lambda path: os.truncate(path, 0),
    "truncated": lambda path: os.truncate(path, path.stat().st_size - 9),
    "NUL-filled": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "undecodable": lambda path: path.write_text("{]}"),
    "wrong kind": lambda path: path.write_text('{"kind":"Status"}'),
    "damaged": _flip,
    "future mtime": lambda path: os.utime(path, (NOW_S + 100, NOW_S + 100)),
    "writable by others": lambda path: path.chmod(0o666),
    "symlink": _link,
    "not a regular file": _pipe,
}
CASES = [
    *((name, what) for name in EVERY for what in ("zero-length", "NUL-filled", "future mtime")),
    *((name, what) for name in EVERY for what in ("writable by others", "symlink")),
    *((name, "not a regular file") for name in EVERY),
    *((name, what) for name in KUBECTLS for what in ("truncated", "undecodable", "wrong kind")),
    *((name, "damaged") for name in (PACK, UNKNOWN, SUMMED)),
]


def act(path: Path, problem: str) -> None:
    ACTS[problem](path)
    if problem not in {"symlink", "future mtime"}:
        os.utime(path, (NOW_S, NOW_S))


def test_a_cache_of_ours_has_nothing_wrong(cache: Path) -> None:
    found = verify(str(cache), now_s=NOW_S)
    assert (found.findings, found.unswept) == ((), ())
    assert found.files == 11
    assert repair(str(cache), now_s=NOW_S) == ()


@pytest.mark.parametrize(("name", "problem"), CASES)
def test_damage_is_found_explained_and_healed(name: str, problem: str, cache: Path) -> None:
    act(cache / name, problem)
    before = set(cache.rglob("*"))
    (finding,) = verify(str(cache), now_s=NOW_S).damages
    assert (finding.path, finding.problem) == (str(cache / name), problem)
    assert finding.meaning
    assert "removed" in finding.healing
    (done,) = repair(str(cache), now_s=NOW_S)
    assert (done.path, done.problem, done.done, done.why_not) == (
        str(cache / name),
        problem,
        "removed",
        "",
    )
    assert before - set(cache.rglob("*")) == {cache / name}
    assert verify(str(cache), now_s=NOW_S).damages == ()


@pytest.mark.parametrize("cut", [9, 1])
def test_a_dump_that_is_cut_short_is_found(cache: Path, cut: int) -> None:
    os.truncate(cache / DUMP, (cache / DUMP).stat().st_size - cut)
    assert problems(cache) == {DUMP: "damaged"}


def test_that_an_empty_file_hides_a_group_is_said(cache: Path) -> None:
    act(cache / RESOURCES, "zero-length")
    (finding,) = verify(str(cache), now_s=NOW_S).damages
    assert "valid list without resources" in finding.meaning


def test_what_has_expired_is_told_and_left(cache: Path) -> None:
    later_s = NOW_S + 7 * 3600
    assert set(problems(cache, later_s).values()) == {"expired"}
    assert verify(str(cache), now_s=later_s).damages == ()
    assert repair(str(cache), now_s=later_s) == ()


def test_damage_outranks_age(cache: Path) -> None:
    act(cache / RESOURCES, "undecodable")
    assert problems(cache, NOW_S + 7 * 3600)[RESOURCES] == "undecodable"


@pytest.mark.parametrize(
    "name",
    [
        f"{RESOURCES}.123456",
        f"{GROUPS}.9",
        f"{PACK}.77",
        f"{SUMMED}.5",
        "http/.diskv-temp/424242",
    ],
)
def test_a_leftover_is_one_after_a_minute(name: str, cache: Path) -> None:
    path = cache / name
    path.parent.mkdir(exist_ok=True, mode=0o750)
    path.write_text("half")
    os.utime(path, (NOW_S - 59, NOW_S - 59))
    assert problems(cache) == {}
    assert problems(cache, NOW_S + 2) == {name: "leftover"}
    (done,) = repair(str(cache), now_s=NOW_S + 2)
    assert done.done == "removed"
    assert not path.exists()


def test_what_is_not_the_caches_is_not_looked_at(cache: Path) -> None:
    strangers = [
        cache / "notes.txt",
        cache / "discovery/127.0.0.1_6443/servergroups.json.bak",
        cache / "discovery/127.0.0.1_6443/other.v1",
        cache / "http/README",
        cache / "http" / ("g" * 32),
        cache / "http/.diskv-temp/name",
        cache / "schema/servergroups.json",
    ]
    for path in strangers:
        path.parent.mkdir(exist_ok=True, mode=0o750)
        path.write_text("")
        os.utime(path, (NOW_S + 9999, NOW_S + 9999))
    assert problems(cache) == {}
    assert repair(str(cache), now_s=NOW_S) == ()
    assert all(path.exists() for path in strangers)


def test_a_linked_directory_is_told_and_neither_followed_nor_removed(
    cache: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    (cache / "discovery/127.0.0.1_6443/g1.example.com").rename(outside)
    (cache / "discovery/127.0.0.1_6443/g1.example.com").symlink_to(outside)
    os.truncate(outside / "v1/serverresources.json", 0)
    assert problems(cache) == {"discovery/127.0.0.1_6443/g1.example.com": "symlink"}
    (left,) = repair(str(cache), now_s=NOW_S)
    assert (left.done, left.why_not) == ("", "it is a directory, and not ours to remove")
    assert (outside / "v1/serverresources.json").exists()


@pytest.mark.parametrize("name", ["", "discovery", "http", "discovery/127.0.0.1_6443/v1"])
def test_a_directory_that_others_may_write_is_told_and_closed(name: str, cache: Path) -> None:
    (cache / name).chmod(0o777)
    assert problems(cache) == {name or ".": "writable by others"}
    (done,) = repair(str(cache), now_s=NOW_S)
    assert done.done == "mode set to 0755"
    assert stat.S_IMODE((cache / name).stat().st_mode) == 0o755


def test_another_users_files_are_left_alone_unless_repair_may(cache: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    for name in (RESOURCES, SUMMED):
        os.chown(cache / name, NOBODY, NOBODY)
    assert problems(cache) == {RESOURCES: "foreign owner", SUMMED: "foreign owner"}
    left = repair(str(cache), now_s=NOW_S)
    assert {each.why_not for each in left} == {"it belongs to user 65534"}
    done = repair(str(cache), now_s=NOW_S, may_touch_foreign=True)
    assert {each.done for each in done} == {"removed"}
    assert problems(cache) == {}


def test_in_another_users_directory_nothing_is_removed(cache: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    os.truncate(cache / RESOURCES, 0)
    os.utime(cache / RESOURCES, (NOW_S, NOW_S))
    directory = (cache / RESOURCES).parent
    os.chown(directory, NOBODY, NOBODY)
    assert all(not each.done for each in repair(str(cache), now_s=NOW_S))
    assert (cache / RESOURCES).exists()
    assert {each.why_not for each in repair(str(cache), now_s=NOW_S)} == {
        "it is a directory, and not ours to remove",
        "its directory belongs to user 65534",
    }


def test_what_cannot_be_looked_at_is_not_healthy(cache: Path, in_child: Callable[..., str]) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can take a directory away")
    for path in [*cache.parents[:3], cache]:
        path.chmod(0o755)
    (cache / "http").chmod(0o700)
    said = in_child(lambda: repr(problems(cache)), NOBODY)
    assert "'http': 'unreadable'" in said


def test_a_bloated_http_cache_loses_its_oldest_entries(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (findings, __import__("kubelag.kube.cache.repair", fromlist=["repair"])):
        monkeypatch.setattr(module, "MOST_ENTRIES", 10)
    for number in range(20):
        path = cache / "http" / f"{number:032x}"
        path.write_bytes(encode_entry(ENTRY, "", is_summed=False))
        path.chmod(0o660)
        os.utime(path, (NOW_S - 1000 - number, NOW_S - 1000 - number))
    assert problems(cache) == {"http": "bloat"}
    (done,) = repair(str(cache), now_s=NOW_S)
    assert done.done == "removed the 17 oldest entries"
    assert {path.name for path in (cache / "http").iterdir()} == {
        Path(SUMMED).name,
        Path(DUMP).name,
        *(f"{number:032x}" for number in range(3)),
    }


def test_another_boots_cache_is_unswept(cache: Path) -> None:
    found = verify(str(cache), now_s=NOW_S, boot_id="another")
    assert found.unswept == (str(cache / "discovery/127.0.0.1_6443"),)


def test_a_sweep_heals_one_server_and_no_other(
    cache: Path, make_store: MakeStore, host: Path
) -> None:
    other = cache / "discovery/other_1/v1/serverresources.json"
    other.parent.mkdir(parents=True, mode=0o750)
    for path in (other, cache / RESOURCES):
        path.write_bytes(b"")
        os.utime(path, (NOW_S, NOW_S))
    (done,) = sweep(str(cache), SERVER, now_s=NOW_S)
    assert (done.path, done.done) == (str(cache / RESOURCES), "removed")
    assert other.exists()
    store = make_store()
    found = store.snapshot()
    assert found == snapshot()
    store.save(found)
    store.flush()
    assert (host / "g1.example.com/v1/serverresources.json").stat().st_size > 0


def test_a_sweep_of_what_is_no_server_does_nothing(cache: Path) -> None:
    assert sweep(str(cache), "https://..", now_s=NOW_S) == ()
    assert sweep(str(cache), "", now_s=NOW_S) == ()
    assert sweep(str(cache / "none"), SERVER, now_s=NOW_S) == ()


def test_no_cache_has_nothing_wrong(tmp_path: Path) -> None:
    found = verify(str(tmp_path / "none"))
    assert (found.findings, found.files) == ((), 0)
    assert repair(str(tmp_path / "none")) == ()
