"""A directory whose disk is slow, of the kind that this machine and user allow."""

import os
import statistics
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from kubelag.errors import LabError
from kubelag.lab.passthrough import Latency
from kubelag.lab.private_files import make_private_directory
from kubelag.lab.slow_disk import block_obstacle, mount_disk, write_delay_ms
from kubelag.lab.slow_fuse import fuse_obstacle, mount_fuse
from kubelag.lab.state import Ledger, state_directory

Kind = Literal["auto", "block", "fuse"]

INCIDENT_FSYNC_MS = 60.0
"""About what the founding incident's disk needed; its arithmetic was 300 writes x 60 ms."""
SAMPLES = 5
"""How many syncs are timed after one that is thrown away; 0.4 s in all at 60 ms. Arbitrary."""
SAMPLE_BYTES = 2000
"""About the size of one discovery document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowDirectory:
    """A mounted slow directory; closing it takes every part of it away."""

    path: Path
    kind: Literal["block", "fuse"]
    device: str | None
    """Kernel name of the block device, for example `loop3`; None for FUSE."""
    fsync_ms: float
    """Median of what an fsync really took right after mounting."""
    describe: str
    """One sentence for the reader."""
    _ledger: Ledger = field(repr=False)
    _entries: range = field(repr=False)
    _owns_ledger: bool = field(repr=False)

    def close(self) -> None:
        """Unmount and remove everything; may be called twice.

        Raises:
            LabError: Something would not go; it stays written down for the next clean-up.
        """
        self._ledger.reap(self._entries)
        if self._owns_ledger:
            self._ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def why_no_slow_disk() -> str:
    """What cannot be shown on this machine by this user, in one sentence; empty where all can."""
    if not block_obstacle() or not fuse_obstacle():
        return ""
    return (
        "There can be no slow disk here, so the incident cannot be shown and a run on the "
        f"ordinary disk is explained instead: {block_obstacle()}, and {fuse_obstacle()}."
    )


def open_slow_directory(  # noqa: PLR0913 - one directory, and the knobs of its slowness
    directory: Path,
    *,
    fsync_ms: float = INCIDENT_FSYNC_MS,
    kind: Kind = "auto",
    metadata_ms: float = 0.0,
    flush_ms: float = 0.0,
    read_ms: int = 0,
    journal_mib: int | None = None,
    ledger: Ledger | None = None,
) -> SlowDirectory:
    """Make a slow directory.

    Args:
        directory: A path that does not exist yet; becomes private (0700) and holds all parts.
        fsync_ms: About how long an fsync of a new small file is to take.
        kind: A block device (root), FUSE, or the first of both that works.
        metadata_ms: FUSE only: added to each lookup, open, create, mkdir and rename.
        flush_ms: FUSE only: added to each close.
        read_ms: Block device only: added to each read that the page cache does not answer.
        journal_mib: Block device only: size of ext4's journal.
        ledger: Where the parts are written down; without one it keeps its own.

    Raises:
        LabError: That kind is impossible here; nothing is left behind.
    """
    latency = Latency(fsync_ms=fsync_ms, metadata_ms=metadata_ms, flush_ms=flush_ms)
    book = ledger or _own_ledger()
    problems = []
    for one in _kinds(kind, latency):
        order = _Order(
            directory=directory,
            kind=one,
            latency=latency,
            read_ms=read_ms,
            journal_mib=journal_mib,
        )
        try:
            return _open_one(order, book, owns_ledger=ledger is None)
        except LabError as error:
            problems.append(error)
    if ledger is None:
        book.close()
    if len(problems) == 1:
        raise problems[0]
    raise LabError("; ".join(problem.message for problem in problems), "repair one of them")


def measure_fsync_ms(directory: Path) -> float:
    """Median time of an fsync of a new small file; the first one is thrown away."""
    samples_ms = []
    for number in range(SAMPLES + 1):
        path = directory / f".probe-{os.getpid()}-{number}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, bytes(SAMPLE_BYTES))
            start_s = time.perf_counter()
            os.fsync(descriptor)
            samples_ms.append((time.perf_counter() - start_s) * 1000)
        finally:
            os.close(descriptor)
            path.unlink()
    return statistics.median(samples_ms[1:])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    directory: Path
    kind: Literal["block", "fuse"]
    latency: Latency
    read_ms: int
    journal_mib: int | None


def _kinds(kind: Kind, latency: Latency) -> tuple[Literal["block", "fuse"], ...]:
    if kind != "auto":
        return (kind,)
    if latency.metadata_ms or latency.flush_ms:  # a block device knows neither
        return ("fuse",)
    return ("block", "fuse")


def _open_one(order: _Order, ledger: Ledger, *, owns_ledger: bool) -> SlowDirectory:
    start = ledger.mark()
    with ExitStack() as undo:
        undo.callback(lambda: ledger.reap(range(start, ledger.mark())))
        ledger.make_directory(order.directory)
        path, device = _mount(order, ledger)
        fsync_ms = measure_fsync_ms(path)
        undo.pop_all()
    return SlowDirectory(
        path=path,
        kind=order.kind,
        device=device,
        fsync_ms=fsync_ms,
        describe=_describe(order, device, fsync_ms),
        _ledger=ledger,
        _entries=range(start, ledger.mark()),
        _owns_ledger=owns_ledger,
    )


def _mount(order: _Order, ledger: Ledger) -> tuple[Path, str | None]:
    if order.kind == "fuse":
        return mount_fuse(order.directory, order.latency, ledger), None
    return mount_disk(
        order.directory,
        delay_ms=write_delay_ms(order.latency.fsync_ms),
        read_ms=order.read_ms,
        journal_mib=order.journal_mib,
        ledger=ledger,
    )


def _describe(order: _Order, device: str | None, fsync_ms: float) -> str:
    if order.kind == "block":
        delay_ms = write_delay_ms(order.latency.fsync_ms)
        return (
            f"an ext4 on the block device {device} with {delay_ms} ms for each write: "
            f"one fsync takes {fsync_ms:.0f} ms"
        )
    extra = f", {order.latency.metadata_ms:g} ms for each lookup, open, create and rename"
    return (
        f"a FUSE file system: one fsync takes {fsync_ms:.0f} ms"
        f"{extra if order.latency.metadata_ms else ''}"
    )


def _own_ledger() -> Ledger:
    state = make_private_directory(state_directory(os.environ, is_root=os.geteuid() == 0))
    return Ledger.open(state / f"disk-{uuid.uuid4().hex}")
