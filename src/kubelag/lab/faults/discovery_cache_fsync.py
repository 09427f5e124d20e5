"""The founding incident: kubectl before 1.25 fsyncs every cache write, one after another."""

from collections.abc import Iterator
from contextlib import contextmanager

from kubelag.lab.faults.contract import Fault, LabParts, Scene
from kubelag.lab.faults.stage import staged
from kubelag.lab.slow_directory import open_slow_directory, why_no_slow_disk


class DiscoveryCacheFsync:
    """A cold kubectl 1.20.2 whose home is on a disk with about 60 ms for an fsync: 10 s."""

    id = "discovery_cache_fsync"
    expected = ("discovery_cache_fsync",)

    def obstacle(self) -> str:
        """Neither a block device nor FUSE."""
        return why_no_slow_disk()

    @contextmanager
    def inject(self, parts: LabParts) -> Iterator[Scene]:
        """Mount the slow disk, and put the home on it."""
        with staged(parts, self.id) as stage:
            kubectl = stage.old_kubectl()
            control_plane = stage.start_control_plane()
            disk = open_slow_directory(stage.directory / "disk", ledger=parts.ledger)
            yield stage.get_nodes(
                kubectl,
                stage.home(below=disk.path),
                control_plane.kubeconfig(),
                describe=f"The home directory is on {disk.describe}.",
            )


FAULT: Fault = DiscoveryCacheFsync()
