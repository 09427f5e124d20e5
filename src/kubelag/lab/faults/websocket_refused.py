"""The API servers let no WebSocket through, and take their time to say so, as gateways do.

kubectl tries a WebSocket first, is refused, and asks again with SPDY. The lab runs nothing in its
pods, so that SPDY is refused as well, and the command fails, with the fault and without it. It
might change something, and is therefore watched once and never repeated.
"""

import time
from dataclasses import replace
from typing import Final

from kubelag.errors import LabError
from kubelag.lab.faults.contract import HaFault, Scene
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.scenes import get_nodes

NAMESPACE: Final = "default"
POD: Final = "pod1"
"""The lab's pods are numbered, and the first one is there."""
REFUSED_AFTER_S: Final = 0.6
"""SPDY is answered at once."""
TOLD: Final = ("-v=4", "RemoteCommand fallback")
"""What has kubectl tell that it falls back, and how it does. Source: fallback.go of client-go."""
REFUSAL: Final = "no WebSocket"
"""In the words of the lab's API server, which any other reason for a fallback lacks."""


class WebsocketRefused:
    """A way for requests and not for streams."""

    id = "websocket_refused"
    expected = ("websocket_fallback",)
    how_to_see = f"kubelag lab exec -- kubectl -v=6 exec {POD} -- true"

    def component(self, _ha: HaLab) -> tuple[str, ...]:
        """What is refused."""
        return ("WebSockets",)

    def on(self, ha: HaLab) -> None:
        """Tell all three."""
        if ha.plan.kind != "embedded":
            raise LabError(
                "A real API server cannot be told to refuse WebSockets",
                "use --control-plane embedded",
            )
        ha.reconfigure_all(
            replace(ha.plan.options, is_websocket_refused=True, websocket_refusal_s=REFUSED_AFTER_S)
        )

    def off(self, ha: HaLab) -> None:
        """Tell them to be as they were."""
        ha.calm()

    def see(self, ha: HaLab) -> str:
        """Run the scene's command once, and read what kubectl tells of it."""
        scene = self.scene(ha)
        kubectl, *arguments = scene.command
        start_s = time.perf_counter()
        done = ha.run(kubectl, TOLD[0], *arguments, environment=scene.environment)
        took_s = time.perf_counter() - start_s
        told = [line for line in done.stderr.splitlines() if TOLD[1] in line]
        if not told or REFUSAL not in told[0] or took_s < REFUSED_AFTER_S:
            raise LabError(
                f"A run took {took_s:.2f} s, and {told[0] if told else 'told of no fallback'}",
                f"look whether {kubectl} is 1.31 or newer",
            )
        return f"kubectl falls back from WebSockets to SPDY in a run of {took_s:.2f} s"

    def scene(self, ha: HaLab) -> Scene:
        """`kubectl exec`, warm but for its own connection."""
        scene = get_nodes(
            ha,
            arguments=("exec", "--namespace", NAMESPACE, POD, "--", "true"),
            cold=False,
            describe=f"The API servers refuse WebSockets after {REFUSED_AFTER_S:g} s.",
        )
        return replace(scene, explain_options=("--once",), exit_code=1)


FAULT: HaFault = WebsocketRefused()
