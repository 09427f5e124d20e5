"""One command with every observer around it: what is told, and that nothing of it goes on."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from kubelag.errors import CommandNotExecutableError, CommandNotFoundError
from kubelag.model.evidence import Look, Process, Syscall
from kubelag.observe import session, syscalls
from kubelag.observe.session import Watch, Watched, watch
from kubelag.observe.syscalls import StraceRecorder
from program import ends, script

ENV = {"PATH": os.environ["PATH"]}
needs_strace = pytest.mark.skipif(syscalls.probe() is not None, reason=str(syscalls.probe()))


@dataclass
class FakeRecorder:
    """Notes how it is used, and gives back what it was given."""

    calls: tuple[Syscall, ...] = ()
    said: list[str] = field(default_factory=list)
    pass_fds: tuple[int, ...] = ()

    def argv(self, command: tuple[str, ...]) -> list[str]:
        return list(command)

    def started(self, pid: int) -> None:
        assert pid > 0
        self.said.append("started")

    def abandon(self) -> None:
        self.said.append("abandoned")

    def stop(self, end_ns: int) -> tuple[tuple[Syscall, ...], tuple[Process, ...], Look]:
        assert end_ns > 0
        self.said.append("stopped")
        return self.calls, (), Look(observer="syscalls", state="looked", how="fake")


def wanted(*argv: str, **more: Any) -> Watch:
    recorder = more.pop("recorder", None)
    return Watch(argv=argv, env=ENV, recorder=recorder, **more)


def shell(*lines: str, **more: Any) -> Watched:
    return watch(wanted("sh", "-c", "\n".join(lines), **more))


def look(seen: Watched, observer: str) -> Look:
    return next(one for one in seen.looks if one.observer == observer)


def test_a_run_is_told_with_its_code_and_its_times() -> None:
    before_ns = time.time_ns()
    seen = shell("exit 7")
    assert (seen.run.exit_code, seen.run.signal, seen.run.interrupted) == (7, None, False)
    assert before_ns <= seen.run.start_ns < seen.run.end_ns <= time.time_ns()


def test_everybody_says_whether_he_looked() -> None:
    seen = shell("exit 0", why_no_recorder="strace is not installed")
    assert look(seen, "syscalls") == Look(
        observer="syscalls", state="could_not_look", how="strace is not installed"
    )
    names = {"syscalls", "calls_in_flight", "processes", "debug_log", "process_tree", "host"}
    assert {one.observer for one in seen.looks} == names
    assert look(seen, "host").state == "looked"
    assert seen.host


def test_a_command_without_a_debug_log_is_not_blamed_for_having_none() -> None:
    told = look(shell("true", has_debug_log=False), "debug_log")
    assert (told.state, told.how) == (
        "could_not_look",
        "the command has no debug log that kubelag can ask for",
    )


def test_the_words_of_a_command_that_failed_are_kept_without_secrets() -> None:
    seen = shell("echo 'password=hunter2 is wrong' >&2", "exit 1")
    assert seen.run.stderr_tail == "password=REDACTED is wrong"


def test_the_words_of_a_command_that_did_its_work_are_not_kept() -> None:
    assert shell("echo hello >&2").run.stderr_tail == ""


def test_only_the_last_words_are_kept_and_never_half_of_much() -> None:
    few = shell("seq 100 >&2", "exit 1")
    assert few.run.stderr_tail.splitlines() == [str(n) for n in range(91, 101)]
    much = shell("head -c 3000000 /dev/zero | tr '\\0' 'x' >&2", "exit 1")
    assert much.run.stderr_tail == "(it wrote more to standard error than is kept)"


def test_output_is_let_through_only_where_it_is_asked_for(
    capfd: pytest.CaptureFixture[str],
) -> None:
    shell("echo out", "echo err >&2")
    assert capfd.readouterr() == ("", "")
    shell("echo out", "echo err >&2", show_output=True)
    assert capfd.readouterr() == ("out\n", "err\n")


def test_an_old_clients_dump_is_the_failure_that_it_stands_for() -> None:
    fatal = "F0102 03:04:05.678901       7 helpers.go:115] error: nothing there"
    seen = shell(f"echo '{fatal}' >&2", "echo 'goroutine 1 [running]:' >&2", "exit 255")
    assert seen.run.exit_code == 1
    assert seen.run.stderr_tail == "error: nothing there"


def test_a_signal_is_told_as_such() -> None:
    seen = shell("kill -9 $$")
    assert (seen.run.exit_code, seen.run.signal) == (None, 9)


def test_the_run_begins_with_the_command_and_not_with_its_tracer() -> None:
    call = Syscall(pid=1, name="execve", start_ns=5, end_ns=9, path="/bin/sh")
    recorder = FakeRecorder((replace(call, name="fsync", start_ns=1), call))
    assert shell("true", recorder=recorder).run.start_ns == 5
    assert recorder.said == ["started", "stopped"]


def test_a_child_can_be_prepared_before_it_becomes_the_command() -> None:
    seen = shell("exit $(ulimit -c)", before_exec=_limit_core_files)
    assert seen.run.exit_code == 3


def _limit_core_files() -> None:
    import resource  # noqa: PLC0415 - the child's own affair

    resource.setrlimit(resource.RLIMIT_CORE, (3 * 512, 3 * 512))


# What cannot be started


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A script whose interpreter does not exist."""
    path = script(tmp_path / "broken")
    path.write_text("#!/no/such/interpreter\n")
    return path


def test_no_such_program_is_told_and_the_recorder_is_abandoned() -> None:
    recorder = FakeRecorder()
    with pytest.raises(CommandNotFoundError, match="no-such-program"):
        watch(wanted("no-such-program", recorder=recorder))
    assert recorder.said == ["abandoned"]


