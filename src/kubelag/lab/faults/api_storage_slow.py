"""etcd is slow: what the API servers cannot answer from memory waits, and nothing else."""

from dataclasses import replace
from typing import Final

from kubelag.lab.faults.contract import HaFault
from kubelag.lab.ha.server_trouble import ServerTrouble

READ_S: Final = 1.5
"""`kubectl get nodes` reads once, from the store: it sends no resourceVersion."""

FAULT: HaFault = ServerTrouble(
    id="api_storage_slow",
    expected=("storage_slow",),
    how_to_see="kubelag lab exec -- bash -c 'time kubectl get --raw /api/v1/nodes'",
    describe=f"A read from the store takes {READ_S:g} s.",
    change=lambda usual: replace(usual, storage_latency_s=READ_S),
    path="/api/v1/nodes",
    least_s=READ_S,
)
