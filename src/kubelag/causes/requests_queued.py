"""The API server makes requests wait in its queues (API priority and fairness), or is overloaded.

What it is
    More requests than the server works on at once. Those of one priority level wait in queues until
    it is their turn; health checks and `system:masters` are exempt.

How it is told apart
    Discovery and objects are slow alike, while `/livez` is answered at once, with and without
    credentials: the way is quick and so is the authenticator.

What it costs
    The wait in the queue for each request; a full queue answers 429.

Versions
    API priority and fairness is on by default since server 1.20.

Sources
    Kubernetes documentation (API priority and fairness).
"""

from kubelag.causes.contract import Case
from kubelag.causes.server_facts import ServerStory
from kubelag.causes.server_judging import ServerCause, judge_server
from kubelag.model.remedy import Advice
from kubelag.model.units import seconds
from kubelag.model.verdict import Judgement, Source

ID = "requests_queued"

_ADVICE = Advice(
    id="find-who-fills-the-queue",
    summary="see which flow fills the server's queues, and give it a priority level of its own",
    commands=(
        "kubectl get --raw /debug/api_priority_and_fairness/dump_priority_levels",
        "kubectl get --raw /metrics | grep apiserver_flowcontrol_request_wait_duration_seconds_sum",
    ),
)
_SOURCES = (
    Source(
        title="Kubernetes: API priority and fairness",
        url="https://kubernetes.io/docs/concepts/cluster-administration/flow-control/",
    ),
)


class RequestsQueued:
    """See the module."""

    id = ID
    title = "requests wait in the server's queues"

    def judge(self, case: Case) -> Judgement:
        """Compare requests of all kinds with those that no queue holds up."""
        words = ServerCause(
            id=ID,
            part="queue",
            sentence=_sentence,
            advice=_ADVICE,
            sources=_SOURCES,
            is_removable=True,
        )
        return judge_server(case, words)


def _sentence(case: Case, story: ServerStory) -> str:
    return (
        f"the API server makes requests wait: {seconds(story.typical_ns)} (median) for each of "
        f"{case.client}'s, {seconds(story.probe_ns('health_as_user') or 0)} for a health check, "
        "which no queue holds up"
    )
