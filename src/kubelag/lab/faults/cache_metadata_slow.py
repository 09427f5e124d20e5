"""A home on a file system whose every lookup costs a round trip, as NFS over a long line."""

from collections.abc import Iterator
from contextlib import contextmanager

from kubelag.lab.faults.contract import Fault, LabParts, Scene
from kubelag.lab.faults.stage import staged
from kubelag.lab.slow_directory import open_slow_directory
from kubelag.lab.slow_fuse import fuse_obstacle

METADATA_MS = 2.0
"""A cold run of 77 group-versions makes about 2000 such operations, nearly all one after another
(they lock the directory): 2 ms gave 4.4 s, 20 ms gave 41 s."""


class CacheMetadataSlow:
    """A cold new kubectl, which never fsyncs, on a FUSE file system."""

    id = "cache_metadata_slow"
    expected = ("cache_metadata_slow",)

    def obstacle(self) -> str:
        """No FUSE."""
        return fuse_obstacle()

    @contextmanager
    def inject(self, parts: LabParts) -> Iterator[Scene]:
        """Mount the file system, and put the home on it."""
        with staged(parts, self.id) as stage:
            control_plane = stage.start_control_plane()
            disk = open_slow_directory(
                stage.directory / "disk",
                kind="fuse",
                fsync_ms=0,
                metadata_ms=METADATA_MS,
                ledger=parts.ledger,
            )
            yield stage.get_nodes(
                parts.kubectl,
                stage.home(below=disk.path),
                control_plane.kubeconfig(),
                describe=f"The home directory is on {disk.describe}.",
            )


FAULT: Fault = CacheMetadataSlow()
