"""Every fifth request is told 429 and when to come back: the client waits, and nobody computes.

So answers the API server's priority and fairness when its queues are full. One in so many, and not
only the first few, so that every run meets it.
"""

from dataclasses import replace
from typing import Final

from kubelag.lab.faults.contract import HaFault
from kubelag.lab.ha.server_trouble import ServerTrouble

EVERY: Final = 5
"""Of a cold run's 80 requests some fall into each of its waves: 3.1 s, where 0.1 s is usual."""
RETRY_AFTER_S: Final = 1
MASTERS: Final = 3
"""Each API server counts for itself."""

FAULT: HaFault = ServerTrouble(
    id="api_429",
    expected=("server_pushback",),
    how_to_see="kubelag lab exec -- sh -c 'kubectl api-resources -v 6 2>&1 | grep 429'",
    describe=f"Every fifth request is told 429 and to come back after {RETRY_AFTER_S} s.",
    change=lambda usual: replace(usual, reject_429_every=EVERY, retry_after_s=RETRY_AFTER_S),
    path="/version",
    least_s=RETRY_AFTER_S,
    tries=MASTERS * EVERY,
)
