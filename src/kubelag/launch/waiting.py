"""Waits for a child of ours to end: wakes exactly then, and often enough to show progress."""

import os
import select
import time
from collections.abc import Callable
from resource import struct_rusage

TICK_S = 0.1

Tick = Callable[[float], None]
"""Hears the elapsed seconds about ten times a second."""


def wait_exit(pid: int, tick: Tick) -> None:
    """Return as soon as the process has ended; it stays to be reaped by the caller."""
    start_s = time.perf_counter()
    fd = os.pidfd_open(pid)
    try:
        while not select.select([fd], [], [], TICK_S)[0]:
            tick(time.perf_counter() - start_s)
    finally:
        os.close(fd)


def reap(pid: int) -> tuple[int, struct_rusage]:
    """Wait status and resources of a process that has ended or is about to."""
    _, status, rusage = os.wait4(pid, 0)
    return status, rusage
