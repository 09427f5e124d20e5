"""One aggregated API whose server takes the request and never answers: the aggregator gives up.

The aggregator's own limit is five seconds, four times one after another; the lab's is shorter, so
that a run takes seconds and not a third of a minute.
"""

from dataclasses import replace
from typing import Final

from kubelag.lab.faults.contract import HaFault
from kubelag.lab.ha.server_trouble import ServerTrouble

HANGING: Final = "custom.metrics.k8s.io/v1beta1"
"""What adapters for other monitoring systems bring."""
HANG_S: Final = 1.5

FAULT: HaFault = ServerTrouble(
    id="apiservice_hanging",
    expected=("api_service_broken",),
    how_to_see=f"kubelag lab exec -- bash -c 'time kubectl get --raw /apis/{HANGING}'",
    describe=f"{HANGING} hangs, and is given up after {HANG_S:g} s.",
    change=lambda usual: replace(usual, hanging_group_versions=(HANGING,), hang_s=HANG_S),
    path=f"/apis/{HANGING}",
    least_s=HANG_S,
    is_failing=True,
    names=(HANGING, "v1beta1.custom.metrics.k8s.io"),
    cold=False,
)
