"""One aggregated API that lists nothing: no error, and yet never cached.

A metrics adapter without any metric does so. Everything is asked for again in every command, and
the adapter, which must look into its own sources, takes its time.
"""

from dataclasses import replace
from typing import Final

from kubelag.lab.faults.contract import HaFault
from kubelag.lab.ha.server_trouble import ServerTrouble

EMPTY: Final = "external.metrics.k8s.io/v1beta1"
"""What KEDA brings."""
ANSWER_S: Final = 0.5

FAULT: HaFault = ServerTrouble(
    id="apiservice_empty",
    expected=("api_service_empty",),
    how_to_see=f"kubelag lab exec -- kubectl get --raw /apis/{EMPTY}",
    describe=f"{EMPTY} lists no resource, and takes {ANSWER_S:g} s to say so.",
    change=lambda usual: replace(
        usual,
        empty_group_versions=(EMPTY,),
        latency_by_prefix={f"/apis/{EMPTY}": ANSWER_S},
    ),
    path=f"/apis/{EMPTY}",
    least_s=ANSWER_S,
    names=(EMPTY, "v1beta1.external.metrics.k8s.io"),
    cold=False,
)
