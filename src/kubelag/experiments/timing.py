"""Runs one variant unobserved, and times it."""

import os
import re
import subprocess
import time
from dataclasses import dataclass, replace

from kubelag.experiments.contract import Variant
from kubelag.experiments.scratch import Scratch
from kubelag.kube.command import with_global_flags
from kubelag.launch.ending import end_tree
from kubelag.launch.waiting import Tick, wait_exit

# A line of any client is shorter; arbitrary.
_COMPLAINT_BYTES = 4096
_WITH_FIGURES = re.compile(r"\S*\d\S*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """How one run went."""

    wall_ns: int
    exit_code: int
    complaint: str = ""
    """The last line that it wrote to standard error, without anything that has a figure: two runs
    that fail alike have the same. Compared only, never shown; empty unless it was wanted."""


def run_timed(variant: Variant, scratch: Scratch, tick: Tick) -> Timed:
    """Run it once with its own cache; `tick` hears the elapsed seconds ten times a second.

    Raises:
        NotApplicableError: Where its cache directory cannot be made.
    """
    return _spawn(argv_in_place(variant, scratch), variant, tick)


def argv_in_place(variant: Variant, scratch: Scratch) -> tuple[str, ...]:
    """The variant's words with a cache of its own, on a disk that owes nothing to earlier runs.

    Raises:
        NotApplicableError: Where its cache directory cannot be made.
    """
    directory = scratch.place(
        variant.cache,
        server=variant.cache_server,
        stubs=variant.stubs,
        fills_gaps=variant.fills_gaps,
    )
    argv = variant.argv
    if directory is not None:
        argv = with_global_flags(argv, {"--cache-dir": str(directory)})
    scratch.settle(scratch.same_file_system())
    return argv


def _spawn(argv: tuple[str, ...], variant: Variant, tick: Tick) -> Timed:
    if not variant.keeps_complaint:
        return _timed(argv, variant, tick, subprocess.DEVNULL)
    # In anonymous memory: nothing has to read along while the clock runs.
    fd = os.memfd_create("kubelag-complaint", os.MFD_CLOEXEC)
    try:
        timed = _timed(argv, variant, tick, fd)
        return replace(timed, complaint=_complaint(fd))
    finally:
        os.close(fd)


def _complaint(fd: int) -> str:
    """What is left of the last line once addresses, ports, times and ids are out of it."""
    size = os.fstat(fd).st_size
    lines = os.pread(fd, _COMPLAINT_BYTES, max(0, size - _COMPLAINT_BYTES)).splitlines()
    last = next((line for line in reversed(lines) if line.strip()), b"")
    return _WITH_FIGURES.sub("#", last.decode(errors="replace"))


def _timed(argv: tuple[str, ...], variant: Variant, tick: Tick, stderr: int) -> Timed:
    start_ns = time.perf_counter_ns()
    with subprocess.Popen(
        argv,
        env=dict(variant.env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        pass_fds=variant.pass_fds,
        preexec_fn=variant.child.before_exec(),  # noqa: PLW1509 - no other thread runs meanwhile
    ) as process:
        try:
            wait_exit(process.pid, tick)
        except BaseException:
            end_tree(process.pid)
            raise
        return Timed(wall_ns=time.perf_counter_ns() - start_ns, exit_code=process.wait())
