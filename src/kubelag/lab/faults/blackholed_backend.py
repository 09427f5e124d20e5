"""Packets to one API server vanish, and the balancers do not check it.

Nobody refuses: HAProxy waits for each try until its own `timeout connect`, and goes to another
server then. Keepalived's adverts still arrive, so that the shared address stays where it is. So
that each run meets it, the round robin is turned (`ha.turning`).
"""

from dataclasses import replace
from typing import Final

from kubelag.lab.faults.contract import HaFault, Scene
from kubelag.lab.ha.lab import HaLab, spot
from kubelag.lab.ha.plan import SERVED_PORT
from kubelag.lab.ha.scenes import TURNER, get_nodes
from kubelag.lab.ha.turning import wait_turned
from kubelag.lab.network.impair.black_hole import BlackHole

LOST: Final = 1
"""The second master: not the one that usually has the shared address."""
TIMEOUT_CONNECT_S: Final = 2.0
"""HAProxy waits so long once; with round robin the next try goes to another server at once."""


class BlackholedBackend:
    """A process that is well, behind a way that swallows."""

    id = "blackholed_backend"
    expected = ("backend_unwell",)
    how_to_see = "kubelag lab exec -- curl -skSm 3 https://master2.ha.kubelag.test:6443/livez"

    def component(self, ha: HaLab) -> tuple[str, ...]:
        """The second master's API server."""
        return (ha.masters[LOST].name, ha.masters[LOST].address)

    def on(self, ha: HaLab) -> None:
        """Swallow, after the balancers have been told to believe in it."""
        usual = ha.usual_balancer
        ha.rebalance(replace(usual, check="none", timeout_connect_s=TIMEOUT_CONNECT_S))
        self._hole(ha).on()
        ha.start_helper(ha.masters[0], TURNER, ha.masters[LOST].name)

    def off(self, ha: HaLab) -> None:
        """Let pass, and let the balancers check."""
        self._hole(ha).off()
        ha.rebalance(ha.usual_balancer)

    def see(self, ha: HaLab) -> str:
        """Send packets there."""
        seen = self._hole(ha).see(spot(ha.masters[LOST]), spot(ha.masters[0]))
        wait_turned(ha, ha.masters[LOST].name)
        return seen

    def scene(self, ha: HaLab) -> Scene:
        """`kubectl get nodes`, cold, which begins with the lost one."""
        name = ha.masters[LOST].name
        return get_nodes(
            ha,
            describe=f"Packets to the API server of {name} vanish, and HAProxy does not check.",
        )

    def _hole(self, ha: HaLab) -> BlackHole:
        host = ha.masters[LOST]
        return BlackHole(
            cable=ha.cable(host), address=host.address, port=SERVED_PORT, direction="to_host"
        )


FAULT: HaFault = BlackholedBackend()
