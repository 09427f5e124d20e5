"""Watches the system calls of a process tree with `strace --seccomp-bpf`, without root.

Two depths: `narrow` stops only at the calls that explain most slow commands; `files` stops at every
file call, costs about twice the wall time, and is asked for only when the narrow run leaves too
much unexplained (docs/performance.md has the figures). Renames are left to sampling (`in_flight`)
in a narrow run: a client makes one or two for each of its cache entries, and stopping at each
costs more than all the rest.

Strings are never decoded (`-s 0`), so no argument, token or body passes through here; file names
are not strings in strace's sense and are kept whole.
"""

import fcntl
import math
import os
import select
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Literal

from kubelag.model.evidence import Look, Process, Syscall
from kubelag.observe.strace_lines import TraceParser

Depth = Literal["narrow", "files"]

_NARROW = (
    "fsync fdatasync sync_file_range syncfs sync connect execve execveat wait4 waitid exit_group "
    "clone clone3 fork vfork"
)
_FILES = (
    f"{_NARROW} rename renameat renameat2 open openat creat close mkdir mkdirat unlink unlinkat "
    "newfstatat stat lstat statx getdents64 fchmod chmod fchmodat write pwrite64 readlink "
    "readlinkat access faccessat faccessat2 flock"
)
# strace runs a new thread in single steps, from call to call, until the first one that the filter
# stops at; Go and the C libraries make one of these at the start of each thread.
_AT_THREAD_START = "gettid set_robust_list rseq"
_PIPE_BYTES = 1 << 20
"""/proc/sys/fs/pipe-max-size, what anybody may ask for."""
_PAUSE_S = 0.1
"""Between two looks into a pipe of that size; 3,000 lines in 0.25 s, the most seen, are a sixth."""
_POLL_S = 0.1
_PATIENCE_S = 5.0
"""With a strace that goes on after the command's end; arbitrary."""
_PARSE_BYTES = 1 << 20
"""Parsing takes a processor from the command, so a short run's lines wait for its end."""
# A missing ptrace permission shows at once; 10 s is far above any healthy start of strace.
_PROBE_TIMEOUT_S = 10.0


def probe() -> str | None:
    """None where strace can watch a child of ours, otherwise one sentence why not."""
    strace = shutil.which("strace")
    if strace is None:
        return "strace is not installed; install the package strace"
    argv = [strace, "-f", "--seccomp-bpf", "-qq", "-e", "trace=execve", "-o", os.devnull, strace]
    try:
        done = subprocess.run(
            [*argv, "-V"], capture_output=True, timeout=_PROBE_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"strace could not be tried: {error}"
    if done.returncode == 0:
        return None
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return f"strace may not trace here ({said[-1] if said else done.returncode})"


def names_of(depth: Depth) -> tuple[str, ...]:
    """The calls that are recorded."""
    return tuple((_NARROW if depth == "narrow" else _FILES).split())


def strace_argv(depth: Depth, fd: int) -> list[str]:
    """The words before the command; the command itself stays our direct child (`-D`)."""
    names = (*names_of(depth), *_AT_THREAD_START.split())
    # The question mark: not every architecture has every call.
    calls = ",".join(f"?{name}" for name in names)
    return [
        *("strace", "-D", "-f", "--seccomp-bpf", "-qq", "-ttt", "-T", "-y", "-s", "0"),
        *("-e", "signal=none", "-e", f"trace={calls}", "-o", f"/dev/fd/{fd}", "--"),
    ]


class StraceRecorder:
    """Prefixes a command with strace and reads what it says from a pipe, never from a file."""

    def __init__(self, depth: Depth) -> None:
        self._depth = depth
        self._parser = TraceParser()
        self._read_fd, self._write_fd = os.pipe()
        with suppress(OSError):  # the user has too many pipes of that size already
            fcntl.fcntl(self._write_fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._ended = threading.Event()
        self._deadline_s = math.inf
        self._thread = threading.Thread(target=self._read, daemon=True)

    @property
    def pass_fds(self) -> tuple[int, ...]:
        """The pipe that strace writes to."""
        return (self._write_fd,)

    def argv(self, command: Sequence[str]) -> list[str]:
        """The command under strace; it needs `pass_fds`."""
        return [*strace_argv(self._depth, self._write_fd), *command]

    def started(self, pid: int) -> None:  # noqa: ARG002 - strace knows its child itself
        """Call right after the command was started."""
        os.close(self._write_fd)
        self._thread.start()

    def abandon(self) -> None:
        """Call instead of `started` where the command could not be started."""
        os.close(self._write_fd)
        os.close(self._read_fd)

    def stop(self, end_ns: int) -> tuple[tuple[Syscall, ...], tuple[Process, ...], Look]:
        """What was seen, in order of start; calls still running are cut at `end_ns`."""
        self._deadline_s = time.monotonic() + _PATIENCE_S
        self._ended.set()
        self._thread.join()
        calls = sorted(
            (*self._parser.syscalls, *self._parser.pending_at(end_ns)), key=lambda c: c.start_ns
        )
        return tuple(calls), self._parser.processes(), self._look(calls)

    def _look(self, calls: Sequence[Syscall]) -> Look:
        if not any(call.name.startswith("execve") for call in calls):
            how = "strace ended before it saw the command start"
            return Look(observer="syscalls", state="could_not_look", how=how)
        return Look(
            observer="syscalls",
            state="looked",
            how=f"strace --seccomp-bpf, {self._depth}",
            events=len(calls),
            lost=self._parser.bad_lines,
            recorded=names_of(self._depth),
        )

    def _read(self) -> None:
        text = bytearray()
        for chunk in self._chunks():
            text += chunk
            if len(text) >= _PARSE_BYTES:
                text = self._parse(text)
        self._parse(text + b"\n")
        os.close(self._read_fd)

    def _chunks(self) -> Iterator[bytes]:
        """Until strace has ended, which it does with its last tracee.

        A daemon that the command left behind must not hold us.
        """
        ready = select.poll()
        ready.register(self._read_fd, select.POLLIN)
        pause_s = _PAUSE_S * fcntl.fcntl(self._read_fd, fcntl.F_GETPIPE_SZ) / _PIPE_BYTES
        while time.monotonic() < self._deadline_s:
            # To be woken for every line would cost the command more than the lines themselves.
            has_ended = self._ended.wait(pause_s)
            if ready.poll(_POLL_S * 1000 if has_ended else 0):
                chunk = os.read(self._read_fd, _PIPE_BYTES)
                if not chunk:
                    return
                yield chunk

    def _parse(self, text: bytearray) -> bytearray:
        """Take in the whole lines; returns what is left of the last."""
        *lines, rest = text.split(b"\n")
        for line in lines:
            self._parser.feed(line.decode(errors="replace"))
        return rest
