"""One aggregated API whose server is down: 503 after half a second, never cached.

The list of APIs is incomplete then, so that the client asks for it again in every command.
"""

from dataclasses import replace
from typing import Final

from kubelag.lab.faults.contract import HaFault
from kubelag.lab.ha.server_trouble import ServerTrouble

BROKEN: Final = "metrics.k8s.io/v1beta1"
"""What metrics-server brings, the most common aggregated API."""
FAILING_S: Final = 0.5
"""The aggregator takes so long to find out; kubectl 1.33 asks four times, one after another."""

FAULT: HaFault = ServerTrouble(
    id="apiservice_503",
    expected=("api_service_broken",),
    how_to_see=f"kubelag lab exec -- bash -c 'time kubectl get --raw /apis/{BROKEN}'",
    describe=f"{BROKEN} answers 503 after {FAILING_S:g} s.",
    change=lambda usual: replace(
        usual,
        unavailable_group_versions=(BROKEN,),
        latency_by_prefix={f"/apis/{BROKEN}": FAILING_S},
    ),
    path=f"/apis/{BROKEN}",
    least_s=FAILING_S,
    is_failing=True,
    names=(BROKEN, "v1beta1.metrics.k8s.io"),
    cold=False,
)
