"""Requests wait in the API servers' queues; the administrator's, who is exempt, do not."""

from dataclasses import replace
from typing import Final

from kubelag.lab.faults.contract import HaFault
from kubelag.lab.ha.plan import NAME
from kubelag.lab.ha.server_trouble import ServerTrouble

QUEUED_S: Final = 0.4
"""For every request: a cold run waits four times."""

VERSION: Final = "v1.27.3"
"""Of a server that lets nobody wait for a health check; 1.20 lets health checks wait too."""

FAULT: HaFault = ServerTrouble(
    id="api_queue",
    expected=("requests_queued",),
    how_to_see=f"kubelag lab exec -- bash -c 'time curl -sk https://{NAME}:8443/version'",
    describe=f"Every request of an ordinary user waits {QUEUED_S:g} s in the API server's queue.",
    change=lambda usual: replace(usual, queue_latency_s=QUEUED_S, git_version=VERSION),
    path="/version",
    least_s=QUEUED_S,
    user="reader",
    compared_user="certificate",
)
