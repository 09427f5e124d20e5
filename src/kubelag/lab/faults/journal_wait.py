"""A new kubectl never fsyncs, and yet its renames wait for a slow disk: for ext4's journal.

The journal is small (1 MiB) and the disk slow, so that the some 600 changes of a cold run do not
fit in one transaction: openat, mkdirat and renameat wait until the journal has room. With mkfs's
own 4 MiB the same run took 0.3 to 0.6 s, depending on when the kernel happened to commit.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from kubelag.lab.faults.contract import Fault, LabParts, Scene
from kubelag.lab.faults.stage import staged
from kubelag.lab.slow_directory import open_slow_directory
from kubelag.lab.slow_disk import block_obstacle

FSYNC_MS = 120.0
"""40 ms for each write; 1.2 to 2 s for the cold run."""
JOURNAL_MIB = 1
"""The smallest that mkfs makes (1024 blocks of 1 KiB)."""


class JournalWait:
    """A cold new kubectl on a slow block device with a small journal."""

    id = "journal_wait"
    expected = ("cache_metadata_slow",)

    def obstacle(self) -> str:
        """No block device."""
        return block_obstacle()

    @contextmanager
    def inject(self, parts: LabParts) -> Iterator[Scene]:
        """Mount the slow disk, and put the home on it."""
        with staged(parts, self.id) as stage:
            control_plane = stage.start_control_plane()
            disk = open_slow_directory(
                stage.directory / "disk",
                kind="block",
                fsync_ms=FSYNC_MS,
                journal_mib=JOURNAL_MIB,
                ledger=parts.ledger,
            )
            yield stage.get_nodes(
                parts.kubectl,
                stage.home(below=disk.path),
                control_plane.kubeconfig(),
                describe=f"The home directory is on {disk.describe}; its journal has 1 MiB.",
            )


FAULT: Fault = JournalWait()
