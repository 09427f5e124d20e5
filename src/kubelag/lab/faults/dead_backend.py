"""The API server of one master is gone, and the balancers do not check whether it is there.

Every third connection is given to the dead one. HAProxy is refused, waits a second, tries the same
one again, and hangs up after three tries: the client is connected to the VIP at once, waits, and
begins anew. With `option redispatch` and round robin HAProxy would go to another server at once,
and nothing would be slow; without that line, which is its default, this happens. kubectl tries
again by itself from 1.22 on. So that each run meets it, the round robin is turned (`ha.turning`):
with many connections at once kubectl just uses those that are there.
"""

from dataclasses import replace
from typing import Final

from kubelag.errors import LabError
from kubelag.lab.faults.contract import HaFault, Scene
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.scenes import TURNER, get_nodes
from kubelag.lab.ha.timing import connect_errors, raw
from kubelag.lab.ha.turning import wait_turned

DEAD: Final = 1
"""The second master: not the one that usually has the shared address."""
RETRIES: Final = 3
"""HAProxy's own default, with a second between two tries of the same server."""


class DeadBackend:
    """No process, a port that refuses."""

    id = "dead_backend"
    expected = ("backend_unwell",)
    how_to_see = "kubelag lab exec -- curl -skS https://master2.ha.kubelag.test:6443/livez"

    def component(self, ha: HaLab) -> tuple[str, ...]:
        """The second master's API server."""
        return (ha.masters[DEAD].name, ha.masters[DEAD].address)

    def on(self, ha: HaLab) -> None:
        """End it, after the balancers have been told to believe in it."""
        ha.rebalance(replace(ha.usual_balancer, check="none", retries=RETRIES, redispatch=False))
        ha.members[DEAD].stop()
        ha.start_helper(ha.masters[0], TURNER, ha.masters[DEAD].name)

    def off(self, ha: HaLab) -> None:
        """Start it again, and let the balancers check."""
        ha.calm()
        ha.rebalance(ha.usual_balancer)

    def see(self, ha: HaLab) -> str:
        """Connect once, and ask the balancer how it went."""
        name = ha.masters[DEAD].name
        if ha.members[DEAD].is_running():
            raise LabError(f"The API server of {name} runs", f"kubelag lab fault {self.id} on")
        wait_turned(ha, name)
        before = connect_errors(ha)[name]
        took_s, problem = raw(ha, "/livez")
        errors = connect_errors(ha)[name] - before
        if not errors:
            raise LabError(f"{name} refused no connection", f"kubelag lab fault {self.id} off")
        wait_turned(ha, name)
        return (
            f"a connection took {took_s:.2f} s ({problem or 'and was served'}); "
            f"HAProxy counts {errors} failed tries at {name}"
        )

    def scene(self, ha: HaLab) -> Scene:
        """`kubectl get nodes`, cold, which begins with the dead one."""
        name = ha.masters[DEAD].name
        return get_nodes(
            ha,
            describe=f"The API server of {name} is gone, and HAProxy does not check.",
        )


FAULT: HaFault = DeadBackend()
