"""Ends a process of ours with all that it started: asked first, then made to."""

import ctypes
import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

GRACE_S = 2.0
"""How long a command may take to end after it was asked to. Arbitrary; a second Ctrl-C cuts it."""

# A tree that forks faster than it is killed is looked through again; arbitrary.
_ROUNDS = 5
_PR_SET_CHILD_SUBREAPER = 36


class _Known(NamedTuple):
    """One process, told apart from a later one with the same id."""

    pid: int
    parent_pid: int
    start_ticks: int


def end_tree(pid: int, ask: signal.Signals = signal.SIGTERM, grace_s: float = GRACE_S) -> None:
    """End our child and everything below it; the child itself stays to be reaped by the caller.

    Args:
        pid: A child that was not reaped yet.
        ask: The signal that asks.
        grace_s: How long they may take before they are killed.
    """
    with _adopting_orphans() as adopted, ExitStack() as stack:
        held = _hold(stack, {pid})
        _signal(held, ask)
        with suppress(KeyboardInterrupt):  # asked for twice: no more patience
            _wait_ended(held, grace_s)
        for _ in range(_ROUNDS):
            living = {pid for pid, fd in held.items() if not _has_ended(fd)}
            # What was forked meanwhile is found below those, or has become ours.
            held |= _hold(stack, living | adopted())
            if all(_has_ended(fd) for fd in held.values()):
                return
            _signal(held, signal.SIGKILL)
            _wait_ended(held, GRACE_S)


@contextmanager
def _adopting_orphans() -> Iterator[Callable[[], set[int]]]:
    """Whose parent ends becomes our child meanwhile; tells which ones did, and reaps them."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    ours = _children()
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def adopted() -> set[int]:
        return _children() - ours

    try:
        yield adopted
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        for pid in adopted():
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def _children() -> set[int]:
    return {known.pid for known in _processes() if known.parent_pid == os.getpid()}


def _hold(stack: ExitStack, roots: set[int]) -> dict[int, int]:
    """A descriptor for each process of these trees, so that no id can come to mean another."""
    held: dict[int, int] = {}
    for known in _trees(roots):
        with suppress(ProcessLookupError):
            fd = os.pidfd_open(known.pid)
            stack.callback(os.close, fd)
            now = _read(known.pid)
            if now and now.start_ticks == known.start_ticks:
                held[known.pid] = fd
    return held


def _processes() -> list[_Known]:
    names = (path.name for path in Path("/proc").glob("[0-9]*"))
    return [known for name in names if (known := _read(int(name)))]


def _trees(roots: set[int]) -> list[_Known]:
    processes = _processes()
    inside = set(roots)
    while grown := {one.pid for one in processes if one.parent_pid in inside} - inside:
        inside |= grown
    return [known for known in processes if known.pid in inside]


def _read(pid: int) -> _Known | None:
    """What proc_pid_stat(5) says behind the name; None where the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return _Known(pid=pid, parent_pid=int(fields[1]), start_ticks=int(fields[19]))


def _signal(held: Mapping[int, int], number: signal.Signals) -> None:
    for fd in held.values():
        with suppress(ProcessLookupError, PermissionError):  # a setuid child is not ours to end
            signal.pidfd_send_signal(fd, number)


def _wait_ended(held: Mapping[int, int], timeout_s: float) -> None:
    """Return when all have ended, or when the time is over."""
    until_s = time.monotonic() + timeout_s
    for fd in held.values():
        _has_ended(fd, max(0.0, until_s - time.monotonic()))


def _has_ended(fd: int, timeout_s: float = 0.0) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(timeout_s * 1e3))
