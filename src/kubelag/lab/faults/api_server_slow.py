"""An API server that takes long for every answer."""

from collections.abc import Iterator
from contextlib import contextmanager

from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.faults.contract import Fault, LabParts, Scene
from kubelag.lab.faults.stage import staged

LATENCY_S = 0.3
"""A cold run waits four times: /api, /apis, all group-versions at once, the nodes."""


class ApiServerSlow:
    """The client and its disk are fine."""

    id = "api_server_slow"
    expected = ("api_server_slow",)

    def obstacle(self) -> str:
        """None: works everywhere."""
        return ""

    @contextmanager
    def inject(self, parts: LabParts) -> Iterator[Scene]:
        """Start a slow server."""
        with staged(parts, self.id) as stage:
            control_plane = stage.start_control_plane(ControlPlaneOptions(latency_s=LATENCY_S))
            yield stage.get_nodes(
                parts.kubectl,
                stage.home(),
                control_plane.kubeconfig(),
                describe=f"The API server takes {LATENCY_S:g} s for each answer.",
            )


FAULT: Fault = ApiServerSlow()
