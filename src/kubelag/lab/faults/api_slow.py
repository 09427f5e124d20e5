"""Three API servers that take long for every answer: no balancer can help."""

from dataclasses import replace
from typing import Final

from kubelag.lab.faults.contract import HaFault
from kubelag.lab.ha.server_trouble import ServerTrouble

LATENCY_S: Final = 0.3
"""A cold run waits four times: /api, /apis, all group-versions at once, the nodes."""

FAULT: HaFault = ServerTrouble(
    id="api_slow",
    expected=("api_server_slow",),
    how_to_see="kubelag lab exec -- bash -c 'time kubectl get --raw /version'",
    describe=f"Every API server takes {LATENCY_S:g} s for each answer.",
    change=lambda usual: replace(usual, latency_s=LATENCY_S),
    path="/version",
    least_s=LATENCY_S,
)
