"""The founding incident with everything around it: only the disk of the client's node is slow.

kubectl 1.20.2 syncs every cache write; the shared address, HAProxy, every API server, DNS, TLS and
the network are well, and the report must say so with figures.
"""

import os
import time
from pathlib import Path

from kubelag.errors import LabError
from kubelag.lab.faults.contract import HaFault, Scene
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.scenes import get_nodes, old_kubectl
from kubelag.lab.slow_directory import INCIDENT_FSYNC_MS, open_slow_directory

HOME_LINK = "slow-home"
"""In the lab's directory; leads to the home on the slow disk while the fault is on."""
SYNCS = 3


class IncidentHa:
    """A slow disk under the home directory on the client's node."""

    id = "incident_ha"
    expected = ("discovery_cache_fsync",)
    how_to_see = (
        'kubelag lab exec -- bash -c \'cd "$HOME"/../slow-home; time dd if=/dev/zero of=x '
        "bs=2k count=5 oflag=dsync'"
    )

    def component(self, _ha: HaLab) -> tuple[str, ...]:
        """The disk has no name that a headline must have."""
        return ()

    def on(self, ha: HaLab) -> None:
        """Mount the slow disk, which the lab unmounts by itself at the end."""
        old_kubectl()
        disk = open_slow_directory(
            ha.directory / f"slow-disk-{ha.ledger.mark()}",
            fsync_ms=INCIDENT_FSYNC_MS,
            ledger=ha.ledger,
        )
        home = disk.path / "home"
        home.mkdir(mode=0o700)
        self._link(ha).symlink_to(home)

    def off(self, ha: HaLab) -> None:
        """The disk is gone already; so goes what led to it."""
        self._link(ha).unlink(missing_ok=True)

    def see(self, ha: HaLab) -> str:
        """Sync a few small files there."""
        if not self._link(ha).exists():
            raise LabError("There is no slow disk", f"kubelag lab fault {self.id} on")
        took_ms = [_sync_ms(self._home(ha) / ".probe") for _ in range(SYNCS)]
        if min(took_ms) < INCIDENT_FSYNC_MS / 2:
            raise LabError(f"Syncs took {took_ms} ms", f"kubelag lab fault {self.id} off")
        return f"{SYNCS} syncs on the disk of {ha.client.name} took {min(took_ms):.0f} ms or more"

    def scene(self, ha: HaLab) -> Scene:
        """`kubectl get nodes`, cold, by kubectl 1.20.2."""
        return get_nodes(
            ha,
            kubectl=old_kubectl(),
            environment={"HOME": os.fspath(self._home(ha))},
            describe="The home directory of the client's node is on a slow disk.",
        )

    def _home(self, ha: HaLab) -> Path:
        return self._link(ha).resolve()

    def _link(self, ha: HaLab) -> Path:
        return ha.directory / HOME_LINK


def _sync_ms(path: Path) -> float:
    """Milliseconds of one fsync of a new small file."""
    with path.open("wb") as stream:
        stream.write(bytes(2000))
        stream.flush()
        start_s = time.perf_counter()
        os.fsync(stream.fileno())
        took_ms = (time.perf_counter() - start_s) * 1000
    path.unlink()
    return took_ms


FAULT: HaFault = IncidentHa()
