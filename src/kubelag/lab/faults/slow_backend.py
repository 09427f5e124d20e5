"""One API server of three answers slowly; it is alive, so that every health check is content."""

from dataclasses import replace
from typing import Final

from kubelag.errors import LabError
from kubelag.lab.faults.contract import HaFault, Scene
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.plan import SERVED_PORT
from kubelag.lab.ha.scenes import MANY_CONNECTIONS, get_nodes, new_kubectl
from kubelag.lab.ha.timing import play

SLOW: Final = 1
"""The second master: not the one that usually has the shared address."""
LATENCY_S: Final = 1.0
NOTICEABLE_S: Final = LATENCY_S / 2


class SlowBackend:
    """Two thirds of the connections are fast."""

    id = "slow_backend"
    expected = ("backend_unwell",)
    how_to_see = (
        "kubelag lab exec -- bash -c 'time curl -sk https://master2.ha.kubelag.test:6443/version'"
    )

    def component(self, ha: HaLab) -> tuple[str, ...]:
        """The second master's API server."""
        return (ha.masters[SLOW].name, ha.masters[SLOW].address)

    def on(self, ha: HaLab) -> None:
        """Tell one to take its time."""
        ha.reconfigure(SLOW, replace(ha.plan.options, latency_s=LATENCY_S))

    def off(self, ha: HaLab) -> None:
        """Tell it to be as it was."""
        ha.calm()

    def see(self, ha: HaLab) -> str:
        """Ask each one by itself."""
        took_s = {host.name: self._ask(ha, host.address) for host in ha.masters}
        slow_s = took_s.pop(ha.masters[SLOW].name)
        if slow_s < max(took_s.values()) + NOTICEABLE_S:
            raise LabError(
                f"{ha.masters[SLOW].name} answered in {slow_s:.2f} s, the others in {took_s}",
                f"kubelag lab fault {self.id} off, then on again",
            )
        others = ", ".join(f"{name} in {one_s:.2f} s" for name, one_s in took_s.items())
        return f"{ha.masters[SLOW].name} answers in {slow_s:.2f} s, {others}"

    def scene(self, ha: HaLab) -> Scene:
        """Many connections, so that each run meets the slow one."""
        name = ha.masters[SLOW].name
        return get_nodes(
            ha,
            environment=MANY_CONNECTIONS,
            describe=f"The API server of {name} takes {LATENCY_S:g} s for each answer.",
        )

    def _ask(self, ha: HaLab, address: str) -> float:
        kubeconfig = ha.kubeconfig(url=f"https://{address}:{SERVED_PORT}")
        scene = Scene(
            command=(str(new_kubectl()), "get", "--raw", "/version"),
            environment={**ha.environment(), "KUBECONFIG": str(kubeconfig)},
            cold=False,
        )
        return play(ha, scene)


FAULT: HaFault = SlowBackend()