def test_a_program_that_the_system_refuses_is_told(broken: Path) -> None:
    with pytest.raises(CommandNotExecutableError, match="interpreter does not exist"):
        watch(wanted(str(broken)))


@needs_strace
@pytest.mark.real
def test_a_program_that_the_system_refuses_a_tracer_is_told_alike(broken: Path) -> None:
    with pytest.raises(CommandNotExecutableError, match="interpreter does not exist"):
        watch(wanted(str(broken), recorder=StraceRecorder("narrow")))
    broken.write_bytes(b"\x7fELF and no more")
    with pytest.raises(CommandNotExecutableError, match="exec format error"):
        watch(wanted(str(broken), recorder=StraceRecorder("narrow")))


# Interruptions


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A mark in the environment of what a test starts; nothing that carries it may be left."""
    mark = f"SESSION_TEST={os.urandom(8).hex()}"
    monkeypatch.setitem(ENV, *mark.split("="))
    yield mark
    assert [pid for pid in _carrying(mark) if not ends(pid)] == []


def _carrying(mark: str) -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark.encode() in (path / "environ").read_bytes().split(b"\0"):
                yield int(path.name)


@pytest.fixture
def interrupted_when(tmp_path: Path) -> Iterator[Path]:
    """What the command writes to when it wants to be interrupted."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    # Another process, as a terminal would be: a thread of ours would take the signal itself.
    argv = ["sh", "-c", f"read -r _ < {fifo} && kill -INT {os.getpid()}"]
    with subprocess.Popen(argv) as process:
        yield fifo
        process.kill()


def test_ctrl_c_ends_the_command_with_all_its_children_and_tells_what_was_seen(
    marked: str, interrupted_when: Path
) -> None:
    seen = shell("sleep 1000 & sleep 1001 &", f"echo up > {interrupted_when}", "sleep 1002")
    assert seen.run.interrupted
    assert marked


@needs_strace
@pytest.mark.real
def test_ctrl_c_under_a_tracer_tells_the_call_that_it_was_in(
    marked: str, interrupted_when: Path
) -> None:
    recorder = StraceRecorder("narrow")
    seen = shell(f"echo up > {interrupted_when}", "sleep 1000 & wait", recorder=recorder)
    assert seen.run.interrupted
    assert look(seen, "syscalls").state == "looked"
    assert "wait4" in {call.name for call in seen.syscalls}
    assert marked


class _Interrupting(FakeRecorder):
    def started(self, pid: int) -> None:
        super().started(pid)
        os.kill(os.getpid(), signal.SIGINT)


class _InterruptingTheFork(FakeRecorder):
    def argv(self, command: tuple[str, ...]) -> list[str]:
        os.kill(os.getpid(), signal.SIGINT)
        return super().argv(command)


@pytest.mark.parametrize("interrupting", [_Interrupting, _InterruptingTheFork])
def test_ctrl_c_while_all_of_it_starts_is_not_lost_and_leaves_nothing(
    marked: str, interrupting: type[FakeRecorder]
) -> None:
    recorder = interrupting()
    seen = shell("sleep 1000", recorder=recorder)
    assert seen.run.interrupted
    assert recorder.said == ["started", "stopped"]
    assert marked


class _InterruptingAnotherThread(FakeRecorder):
    """Ctrl-C as a thread from before takes it, in which nothing is blocked."""

    def started(self, pid: int) -> None:
        super().started(pid)
        taken.set()
        while not done.wait(0.01):
            pass


taken, done = threading.Event(), threading.Event()


def test_ctrl_c_that_another_thread_takes_is_not_lost_either(marked: str) -> None:
    def take() -> None:
        taken.wait()
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        done.set()

    thread = threading.Thread(target=take)
    thread.start()
    recorder = _InterruptingAnotherThread()
    seen = shell("sleep 1000", recorder=recorder)
    thread.join()
    assert seen.run.interrupted
    assert recorder.said == ["started", "stopped"]
    assert marked


class _Crashing(FakeRecorder):
    def started(self, pid: int) -> None:
        super().started(pid)
        raise RuntimeError("a bug")


def test_an_observer_that_crashes_takes_the_command_with_it(marked: str) -> None:
    recorder = _Crashing()
    with pytest.raises(RuntimeError, match="a bug"):
        shell("sleep 1000", recorder=recorder)
    assert recorder.said == ["started", "stopped"]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) & set(session.ENDINGS) == set()
    assert marked


def test_the_command_gets_its_signals_as_ever() -> None:
    seen = watch(wanted("grep", "-q", "^SigBlk:\t0*$", "/proc/self/status"))
    assert seen.run.exit_code == 0


def test_a_daemon_that_the_command_leaves_behind_does_not_hold_us(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(session, "GRACE_S", 0.05)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    # It holds standard error open until somebody reads from the fifo.
    code = f"import os; os.fork() or open({str(fifo)!r}, 'w').write('up')"
    seen = watch(wanted(sys.executable, "-W", "ignore", "-c", code))
    assert seen.run.exit_code == 0
    assert fifo.read_text() == "up"


@pytest.mark.parametrize("moment", ["start", "stop"])
def test_an_observer_that_crashes_could_not_look_and_the_others_did(
    moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise ZeroDivisionError("no cgroup")

    monkeypatch.setattr(session.HostSampler, moment, crash)
    watched = shell("exit 3")
    looks = {look.observer: look for look in watched.looks}
    assert watched.run.exit_code == 3
    assert (looks["host"].state, looks["host"].how) == (
        "could_not_look",
        "it crashed: ZeroDivisionError: no cgroup",
    )
    assert looks["process_tree"].state == "looked"
