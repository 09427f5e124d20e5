"""The shared address moves to another master while the command runs.

A process on the client's node watches its connections, and as soon as one has lived for a moment it
has the owner's keepalived stopped, or the preferred one's started again: each run meets one move.
The new owner knows nothing of the old connection. Who speaks to it is reset at once; who waits for
an answer waits until it checks the connection, which client-go does after 30 s. The scene has it
check after a second, so that a run takes seconds and not half a minute.
"""

from dataclasses import replace
from typing import Final

from kubelag.errors import LabError
from kubelag.lab.faults.contract import HaFault, Scene
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.scenes import get_nodes
from kubelag.lab.ha.timing import play

MOVER: Final = "kubelag.lab.ha.moving"
LATENCY_S: Final = 0.1
"""Of each answer."""
CHUNK: Final = 2
"""Pods on a page: ten pages, after which client-go would slow itself down. So the command lasts
1.5 s, and is still asking when the address moves, about a second after it has begun."""
CHECKED: Final = {"HTTP2_READ_IDLE_TIMEOUT_SECONDS": "1", "HTTP2_PING_TIMEOUT_SECONDS": "1"}
"""client-go's own are 30 and 15 s."""


class VipFailover:
    """keepalived in mid-run."""

    id = "vip_failover"
    expected = ("virtual_address_moved", "connection_died")
    how_to_see = (
        f"kubelag lab exec -- env {' '.join(f'{name}={value}' for name, value in CHECKED.items())} "
        f"sh -c 'for n in 1 2; do kubectl get pods -A --chunk-size={CHUNK} >/dev/null; "
        "sleep 3; ip neigh; done'"
    )

    def component(self, ha: HaLab) -> tuple[str, ...]:
        """The shared address."""
        return (ha.vip,)

    def on(self, ha: HaLab) -> None:
        """Start what moves the address."""
        self.set_stage(ha)
        ha.start_helper(ha.client, MOVER)

    def set_stage(self, ha: HaLab) -> None:
        """Make the command last."""
        if ha.plan.kind == "embedded":
            ha.reconfigure_all(replace(ha.plan.options, latency_s=LATENCY_S))

    def off(self, ha: HaLab) -> None:
        """Let every master share again; the preferred one gets the address back."""
        ha.stop_keepalived(ha.masters[0])  # which may be about to end already
        ha.start_keepalived(ha.masters[0])
        ha.wait_owner(ha.masters[:1])
        ha.calm()

    def see(self, ha: HaLab) -> str:
        """Run the scene's command once, and look who has the address before and after."""
        before = ha.wait_owner()
        took_s = play(ha, self.scene(ha))
        after = ha.wait_owner()
        if before == after:
            raise LabError(f"{ha.vip} stayed on {before.name}", f"kubelag lab fault {self.id} off")
        return f"{ha.vip} moved from {before.name} to {after.name} in a run of {took_s:.2f} s"

    def scene(self, ha: HaLab) -> Scene:
        """Every pod, page by page, by a client that checks silent connections soon."""
        return get_nodes(
            ha,
            arguments=("get", "pods", "-A", f"--chunk-size={CHUNK}"),
            environment=CHECKED,
            describe=f"{ha.vip} moves to another master while the command runs.",
        )


FAULT: HaFault = VipFailover()
