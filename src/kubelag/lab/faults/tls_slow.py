"""A box before the balancers holds back the server's part of every TLS handshake."""

from typing import Final

from kubelag.errors import LabError
from kubelag.lab.faults.contract import HaFault, Scene
from kubelag.lab.faults.in_the_way import behind, box, put_box, take_box
from kubelag.lab.faults.name_trouble import health_by_address_s
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.plan import NAME
from kubelag.lab.ha.scenes import get_nodes
from kubelag.lab.ha.server_trouble import FAST_S, HEALTH
from kubelag.lab.ha.timing import raw
from kubelag.lab.network.middlebox import MiddleboxSettings

DELAY_S: Final = 1.5
"""Far below the 10 s after which a Go client gives a handshake up."""


class TlsSlow:
    """Connected at once, secured late."""

    id = "tls_slow"
    expected = ("tls_slow",)
    how_to_see = f"kubelag lab exec -- bash -c 'time curl -sk https://{NAME}:8443/livez'"

    def component(self, _ha: HaLab) -> tuple[str, ...]:
        """Neither the API servers nor the client."""
        return ("what stands before the API servers",)

    def on(self, ha: HaLab) -> None:
        """Put the box in the way."""
        settings = MiddleboxSettings(mode="slow_tls", upstreams=(behind(ha),), delay_s=DELAY_S)
        put_box(ha, settings)

    def off(self, ha: HaLab) -> None:
        """Lead past it again."""
        take_box(ha)

    def see(self, ha: HaLab) -> str:
        """Ask the API server for its health through the box and past it."""
        before = box(ha).counts.get("connections", 0)
        through_s, problem = raw(ha, HEALTH)
        past_s = health_by_address_s(ha)  # the counts are up to date when it is done
        connections = box(ha).counts.get("connections", 0) - before
        if problem or not connections or through_s < past_s + DELAY_S - FAST_S:
            raise LabError(
                f"{HEALTH} took {through_s:.2f} s through the box, {past_s:.2f} s past it "
                f"({problem or 'both answered'})",
                f"kubelag lab fault {self.id} off, then on again",
            )
        return (
            f"{HEALTH} takes {through_s:.2f} s through the box at {ha.proxy.address}, which held "
            f"back {connections} handshake, and {past_s:.2f} s past it"
        )

    def scene(self, ha: HaLab) -> Scene:
        """`kubectl get nodes`, cold."""
        return get_nodes(
            ha, describe=f"A box before the balancers adds {DELAY_S:g} s to each TLS handshake."
        )


FAULT: HaFault = TlsSlow()
