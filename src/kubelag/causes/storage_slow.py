"""The API server waits for its store (etcd).

What it is
    A list or a get without `resourceVersion` is a quorum read: the server asks etcd, and etcd asks
    its peers and its disk. `kubectl get` always asks so.

How it is told apart
    The same request with `resourceVersion=0`, which the server answers from its own memory, is
    quick; so are discovery and health checks.

What it costs
    One slow read for each page of the list.

Versions
    All; servers that list consistently from their cache (1.31 and newer, by default) still ask etcd
    for its revision.

Sources
    Kubernetes documentation (resource versions), etcd's documentation (hardware, tuning).
"""

from kubelag.causes.contract import Case
from kubelag.causes.server_facts import ServerStory
from kubelag.causes.server_judging import ServerCause, judge_server
from kubelag.model.remedy import Advice
from kubelag.model.units import seconds
from kubelag.model.verdict import Judgement, Source

ID = "storage_slow"

_ADVICE = Advice(
    id="look-at-etcd",
    summary="look at etcd: the latency of its disk (wal_fsync), its leader, its size",
    commands=(
        "kubectl get --raw /metrics | grep etcd_request_duration_seconds_sum",
        "etcdctl endpoint status --cluster -w table",
    ),
)
_SOURCES = (
    Source(
        title="Kubernetes: resource versions and what a read without one means",
        url="https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions",
    ),
    Source(title="etcd: hardware", url="https://etcd.io/docs/v3.5/op-guide/hardware/"),
)


class StorageSlow:
    """See the module."""

    id = ID
    title = "the server waits for its store"

    def judge(self, case: Case) -> Judgement:
        """Compare a read from the store with one from the server's memory."""
        words = ServerCause(
            id=ID, part="storage", sentence=_sentence, advice=_ADVICE, sources=_SOURCES
        )
        return judge_server(case, words)


def _sentence(case: Case, story: ServerStory) -> str:
    return (
        f"the API server waits for its store (etcd): {case.client}'s request takes "
        f"{seconds(story.probe_ns('again') or 0)}, and from the server's memory "
        f"{seconds(story.probe_ns('from_memory') or 0)}"
    )
