"""Packets to the shared address vanish, as behind a firewall that drops: nobody says no.

A Go client dials for 30 s, and kubectl tries five times: the scene bounds each try, so that a run
takes seconds and not minutes. It fails, with or without that bound.
"""

from typing import Final

from kubelag.lab.faults.contract import HaFault, Scene
from kubelag.lab.ha.lab import HaLab, spot
from kubelag.lab.ha.plan import NAME
from kubelag.lab.ha.scenes import get_nodes
from kubelag.lab.network.impair.black_hole import BlackHole
from kubelag.lab.network.impair.cable import Spot

PATIENCE_S: Final = 2
"""Of each try."""


class ServerUnreachable:
    """A way that swallows."""

    id = "server_unreachable"
    expected = ("server_unreachable",)
    how_to_see = f"kubelag lab exec -- curl -skSm 3 https://{NAME}:8443/livez"

    def component(self, ha: HaLab) -> tuple[str, ...]:
        """The shared address."""
        return (ha.vip,)

    def on(self, ha: HaLab) -> None:
        """Swallow what the client's node sends there."""
        self._hole(ha).on()

    def off(self, ha: HaLab) -> None:
        """Let pass."""
        self._hole(ha).off()

    def see(self, ha: HaLab) -> str:
        """Send packets there."""
        owner = Spot(host=ha.wait_owner().namespace, address=ha.vip)
        return self._hole(ha).see(spot(ha.client), owner)

    def scene(self, ha: HaLab) -> Scene:
        """`kubectl get nodes`, cold; it fails."""
        return get_nodes(
            ha,
            describe=f"Packets to {ha.vip} vanish.",
            arguments=("get", "nodes", f"--request-timeout={PATIENCE_S}s"),
        )

    def _hole(self, ha: HaLab) -> BlackHole:
        return BlackHole(cable=ha.cable(ha.client), address=ha.vip)


FAULT: HaFault = ServerUnreachable()
