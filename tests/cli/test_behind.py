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
        settle=lambda **_: did.append("settle"),
        may_ask_unseen=True,
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


def test_a_child_does_it_with_nothing_of_ours_open(tmp_path: Path) -> None:
    told, held = tmp_path / "told", (tmp_path / "held").open("w")

    def settle(*, may_ask: bool) -> None:
        streams = [str(Path(f"/proc/self/fd/{fd}").readlink()) for fd in range(3)]
        is_open = Path(f"/proc/self/fd/{held.fileno()}").exists()
        told.write_text(f"{os.getsid(0) == os.getpid()} {streams} {is_open} {may_ask}")

    with held:
        settle_behind(client(settle=settle, may_ask_unseen=False))
        os.wait()
    assert told.read_text() == f"True {['/dev/null'] * 3} False False"
