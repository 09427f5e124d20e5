"""A directory whose disk is slow, of the kind that this machine and user allow."""

import os
import statistics
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from kubelag.errors import LabError
from kubelag.lab.passthrough import Latency
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
        journal_mib: Block device only: size of ext4's journal.
        ledger: Where the parts are written down; without one it keeps its own.

    Raises:
        LabError: That kind is impossible here; nothing is left behind.
    """
    own = None if ledger else _own_ledger()
    book = ledger or own
    assert book is not None
    wanted = [kind] if kind != "auto" else ["block", "fuse"]
    if metadata_ms or flush_ms:
        wanted.remove("block") if kind == "auto" else None
    ...
