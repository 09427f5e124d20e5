"""Which recorder watches, and that nothing runs before it does."""

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kubelag.model.evidence import Look
from kubelag.observe import recorders, syscalls, tracefs
from kubelag.observe.recorders import TracefsAttacher, choose
from kubelag.observe.syscalls import Depth, StraceRecorder


@pytest.mark.parametrize(
    ("no_strace", "no_tracefs", "depth", "chosen"),
    [
        (None, None, "narrow", TracefsAttacher),
        (None, None, "files", StraceRecorder),
        (None, "not root", "narrow", StraceRecorder),
        ("no strace", None, "files", TracefsAttacher),
    ],
)
def test_the_one_that_tells_most_for_its_price_is_chosen(
    monkeypatch: pytest.MonkeyPatch,
    no_strace: str | None,
    no_tracefs: str | None,
    depth: Depth,
    chosen: type,
) -> None:
    monkeypatch.setattr(syscalls, "probe", lambda: no_strace)
    monkeypatch.setattr(tracefs, "probe", lambda: no_tracefs)
    found = choose(depth)
    assert isinstance(found.recorder, chosen)
    assert found.why_not == ""
    found.recorder.abandon()  # type: ignore[union-attr]


def test_where_none_works_both_reasons_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syscalls, "probe", lambda: "strace is not installed")
    monkeypatch.setattr(tracefs, "probe", lambda: "tracefs may only be used by root")
    found = choose("narrow")
    assert found.recorder is None
    assert found.why_not == "tracefs may only be used by root; strace is not installed"


class FakeTracefs:
    """Says what it was told to when it is asked to start."""

    def __init__(self, answer: str | type[BaseException] | None, before: Path) -> None:
        self.answer = answer
        self.before = before
        self.had_begun: bool | None = None

    def start(self, pid: int) -> str | None:
        assert pid > 0
        self.had_begun = self.before.exists()
        if isinstance(self.answer, type):
            raise self.answer
        return self.answer

    def stop(self) -> tuple[tuple[()], tuple[()], Look]:
        return (), (), Look(observer="syscalls", state="looked", how="fake")


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """What the command makes when it runs."""
    return tmp_path / "ran"


def run_through(attacher: TracefsAttacher, mark: Path) -> int:
    """Start a command that makes the mark; its exit code."""
    code = f"open({str(mark)!r}, 'w').close(); raise SystemExit(7)"
    argv = attacher.argv((sys.executable, "-c", code))
    with subprocess.Popen(argv, pass_fds=attacher.pass_fds) as process:
        with contextlib.suppress(KeyboardInterrupt):
            attacher.started(process.pid)
        return process.wait()


def attacher_with(fake: FakeTracefs) -> TracefsAttacher:
    attacher = TracefsAttacher("narrow")
    attacher._recorder = fake  # type: ignore[assignment]
    return attacher


def test_the_command_waits_until_it_is_recorded(mark: Path) -> None:
    fake = FakeTracefs(None, mark)
    attacher = attacher_with(fake)
    assert run_through(attacher, mark) == 7
    assert fake.had_begun is False
    assert mark.exists()
    assert attacher.stop(time.time_ns())[2].how == "fake"


def test_a_kernel_that_refuses_lets_the_command_run_unwatched(mark: Path) -> None:
    attacher = attacher_with(FakeTracefs("tracefs refused to record (busy)", mark))
    assert run_through(attacher, mark) == 7
    look = attacher.stop(time.time_ns())[2]
    assert (look.state, look.how) == ("could_not_look", "tracefs refused to record (busy)")


def test_a_command_that_nobody_came_to_watch_does_not_run(mark: Path) -> None:
    assert run_through(attacher_with(FakeTracefs(KeyboardInterrupt, mark)), mark) != 0
    assert not mark.exists()


@pytest.mark.real
def test_the_kernels_own_recording_sees_the_command_and_not_the_barrier() -> None:
    if why := tracefs.probe():
        pytest.skip(why)
    attacher = recorders.TracefsAttacher("narrow")
    argv = attacher.argv(("/usr/bin/env", "true"))
    with subprocess.Popen(argv, pass_fds=attacher.pass_fds) as process:
        attacher.started(process.pid)
        assert process.wait() == 0
    _, processes, look = attacher.stop(time.time_ns())
    assert look.state == "looked"
    (only,) = processes
    assert only.pid == process.pid
    assert [Path(program).name for program in only.chain] == ["env", "true"]
