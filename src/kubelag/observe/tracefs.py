"""Watches the system calls of a process tree through a private tracefs instance, as root.

Nothing is stopped: the kernel writes two records per call into a ring buffer. They do not tell
what a call acts on: of slow calls that is seen while they are in flight (`in_flight`).

Differences to strace: a call's `pid` is the thread's; exec's path is what was run in the end.
"""

import contextlib
import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from kubelag.model.evidence import Look, Process, Syscall
from kubelag.observe.tracefs_instance import Instance, TracefsRoot
from kubelag.observe.tracefs_lines import TraceLine, parse_trace_line, strace_name
from kubelag.observe.tracefs_story import Story

Depth = Literal["narrow", "files"]

_NARROW = (
    "fsync fdatasync sync_file_range syncfs sync rename renameat renameat2 connect execve execveat "
    "wait4 waitid"
)
_FILES = (
    "open openat openat2 creat close mkdir mkdirat unlink unlinkat rmdir newstat newlstat "
    "newfstatat statx getdents64 fchmod chmod fchmodat fchmodat2 write pwrite64 readlink "
    "readlinkat access faccessat faccessat2 flock"
)
_TASKS = (
    "syscalls:sys_enter_exit_group",
    "task:task_newtask",
    "sched:sched_process_exec",
    "sched:sched_process_exit",
    "sock:inet_sock_set_state",
)
_BUFFERS_KB = 65536
"""For all processors together; a record takes about 50 bytes, so this is a million of them."""
_BUFFER_KB = 4096
"""At most, for one processor: 80,000 records between two drains."""
_DRAIN_S = 0.5
_READ_BYTES = 65536
_MAX_TEXT_BYTES = 256 << 20
"""Text kept at most: two million records; what comes later is counted as lost."""
_INIT_PID_NAMESPACE = "pid:[4026531836]"
"""PROC_PID_INIT_INO, include/linux/proc_ns.h."""


def probe() -> str | None:
    """None where this process may record, otherwise one sentence why not."""
    if os.geteuid() != 0:
        return "tracefs may only be used by root"
    if _pid_namespace() != _INIT_PID_NAMESPACE:
        return "tracefs numbers processes as the host does, and this is a container"
    try:
        root = TracefsRoot()
    except OSError as error:
        return f"tracefs cannot be mounted here ({error.strerror})"
    try:
        return _why_unusable(root)
    finally:
        root.close()


def _why_unusable(root: TracefsRoot) -> str | None:
    needed = ("syscalls:sys_enter_fsync", "task:task_newtask", "sched:sched_process_exec")
    if not all(root.has_event(event) for event in needed):
        return "the kernel has no system call events (CONFIG_FTRACE_SYSCALLS)"
    if not os.access(root.path / "instances", os.W_OK):
        return "tracefs is read-only here"
    return None


def _pid_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


class TracefsRecorder:
    """Records from `start` to `stop`; the process should wait until `start` has returned.

    Args:
        depth: `narrow` for syncs, renames, connections and processes; `files` for every call on
            files too.
    """

    def __init__(self, depth: Depth = "narrow") -> None:
        self._depth = depth
        self._root: TracefsRoot | None = None
        self._instance: Instance | None = None
        self._drain: _Drain | None = None
        self._pid = 0
        self._recorded: tuple[str, ...] = ()
        self._begun: tuple[int, int] = (0, 0)

    def start(self, pid: int) -> str | None:
        """Record this process and all it starts from now on.

        Returns:
            None where recording is on, otherwise one sentence why not, with nothing left behind.
        """
        self._pid = pid
        try:
            self._open(pid)
        except OSError as error:
            self._close()
            return f"tracefs refused to record ({error.strerror})"
        return None

    def stop(self) -> tuple[tuple[Syscall, ...], tuple[Process, ...], Look]:
        """End the recording, remove the instance, and say what was seen."""
        if self._instance is None or self._drain is None:
            look = Look(
                observer="syscalls", state="could_not_look", how="tracefs was not recording"
            )
            return (), (), look
        try:
            self._instance.write("tracing_on", "0")
            ended = _clocks()
            text, dropped = self._drain.stop()
            lost = self._instance.lost_events() + dropped
        finally:
            self._close()
        story = Story(
            root=self._pid,
            begun_ns=self._begun[0],
            to_wall_ns=_Conversion(self._begun, ended).to_wall_ns,
        )
        for line in _lines(text):
            story.feed(line)
        calls = story.syscalls(ended[0])
        return calls, story.processes(), self._look(len(calls), lost)

    def _look(self, events: int, lost: int) -> Look:
        return Look(
            observer="syscalls",
            state="looked",
            how=f"tracefs, {self._depth}",
            events=events,
            lost=lost,
            recorded=self._recorded,
        )

    def _open(self, pid: int) -> None:
        self._root = TracefsRoot()
        self._root.remove_stale()
        self._instance = Instance(self._root)
        self._instance.write("trace_clock", "mono")
        self._instance.write("buffer_size_kb", str(_buffer_kb()))
        self._instance.write("options/event-fork", "1")
        self._instance.write("set_event_pid", " ".join(_threads(pid)))
        names = _existing(self._root, self._depth)
        self._recorded = tuple(map(strace_name, names))
        self._instance.enable((*_tasks(self._root), *_pairs(names)))
        self._drain = _Drain(self._instance.path / "trace_pipe")
        self._begun = _clocks()

    def _close(self) -> None:
        if self._drain is not None:
            self._drain.stop()
        if self._instance is not None:
            self._instance.remove()
        if self._root is not None:
            self._root.close()
        self._instance, self._root, self._drain = None, None, None


