"""Watches the system calls of a process tree with `strace --seccomp-bpf`, without root.

Two depths: `narrow` stops only at the calls that explain most slow commands (about 1.1 times
the wall time on a 150 ms run, diagnosis.md section 3.1); `files` stops at every file call (about
3 times), and is asked for only when the narrow run leaves too much unexplained.

Strings are never decoded (`-s 0`), so no argument, token or body passes through here; file names
are not strings in strace's sense and are kept whole.
"""

import os
import shutil
import subprocess
import threading
from collections.abc import Sequence
from typing import Literal

from kubelag.model.evidence import Look, Process, Syscall
from kubelag.observe.strace_lines import TraceParser

Depth = Literal["narrow", "files"]

_NARROW = (
    "fsync,fdatasync,sync_file_range,syncfs,sync,rename,renameat,renameat2,connect,"
    "execve,execveat,wait4,waitid,exit_group,clone,clone3,?fork,?vfork"
)
_FILES = (
    _NARROW + ",?open,openat,?creat,close,?mkdir,mkdirat,?unlink,unlinkat,newfstatat,?stat,?lstat,"
    "statx,getdents64,fchmod,?chmod,fchmodat,write,pwrite64,?readlink,readlinkat,"
    "?access,faccessat,?faccessat2,flock"
)
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


def strace_argv(depth: Depth, fd: int) -> list[str]:
    """The words before the command; the command itself stays our direct child (`-D`)."""
    calls = _NARROW if depth == "narrow" else _FILES
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
        # strace ends with its last tracee; a daemon left behind by the command must not hold us.
        self._thread.join(timeout=5)
        calls = sorted(
            (*self._parser.syscalls, *self._parser.pending_at(end_ns)), key=lambda c: c.start_ns
        )
        look = Look(
            observer="syscalls",
            state="looked",
            how=f"strace --seccomp-bpf, {self._depth}",
            events=len(calls),
            lost=self._parser.bad_lines,
        )
        return tuple(calls), self._parser.processes(), look

    def _read(self) -> None:
        with os.fdopen(self._read_fd, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                self._parser.feed(line.rstrip("\n"))
