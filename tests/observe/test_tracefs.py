"""The real tracefs instance: what it records, and that it never stays behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from kubelag.model.evidence import Look, Process, Syscall
from kubelag.observe import tracefs
from kubelag.observe.in_flight import InFlightWatcher
from kubelag.observe.sightings import complete
from kubelag.observe.tracefs import TracefsRecorder
from kubelag.observe.tracefs_instance import Instance, TracefsRoot, parse_lost

pytestmark = pytest.mark.real
DEADLINE_S = 20.0

SCRIPT = """
import os, socket, sys
os.chdir(sys.argv[1])
fd = os.open("temporary", os.O_RDWR | os.O_CREAT)
os.write(fd, b"x")
os.fsync(fd)
os.close(fd)
os.rename("temporary", "final")
s = socket.socket()
s.setblocking(False)
try:
    s.connect(("127.0.0.1", 9))
except OSError:
    pass
s.close()
open("gate").close()
os.system("exit 3")
"""


def wait_until(condition: Callable[[], bool]) -> None:
    """Look again and again until it is true; the deadline only ends a test that has failed."""
    deadline = time.monotonic() + DEADLINE_S
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        pause.wait(0.005)


def instances() -> list[str]:
    root = TracefsRoot()
    try:
        return [path.name for path in (root.path / "instances").glob("kubelag-*")]
    finally:
        root.close()


def of_process(pid: int) -> list[str]:
    return [name for name in instances() if name.startswith(f"kubelag-{pid}-")]


@pytest.fixture(scope="module", autouse=True)
def _usable() -> None:
    why = tracefs.probe()
    if why is not None:
        pytest.skip(f"no tracefs recorder was tried: {why}")


@contextmanager
def held(*argv: str) -> Iterator["tuple[subprocess.Popen[bytes], Callable[[], None]]"]:
    """A command behind a barrier, and what lets it go."""
    shell = ["/bin/sh", "-c", 'read -r _; exec "$@"', "sh", *argv]
    process = subprocess.Popen(shell, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.stdin is not None
    try:
        yield process, process.stdin.close
    finally:
        process.stdin.close()
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def recorded(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[tuple[Syscall, ...], tuple[Process, ...], Look, Path, int, float]:
    """One recorded run, with the wall time of its begin; its opening of the pipe is slow."""
    directory = tmp_path_factory.mktemp("recorded")
    os.mkfifo(directory / "gate")
    recorder = TracefsRecorder("files")
    with held(sys.executable, "-I", "-S", "-c", SCRIPT, str(directory)) as (process, release):
        assert recorder.start(process.pid) is None
        begin_ns = time.time_ns()
        release()
        watcher = InFlightWatcher(lambda: (process.pid,))
        watcher.start()
        gate = str(directory / "gate")
        wait_until(lambda: any(one.path == gate for _, one in (*watcher._open.values(),)))
        os.close(os.open(gate, os.O_WRONLY))
        process.wait()
    recorded_calls, processes, look = recorder.stop()
    calls = complete(recorded_calls, watcher.stop()[0], look.recorded, begin_ns)
    return calls, processes, look, directory, process.pid, begin_ns


def test_the_calls_of_the_command_are_recorded(
    recorded: tuple[tuple[Syscall, ...], tuple[Process, ...], Look, Path, int, float],
) -> None:
    calls, _, look, *_ = recorded
    names = {call.name for call in calls}
    assert {"execve", "openat", "write", "fsync", "close", "connect"} <= names
    assert (look.state, look.lost, look.events) == ("looked", 0, len(calls))
    assert names <= {*look.recorded}


def test_a_slow_call_has_the_full_path_behind_its_pointer(
    recorded: tuple[tuple[Syscall, ...], tuple[Process, ...], Look, Path, int, float],
) -> None:
    calls, _, _, directory, *_ = recorded
    slowest = max((call for call in calls if call.name == "openat"), key=length)
    assert slowest.path == str(directory / "gate")


def length(call: Syscall) -> int:
    return call.end_ns - call.start_ns


def test_times_are_on_the_wall_clock_and_in_order(
    recorded: tuple[tuple[Syscall, ...], tuple[Process, ...], Look, Path, int, float],
) -> None:
    calls, _, _, _, _, begin_ns = recorded
    starts = [call.start_ns for call in calls]
    assert starts == sorted(starts)
    # One millisecond for the reading of two clocks.
    assert begin_ns - 1_000_000 <= starts[0] <= calls[-1].end_ns <= time.time_ns()


def test_the_connection_has_its_address(
    recorded: tuple[tuple[Syscall, ...], tuple[Process, ...], Look, Path, int, float],
) -> None:
    calls, *_ = recorded
    assert [call.address for call in calls if call.name == "connect"] == ["127.0.0.1:9"]


def test_processes_are_told_with_parent_program_and_exit_code(
    recorded: tuple[tuple[Syscall, ...], tuple[Process, ...], Look, Path, int, float],
) -> None:
    _, processes, _, _, pid, _ = recorded
    root, child = processes
    assert (root.pid, root.parent_pid, root.exit_code) == (pid, None, 0)
    assert (child.parent_pid, child.program, child.exit_code) == (pid, "/bin/sh", 3)
    # The barrier's shell is not part of the story: recording began after it was executed.
    assert root.chain == (sys.executable,)


def test_narrow_leaves_file_calls_out(tmp_path: Path) -> None:
    recorder = TracefsRecorder("narrow")
    with held("/bin/sync", str(tmp_path)) as (process, release):
        assert recorder.start(process.pid) is None
        release()
        process.wait()
    names = {call.name for call in recorder.stop()[0]}
    assert "fsync" in names
    assert not names & {"openat", "close", "newfstatat"}


def test_nothing_of_other_processes_is_recorded() -> None:
    recorder = TracefsRecorder("files")
    with held("/bin/true") as (process, release):
        assert recorder.start(process.pid) is None
        subprocess.run(["/bin/true"], check=True)
        release()
        process.wait()
    assert {call.pid for call in recorder.stop()[0]} == {process.pid}


def test_no_instance_stays_after_stop() -> None:
    recorder = TracefsRecorder("narrow")
    with held("/bin/true") as (process, release):
        assert recorder.start(process.pid) is None
        assert of_process(os.getpid()) != []
        release()
        process.wait()
    recorder.stop()
    assert of_process(os.getpid()) == []


def test_a_process_that_is_gone_is_refused_in_one_sentence_with_nothing_left_behind() -> None:
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    recorder = TracefsRecorder("narrow")
    why = recorder.start(gone.pid)
    assert why is not None
    assert of_process(os.getpid()) == []
    assert recorder.stop()[2].state == "could_not_look"


KILLED = """
import sys, os, time
from kubelag.observe.tracefs import TracefsRecorder
assert TracefsRecorder("files").start(os.getpid()) is None
print("recording", flush=True)
sys.stdin.read()
"""


def test_no_instance_stays_after_a_kill_that_cannot_be_caught() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == b"recording\n"
        assert of_process(victim.pid) != []
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        wait_until(lambda: of_process(victim.pid) == [])


def test_what_a_dead_process_left_is_removed_at_the_next_start() -> None:
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    root = TracefsRoot()
    left = root.path / "instances" / f"kubelag-{gone.pid}-abcd"
    left.mkdir()
    try:
        root.remove_stale()
        assert not left.exists()
    finally:
        with suppress(OSError):
            left.rmdir()
        root.close()


def test_what_belongs_to_a_living_process_or_to_others_is_left_alone() -> None:
    root = TracefsRoot()
    instance = Instance(root)
    other = root.path / "instances" / f"not-kubelag-{os.getpid()}"
    other.mkdir()
    try:
        root.remove_stale()
        assert instance.path.exists()
        assert other.exists()
    finally:
        instance.remove()
        other.rmdir()
        root.close()


def test_the_mount_is_ours_alone() -> None:
    before = Path("/proc/self/mountinfo").read_text("utf-8")
    root = TracefsRoot()
    try:
        assert Path("/proc/self/mountinfo").read_text("utf-8") == before
    finally:
        root.close()


def test_lost_events_are_added_up_and_read_ones_are_not() -> None:
    stats = "entries: 5\noverrun: 7\ncommit overrun: 1\ndropped events: 2\nread events: 90\njunk"
    assert parse_lost(stats) == 10