class _Drain:
    """Empties the ring buffer from time to time, so that it does not overflow; parses nothing."""

    def __init__(self, pipe: Path) -> None:
        self._fd = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._chunks: list[bytes] = []
        self._bytes = 0
        self._dropped = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="trace-drain", daemon=True)
        self._thread.start()

    def stop(self) -> tuple[bytes, int]:
        """The whole text and how many lines did not fit; a second call gives the same."""
        if not self._end.is_set():
            self._end.set()
            self._thread.join()
            self._empty()
            os.close(self._fd)
        return b"".join(self._chunks), self._dropped

    def _loop(self) -> None:
        while not self._end.wait(_DRAIN_S):
            self._empty()

    def _empty(self) -> None:
        # An empty buffer says so by EAGAIN while tracing is on, and by an end of file after.
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._fd, _READ_BYTES):
                self._keep(chunk)

    def _keep(self, chunk: bytes) -> None:
        if self._bytes >= _MAX_TEXT_BYTES:
            self._dropped += chunk.count(b"\n")
            return
        self._chunks.append(chunk)
        self._bytes += len(chunk)


class _Conversion:
    """From the monotonic clock to the wall clock, which may have been adjusted in between."""

    def __init__(self, begin: tuple[int, int], end: tuple[int, int]) -> None:
        self._begin, self._end = begin, end

    def to_wall_ns(self, mono_ns: int) -> int:
        """The same moment on the wall clock; exact at both ends, linear between."""
        (mono_a, wall_a), (mono_b, wall_b) = self._begin, self._end
        drift_ns = (wall_b - wall_a) - (mono_b - mono_a)
        share_ns = drift_ns * (mono_ns - mono_a) // max(1, mono_b - mono_a)
        return wall_a + (mono_ns - mono_a) + share_ns


def _clocks() -> tuple[int, int]:
    """(monotonic, wall) at one moment, as closely as three attempts come."""
    pairs = []
    for _ in range(3):
        before, wall, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        pairs.append((after - before, (before + after) // 2, wall))
    _, mono, wall = min(pairs)
    return mono, wall


def _lines(text: bytes) -> Iterable[TraceLine]:
    """One byte is one character here: a program's name fills its columns in bytes."""
    for line in text.decode("latin-1").split("\n"):
        event = parse_trace_line(line)
        if event is not None:
            yield event


def _existing(root: TracefsRoot, depth: Depth) -> list[str]:
    names = _NARROW.split() if depth == "narrow" else [*_NARROW.split(), *_FILES.split()]
    return [name for name in names if root.has_event(f"syscalls:sys_enter_{name}")]


def _pairs(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        yield f"syscalls:sys_enter_{name}"
        yield f"syscalls:sys_exit_{name}"


def _tasks(root: TracefsRoot) -> list[str]:
    return [event for event in _TASKS if root.has_event(event)]


def _threads(pid: int) -> list[str]:
    return os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - names, not paths


def _buffer_kb() -> int:
    return max(64, min(_BUFFER_KB, _BUFFERS_KB // (os.cpu_count() or 1)))
