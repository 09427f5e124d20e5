"""What nobody waits for is done by a child, and only where something is to be done."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kubelag.cli.behind import settle_behind


def client(**fields: Any) -> Any:
    """A client that records what is asked of it."""
    did: list[str] = []
    made = SimpleNamespace(
        discovery=SimpleNamespace(has_work_left=True),
        obstacle="",
        did=did,
        forget_connections=lambda: did.append("forget"),
        close=lambda: did.append("close"),
        settle=lambda: did.append("settle"),
    )
    made.__dict__.update(fields)
    return made


def test_with_nothing_to_do_there_is_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fork", pytest.fail)
    idle = client(discovery=SimpleNamespace(has_work_left=False))
    settle_behind(idle)
    assert idle.did == ["forget"]


def test_an_obstacle_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "fork", pytest.fail)
    settle_behind(client(obstacle="/c: its file system is read-only"))
    assert capsys.readouterr().err == (
        "kubelag: working from memory, since the cache cannot be used: "
        "/c: its file system is read-only\n"
    )


def test_where_no_child_can_be_had_it_is_done_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", refuse)
    busy = client()
    settle_behind(busy)
    assert busy.did == ["close"]


def test_a_child_does_it_with_no_stream_of_ours() -> None:
    read, write = os.pipe()

    def settle() -> None:
        streams = [str(Path(f"/proc/self/fd/{fd}").readlink()) for fd in range(3)]
        os.write(write, f"{os.getsid(0) == os.getpid()} {streams}".encode())

    settle_behind(client(settle=settle))
    os.close(write)
    with os.fdopen(read) as told:
        assert told.read() == f"True {['/dev/null'] * 3}"
    os.wait()
