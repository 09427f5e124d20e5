"""The server tells the client to come back later (429 or 503 with Retry-After), and it obeys.

What it is
    Too many requests for the server, for one priority level, or for a gateway before it. The client
    sleeps as long as it was told and asks again, up to ten times.

How it is told apart
    The client's log names the pauses; no request is in flight meanwhile, and each is quick.

What it costs
    The number of refusals times Retry-After, usually one second each.

Versions
    All; the wording of the log changed with client-go 0.33.

Sources
    client-go's with_retry.go, Kubernetes documentation (API priority and fairness).
"""

from kubelag.causes.contract import Case, could_not_look, innocent, unknown
from kubelag.causes.server_facts import SLACK_NS
from kubelag.model.evidence import ClientNote
from kubelag.model.remedy import Advice
from kubelag.model.units import counted, seconds
from kubelag.model.verdict import Fact, Judgement, Source
from kubelag.timeline.factors import RETRY_AFTER
from kubelag.timeline.spans import is_told_by_server

ID = "server_pushback"

_ADVICE = Advice(
    id="ask-the-server-less",
    summary=(
        "find who asks the server so much (API priority and fairness has its figures), and give "
        "this user a priority level of its own"
    ),
    commands=("kubectl get --raw /metrics | grep apiserver_flowcontrol_rejected_requests_total",),
)
_SOURCES = (
    Source(
        title="Kubernetes: API priority and fairness",
        url="https://kubernetes.io/docs/concepts/cluster-administration/flow-control/",
    ),
)


class ServerPushback:
    """See the module."""

    id = ID
    title = "the server tells the client to wait"

    def judge(self, case: Case) -> Judgement:
        """Add up the pauses that the client was told to make."""
        if missing := could_not_look(case, ["debug_log"]):
            return unknown(ID, "whether the server asked for patience was not seen", missing)
        told = [
            note
            for note in case.evidence.notes
            if note.kind == "retry_after" and is_told_by_server(note, case.evidence)
        ]
        if not told or not case.is_waited_for(RETRY_AFTER):
            count = counted(len(told), "request")
            return innocent(ID, f"{count} told to come back later", RETRY_AFTER)
        waited_ns = case.critical_ns(RETRY_AFTER)
        return Judgement(
            cause=ID,
            standing="suspected",
            sentence=(
                f"the API server told {case.client} {counted(len(told), 'time')} to come back "
                f"later (Retry-After); it waited {seconds(waited_ns)}"
            ),
            factors=(RETRY_AFTER,),
            low_ns=case.exclusive_ns(RETRY_AFTER),
            high_ns=case.union_ns(RETRY_AFTER),
            facts=(_own_part(case, told[0]),),
            arithmetic=f"{len(told)} x {seconds(max(note.wait_ns for note in told))} at the most",
            advice=(_ADVICE,),
            sources=_SOURCES,
        )


def _own_part(case: Case, note: ClientNote) -> Fact:
    """A client that asks for much at once may have brought it on itself."""
    told_ns = note.at_ns - note.wait_ns
    own = sum(one.start_ns < told_ns <= one.end_ns + SLACK_NS for one in case.evidence.requests)
    text = f"{counted(own, 'request')} of its own were in flight when it was first told so"
    return Fact(text=text, observer="debug_log")
