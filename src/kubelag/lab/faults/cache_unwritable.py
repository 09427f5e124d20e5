"""A file lies where the cache directory should be, so that nothing can be cached.

A file in the way stops root as well, whom permissions would not stop. An old kubectl then fetches
discovery three times for every command, which exceeds its own limit of requests.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.faults.contract import Fault, LabParts, Scene
from kubelag.lab.faults.stage import staged

OPTIONS = ControlPlaneOptions(group_versions=58)
"""181 requests for every command instead of 1. Beyond about 165, kubectl 1.20.2 holds itself back
to 5 a second: 45 group-versions gave 0.1 s, 62 (193 requests) 5.8 s, 77 (238 requests) 11.7 s."""
REMOTE_OPTIONS = ControlPlaneOptions(latency_s=0.15)
"""For a new kubectl, which fetches once and has no such limit: a server some way off, where
discovery costs three round trips more."""


class CacheUnwritable:
    """Every command is a cold one."""

    id = "cache_unwritable"
    expected = ("cache_unwritable",)

    def obstacle(self) -> str:
        """None: works everywhere."""
        return ""

    @contextmanager
    def inject(self, parts: LabParts) -> Iterator[Scene]:
        """Put the file in the way; the run is not `cold`, since a fresh directory would be fine."""
        with staged(parts, self.id) as stage:
            old_kubectl = parts.find_old_kubectl()
            options = OPTIONS if old_kubectl else REMOTE_OPTIONS
            control_plane = stage.start_control_plane(options)
            home = stage.home()
            (home / ".kube").mkdir(mode=0o700)
            (home / ".kube" / "cache").touch(mode=0o600)
            yield stage.get_nodes(
                old_kubectl or parts.kubectl,
                home,
                control_plane.kubeconfig(),
                cold=False,
                describe="A file lies where the cache directory should be.",
            )


FAULT: Fault = CacheUnwritable()
