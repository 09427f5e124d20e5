"""Starts, names, finds again and ends the processes of one control plane."""

import contextlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from kubelag.errors import LabError

TERMINATE_S = 5.0
"""How long a server may take to end by itself. Arbitrary; etcd needs about 0.1 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRecord:
    """One process, named so that a later process with the same id is not mistaken for it."""

    name: str
    pid: int
    start_ticks: int
    """Start time since boot in clock ticks; proc(5), field 22 of `stat`. Unlike a time since the
    epoch it stays the same when somebody sets the clock."""


def spawn(
    name: str,
    argv: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str],
    pass_fds: Sequence[int] = (),
) -> ProcessRecord:
    """Start a process of its own session, with its output in a private log."""
    log.touch(mode=0o600)
    with log.open("ab") as stream:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            env=dict(environment),
            pass_fds=pass_fds,
            start_new_session=True,
        )
    # it cannot be gone from the process table before somebody waits for it
    start_ticks = _start_ticks(process.pid) or 0
    _disown(process)
    return ProcessRecord(name=name, pid=process.pid, start_ticks=start_ticks)


def _disown(process: "subprocess.Popen[bytes]") -> None:
    # psutil waits for it later, maybe in another process; the handle must not complain then
    process.returncode = 0


def is_running(record: ProcessRecord) -> bool:
    """Whether that very process still runs; a zombie does not."""
    process = find(record)
    try:
        return process is not None and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def find(record: ProcessRecord) -> psutil.Process | None:
    """The process, unless it is gone or its id belongs to another one now."""
    if _start_ticks(record.pid) != record.start_ticks:
        return None
    try:
        return psutil.Process(record.pid)
    except psutil.NoSuchProcess:
        return None


def _start_ticks(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # the program's name, in parentheses, may hold spaces and parentheses of its own
    return int(stat.rpartition(")")[2].split()[19])


def end(records: Sequence[ProcessRecord]) -> None:
    """End the processes one after another in this order, by force where asking fails.

    Raises:
        LabError: One cannot be ended.
    """
    for record in records:
        if is_running(record):
            _end_running(record)
        if find(record) is not None:
            # a zombie now, and maybe our child, whom nobody else can bury
            with contextlib.suppress(ChildProcessError):
                os.waitpid(record.pid, os.WNOHANG)


def _end_running(record: ProcessRecord) -> None:
    process = psutil.Process(record.pid)
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
        if _is_gone_within(process, TERMINATE_S):
            return
        process.kill()
        if not _is_gone_within(process, TERMINATE_S):
            raise LabError(
                f"{record.name} (process {record.pid}) does not end even when killed",
                "look for what it waits for in /proc/PID/stack",
            )


def _is_gone_within(process: psutil.Process, timeout_s: float) -> bool:
    try:
        process.wait(timeout_s)
    except psutil.TimeoutExpired:
        return process.status() == psutil.STATUS_ZOMBIE
    return True


def last_words(log: Path, lines: int = 3) -> str:
    """The last lines of a log, for an error message."""
    try:
        words = log.read_text(errors="replace").splitlines()[-lines:]
    except OSError:
        return ""
    return " / ".join(word.strip() for word in words if word.strip())
