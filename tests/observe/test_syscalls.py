"""strace as a recorder: whether it can be had, and what it tells of a real child."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from kubelag.model.evidence import Look, Process, Syscall
from kubelag.observe import syscalls
from kubelag.observe.strace_lines import TraceParser
from kubelag.observe.syscalls import Depth, StraceRecorder, strace_argv
from program import script

needs_strace = pytest.mark.skipif(syscalls.probe() is not None, reason=str(syscalls.probe()))

SYNC = """
import os
fd = os.open({before!r}, os.O_CREAT | os.O_WRONLY)
os.fsync(fd)
"""


def record(
    *argv: str, depth: Depth = "narrow"
) -> tuple[int, tuple[Syscall, ...], tuple[Process, ...], Look]:
    recorder = StraceRecorder(depth)
    words = recorder.argv(argv)
    with subprocess.Popen(words, pass_fds=recorder.pass_fds, stderr=subprocess.DEVNULL) as process:
        recorder.started(process.pid)
        code = process.wait()
    return code, *recorder.stop(time.time_ns())


def python(code: str) -> tuple[str, str, str]:
    return "/usr/bin/env", "python3", f"-c{code}"


@needs_strace
@pytest.mark.real
def test_a_sync_is_seen_with_its_file_and_times(tmp_path: Path) -> None:
    before = tmp_path / "before"
    start_ns = time.time_ns()
    code, calls, processes, look = record(
        *python(SYNC.format(before=str(before))),
    )
    end_ns = time.time_ns()
    assert code == 0
    by_name = {call.name: call for call in calls}
    assert by_name["fsync"].path == str(before)
    # strace writes microseconds.
    assert all(start_ns - 1000 <= call.start_ns <= call.end_ns <= end_ns for call in calls)
    assert (look.state, look.lost) == ("looked", 0)
    assert look.how == "strace --seccomp-bpf, narrow"
    assert len(processes) == 1
    assert processes[0].chain[0] == "/usr/bin/env"
    assert len(processes[0].chain) >= 2
    assert processes[0].exit_code == 0


@needs_strace
@pytest.mark.real
def test_every_file_call_is_seen_only_where_it_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "file"
    words = python(f"open('{file}', 'w').close()")
    narrow, deep = record(*words)[1], record(*words, depth="files")[1]
    assert str(file) not in {call.path for call in narrow}
    assert str(file) in {call.path for call in deep if call.name == "openat"}


@needs_strace
@pytest.mark.real
def test_a_failed_call_has_its_error_and_a_child_its_parent(tmp_path: Path) -> None:
    move = f"mv {tmp_path}/no {tmp_path}/where; exit 7"
    code, calls, processes, _ = record("sh", "-c", move, depth="files")
    assert code == 7
    assert "ENOENT" in {call.error for call in calls}
    parent, child = processes
    assert (parent.exit_code, child.parent_pid) == (7, parent.pid)
    assert child.program.endswith("/mv")


@needs_strace
@pytest.mark.real
def test_no_argument_is_seen() -> None:
    _, calls, processes, look = record("/usr/bin/env", "true", "planted-secret")
    assert "planted-secret" not in repr((calls, processes, look))


def test_a_command_that_was_not_started_leaves_no_descriptor() -> None:
    before = sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are all we need
    StraceRecorder("narrow").abandon()
    assert sorted(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - the same


def test_a_strace_that_saw_nothing_could_not_look() -> None:
    recorder = StraceRecorder("narrow")
    recorder.started(os.getpid())
    calls, processes, look = recorder.stop(time.time_ns())
    assert (calls, processes) == ((), ())
    assert (look.state, look.recorded) == ("could_not_look", ())


def test_lines_are_taken_in_whole_however_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syscalls, "_PARSE_BYTES", 10)
    monkeypatch.setattr(syscalls, "_PIPE_BYTES", 7)
    recorder = StraceRecorder("narrow")
    lines = (
        '7 1.000001 execve("/bin/x", ...) = 0 <0.000100>\n'
        "7 1.000200 fsync(3</c/x>) = 0 <0.060000>\n"
    )
    os.write(recorder.pass_fds[0], lines.encode())
    recorder.started(os.getpid())
    calls, _, look = recorder.stop(time.time_ns())
    assert [(call.name, call.path) for call in calls] == [("execve", "/bin/x"), ("fsync", "/c/x")]
    assert (look.events, look.lost) == (2, 0)


def test_what_is_traced_for_straces_own_sake_is_told_to_nobody() -> None:
    assert "?gettid" in " ".join(strace_argv("narrow", 7))
    parser = TraceParser()
    for line in (
        "7 1.000001 gettid() = 7 <0.000010>",
        "7 1.000100 set_robust_list(0x7f, 24) = 0 <0.000010>",
        "7 1.000200 rseq(0x7f, 32, 0, 0x53053053 <unfinished ...>",
    ):
        parser.feed(line)
    assert (parser.syscalls, parser.pending_at(2_000_000_000), parser.bad_lines) == ([], (), 0)
    assert [process.pid for process in parser.processes()] == [7]


@needs_strace
@pytest.mark.real
def test_a_daemon_that_the_command_left_behind_does_not_hold_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syscalls, "_PATIENCE_S", 0.2)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    # It makes calls all the time, until somebody writes to the gate.
    code = (
        "import os, select\n"
        "if os.fork() == 0:\n"
        f"    gate = os.open({str(fifo)!r}, os.O_RDWR)\n"
        "    while not select.select([gate], [], [], 0)[0]: os.system(':')\n"
    )
    exit_code, calls, _, look = record(*python(code))
    fifo.write_text("end")
    assert exit_code == 0
    assert look.state == "looked"
    assert calls


def test_the_words_before_the_command_end_with_a_dash() -> None:
    words = strace_argv("narrow", 7)
    assert (words[0], words[-1], words[-2]) == ("strace", "--", "/dev/fd/7")
    assert words[words.index("-s") + 1] == "0"
    assert "openat" not in " ".join(words)
    assert "openat" in " ".join(strace_argv("files", 7))


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (None, "strace is not installed; install the package strace"),
        (["echo 'strace: not permitted' >&2", "exit 1"], "may not trace here (strace: not perm"),
        (["exit 3"], "strace may not trace here (3)"),
        (["exit 0"], None),
    ],
)
def test_why_it_cannot_be_used_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str] | None, why: str | None
) -> None:
    if lines is not None:
        script(tmp_path / "strace", *lines)
    monkeypatch.setenv("PATH", str(tmp_path))
    said = syscalls.probe()
    assert said == why if why is None else why in str(said)


def test_a_strace_that_hangs_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "strace", f"exec {shutil.which('sleep')} 1000")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(syscalls, "_PROBE_TIMEOUT_S", 0.1)
    assert str(syscalls.probe()).startswith("strace could not be tried: ")
