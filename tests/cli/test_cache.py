"""`kubelag cache` as a whole program."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostile_server import HostileServer, kubeconfig, refuses, serving, tree, well_behaved
from program import Done, Program


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with serving(well_behaved()) as found:
        yield found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "home" / ".kube" / "cache"


@pytest.fixture
def kubelag(server: HostileServer, tmp_path: Path, root: Path) -> Program:
    path = kubeconfig(tmp_path, server.url)
    home = root.parent.parent
    home.mkdir()
    return Program(env={"HOME": str(home), "PATH": os.defpath, "KUBECONFIG": str(path)})


def test_nothing_is_cached_at_first(kubelag: Program, root: Path) -> None:
    done = kubelag("cache", "status")
    assert (done.code, done.err) == (0, "")
    assert f"cache below {root}" in done.out
    assert "nothing is cached" in done.out
    assert kubelag("cache", "verify").out.endswith("nothing wrong\n")
    assert kubelag("cache", "repair") == Done(0, f"nothing to repair below {root}\n", "")
    assert kubelag("cache", "clear").out.startswith("removed 0 files")
    assert not root.exists()


def test_warmed_it_is_fresh_for_everybody_and_spares_the_next_run_its_discovery(
    kubelag: Program, server: HostileServer, root: Path
) -> None:
    done = kubelag("cache", "warm")
    assert done == Done(0, f"2 group-versions of {server.url} below {root}\n", "")
    told = kubelag("cache", "status").out
    assert server.url in told
    assert "fresh for kubectl up to 1.23, kubectl from 1.24 on, kubelag" in told
    server.heads.clear()
    assert kubelag("get", "nodes").code == 0
    assert server.paths == ["/api/v1/nodes"]
    assert kubelag("cache", "verify").code == 0


def test_status_may_be_read_by_programs(
    kubelag: Program, server: HostileServer, root: Path
) -> None:
    kubelag("cache", "warm")
    found = json.loads(kubelag("cache", "status", "-o", "json").out)
    assert found["root"] == str(root)
    (host,) = found["hosts"]
    assert (host["server"], host["group_versions"]) == (server.url, 2)
    assert host["is_fresh_for_kubelag"] is True


def test_what_a_crash_left_is_found_and_healed(kubelag: Program, root: Path) -> None:
    kubelag("cache", "warm")
    (path,) = root.glob("discovery/*/apps/v1/serverresources.json")
    os.truncate(path, 0)
    found = kubelag("cache", "verify")
    assert (found.code, found.err) == (1, "")
    assert f"{path}: zero-length" in found.out
    assert "`kubelag cache repair` heals" in found.out
    told = json.loads(kubelag("cache", "verify", "-o", "json").out)
    assert [one["problem"] for one in told["findings"]] == ["zero-length"]
    healed = kubelag("cache", "repair")
    assert healed == Done(0, f"{path}: zero-length: removed\n", "")
    assert kubelag("cache", "verify").code == 0


def test_cleared_there_is_nothing_left_but_what_is_no_cache(kubelag: Program, root: Path) -> None:
    kubelag("cache", "warm")
    (root / "mine.txt").write_text("mine")
    told = json.loads(kubelag("cache", "clear", "-o", "json").out)
    assert told["files"] > 2
    assert [one for one in tree(root) if one != "mine.txt"] == []
    assert (root / "mine.txt").exists()


def test_only_one_servers_part_may_be_cleared(
    kubelag: Program, root: Path, server: HostileServer
) -> None:
    kubelag("cache", "warm")
    before = tree(root)
    kubelag("cache", "clear", "-s", "https://other.example.com")
    assert tree(root) == before
    kubelag("cache", "clear", "-s", server.url)
    assert not [one for one in tree(root) if one.startswith("discovery/")]


def test_one_that_cannot_be_had_does_not_keep_the_rest_from_being_warmed(
    kubelag: Program, tmp_path: Path, root: Path
) -> None:
    answer = well_behaved({"/apis/apps/v1": refuses(503, "ServiceUnavailable")})
    with serving(answer) as broken:
        path = kubeconfig(tmp_path, broken.url)
        done = kubelag("cache", "warm", "--kubeconfig", path)
    assert done.code == 1
    assert "apps/v1 could not be had: HTTP 503" in done.out
    assert list(root.glob("discovery/*/v1/serverresources.json"))


def test_a_cache_that_cannot_be_warmed_is_one_sentence(kubelag: Program, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = kubelag("cache", "warm", f"--cache-dir={tmp_path}/file/cache")
    assert (done.code, len(done.err.splitlines())) == (1, 1)
    assert f"{tmp_path}/file" in done.err
    assert "--cache-dir" in done.err


@pytest.mark.parametrize("words", [(), ("nonsense",), ("status", "verify")])
def test_what_cannot_be_meant_is_one_sentence(words: tuple[str, ...], kubelag: Program) -> None:
    done = kubelag("cache", *words)
    assert (done.code, done.out) == (2, "")
    assert "one of status, verify, repair, warm, clear" in done.err


def test_a_cache_of_rubbish_is_looked_at_without_a_traceback(
    kubelag: Program, root: Path, server: HostileServer
) -> None:
    kubelag("cache", "warm")
    for path in root.rglob("*"):
        if path.is_file():
            path.write_bytes(b"\x00\xff" * 100)
    for action in ("status", "verify", "repair", "verify", "warm", "status"):
        done = kubelag("cache", action)
        assert done.err == "", (action, done.err)
        assert done.code in {0, 1}
    assert kubelag("get", "nodes").code == 0
    assert server.heads
