"""HTTPS_PROXY names a machine that is gone: packets to it vanish.

A Go client dials it for 30 s, and kubectl tries five times: the scene bounds each try, so that a
run takes seconds and not minutes. It fails, with or without that bound.
"""

from typing import Final

from kubelag.lab.faults.contract import HaFault, Scene
from kubelag.lab.faults.proxy_trouble import PROXY_PORT, through_proxy
from kubelag.lab.ha.building import PROXY
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.scenes import get_nodes
from kubelag.lab.network.impair.nobody import NobodyThere
from kubelag.lab.network.lan import address_of

PATIENCE_S: Final = 1
"""Of each try."""


class ProxyDead:
    """An address without anybody."""

    id = "proxy_dead"
    expected = ("proxy_slow",)
    how_to_see = f"kubelag lab exec -- curl -skSm 3 http://{address_of(PROXY)}:{PROXY_PORT}/"

    def component(self, ha: HaLab) -> tuple[str, ...]:
        """The proxy."""
        return (ha.proxy.address,)

    def on(self, ha: HaLab) -> None:
        """Let packets to it vanish."""
        self._nobody(ha).on()

    def off(self, ha: HaLab) -> None:
        """Ask again who is there."""
        self._nobody(ha).off()

    def see(self, ha: HaLab) -> str:
        """Try to connect to it."""
        return self._nobody(ha).see(PROXY_PORT)

    def scene(self, ha: HaLab) -> Scene:
        """`kubectl get nodes`, cold, through the proxy; it fails."""
        return get_nodes(
            ha,
            describe="HTTPS_PROXY names a proxy that is gone.",
            environment=through_proxy(ha),
            arguments=("get", "nodes", f"--request-timeout={PATIENCE_S}s"),
        )

    def _nobody(self, ha: HaLab) -> NobodyThere:
        return NobodyThere(
            host=ha.client.namespace, interface=ha.client.interface, address=ha.proxy.address
        )


FAULT: HaFault = ProxyDead()
