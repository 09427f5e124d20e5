"""The command's connection is forgotten on the way while it is in use; new ones pass.

A process on the client's node waits until a kubectl's connection has been up for a moment, and has
everything swallowed that belongs to it (`ha.forgetting`): each run meets it once. kubectl waits for
an answer that never comes, until it checks the connection, which client-go does after 30 s, and
gives it up 15 s later. The scene has it check earlier, but not so early that no more than a lost
packet could be seen: what it sends is repeated four times until then.
"""

from dataclasses import replace
from typing import Final

from kubelag.errors import LabError
from kubelag.lab.faults.contract import HaFault, Scene
from kubelag.lab.ha.forgetting import remember
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.scenes import get_nodes
from kubelag.lab.ha.timing import backends_met, play

FORGETTER: Final = "kubelag.lab.ha.forgetting"
LATENCY_S: Final = 0.05
"""Of each answer: the command lasts, 0.8 s, and no server counts as slow."""
CHUNK: Final = 2
"""Pods on a page: ten pages, so that the command is still asking when it is forgotten."""
CHECK_S: Final = 1
PING_S: Final = 4
"""client-go's own are 30 and 15 s. Repeats come 0.2, 0.6, 1.4 and 3 s after the ping (RFC 6298)."""
CONNECTIONS: Final = 2
"""The forgotten one, and another one instead."""


class ConnectionForgotten:
    """A way that remembers no more."""

    id = "connection_forgotten"
    expected = ("connection_died",)
    how_to_see = (
        "kubelag lab exec -- sh -c 'kubectl get pods -A --chunk-size=2 >/dev/null & sleep 5; "
        "ss -tno; kill $!'"
    )

    def component(self, ha: HaLab) -> tuple[str, ...]:
        """Where the connection led."""
        return (ha.vip,)

    def on(self, ha: HaLab) -> None:
        """Make the command last, and start what forgets its connection."""
        self.set_stage(ha)
        ha.start_helper(ha.client, FORGETTER)

    def set_stage(self, ha: HaLab) -> None:
        """Let every answer take a moment."""
        if ha.plan.kind == "embedded":
            ha.reconfigure_all(replace(ha.plan.options, latency_s=LATENCY_S))

    def off(self, ha: HaLab) -> None:
        """The forgetful process is gone already; so goes what it did."""
        remember(ha)
        ha.calm()

    def see(self, ha: HaLab) -> str:
        """Run the scene's command once, and count the connections that it needed."""
        before = sum(backends_met(ha).values())
        took_s = play(ha, self.scene(ha))
        count = sum(backends_met(ha).values()) - before
        if took_s < CHECK_S + PING_S or count < CONNECTIONS:
            raise LabError(
                f"A run took {took_s:.2f} s and {count} connections",
                f"kubelag lab fault {self.id} off, then on again",
            )
        return f"a run of {took_s:.2f} s needed {count} connections: the first one was forgotten"

    def scene(self, ha: HaLab) -> Scene:
        """Every pod, page by page, by a client that checks silent connections soon."""
        return get_nodes(
            ha,
            arguments=("get", "pods", "-A", f"--chunk-size={CHUNK}"),
            environment={
                "HTTP2_READ_IDLE_TIMEOUT_SECONDS": str(CHECK_S),
                "HTTP2_PING_TIMEOUT_SECONDS": str(PING_S),
            },
            describe=f"The command's connection to {ha.vip} is forgotten while it is in use.",
        )


FAULT: HaFault = ConnectionForgotten()
