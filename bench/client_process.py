"""Runs a program once, whole: its time, its peak memory, and what its children do after its end."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

LAUNCH = Path(__file__).with_name("client_launch.py")
_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_KIB_PER_MIB = 1024
_LAST_WORDS = 600
"""How much of a failed program's errors is shown. Arbitrary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One run that succeeded."""

    wall_s: float
    """From the start of the process to its end."""
    peak_mib: float
    """Resident at most, of one process."""
    behind_s: float
    """How much longer a child of it lived, which nobody waits for; 0 where there was none."""
    output: str
    errors: str


def run_whole(argv: Sequence[str], env: Mapping[str, str]) -> Ran:
    """Run to its end, and wait for the children that it left; ends the benchmark if it fails."""
    with _in_memory() as output, _in_memory() as errors, _adopting() as known:
        told = _launched(argv, env, (output.fileno(), errors.fileno()))
        wall_ns, peak_kib, code, ended_ns = (int(word) for word in told.split())
        behind_ns = time.perf_counter_ns() - ended_ns if _collect_adopted(known) else 0
        said = _text(errors)
        if code != 0:
            sys.exit(f"{Path(argv[0]).name} failed with {code}: {said[-_LAST_WORDS:]}")
        return Ran(
            wall_s=wall_ns / 1e9,
            peak_mib=peak_kib / _KIB_PER_MIB,
            behind_s=behind_ns / 1e9,
            output=_text(output),
            errors=said,
        )


def sync_file_system(path: Path) -> None:
    """Write out what its file system still owes, so that no run pays for another."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        ctypes.CDLL(None).syncfs(directory)
    finally:
        os.close(directory)


def _launched(argv: Sequence[str], env: Mapping[str, str], fds: tuple[int, int]) -> bytes:
    """What the launcher says; it ends if we are to end, and its program is then adopted."""
    launcher = [sys.executable, "-I", "-S", str(LAUNCH), *map(str, fds), *argv]
    quiet, pipe = subprocess.DEVNULL, subprocess.PIPE
    with subprocess.Popen(
        launcher, env=env, stdin=quiet, stdout=pipe, stderr=pipe, pass_fds=fds
    ) as one:
        try:
            told, errors = one.communicate()
        except BaseException:
            one.kill()
            raise
    if one.returncode != 0:
        sys.exit(f"{argv[0]} could not be run: {errors.decode()[-_LAST_WORDS:]}")
    return told


@contextmanager
def _adopting() -> Iterator[frozenset[int]]:
    """What our children leave becomes ours; yields those that we had before. None is left over."""
    libc = ctypes.CDLL(None)
    known = _children()
    libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield known
    finally:
        for pid in _children() - known:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _collect_adopted(known)
        libc.prctl(_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _collect_adopted(known: frozenset[int]) -> bool:
    """Wait for every child that is new, and for those that they leave; whether there was any."""
    is_any = False
    while adopted := _children() - known:
        is_any = True
        for pid in adopted:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
    return is_any


def _children() -> frozenset[int]:
    words = (path.read_text() for path in Path("/proc/self/task").glob("*/children"))
    return frozenset(int(pid) for text in words for pid in text.split())


@contextmanager
def _in_memory() -> Iterator[IO[bytes]]:
    with os.fdopen(os.memfd_create("kubelag-bench"), "r+b") as file:
        yield file


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
