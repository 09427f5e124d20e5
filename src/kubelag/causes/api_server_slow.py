"""The API server, or the path to it, takes long to answer.

What it is
    An overloaded API server or etcd, priority-and-fairness queues, slow admission or
    authentication webhooks, or a long way to the server. The client only waits.

How it is told apart
    Requests are in flight for most of the time, each of them slow, the single bare request
    (`get --raw`) too. The client's log cannot tell the server from the way to it. One of the
    requests is sent once more by kubelag's own client, which tells connecting from waiting for the
    answer: a server that keeps that client waiting too is not slow for this kubectl's sake.

What it costs
    A legacy cold run waits for about four answers in series and the rest in parallel; a warm run
    waits for one.

Versions
    All clients.

Sources
    Kubernetes scalability SLOs (a single-object call within 1 s at the 99th percentile).
"""

from operator import itemgetter

from kubelag.causes import server_facts, way_facts
from kubelag.causes.contract import Case, could_not_look, innocent, unknown
from kubelag.causes.server_facts import SLOW_REQUEST_NS
from kubelag.model.evidence import Request
from kubelag.model.remedy import Advice
from kubelag.model.units import counted, seconds, share_of
from kubelag.model.verdict import Fact, Judgement, Source
from kubelag.timeline.factors import DISCOVERY, TARGET

ID = "api_server_slow"

_SOURCES = (
    Source(
        title="Kubernetes API call latency SLO",
        url="https://github.com/kubernetes/community/blob/master/sig-scalability/slos/api_call_latency.md",
    ),
)
_ALONE = "path: the same requests over one connection, since HTTP/2 is not to be had there"
_ADVICE = Advice(
    id="look-at-the-server",
    summary=(
        "ask the server and the way to it: send one request from a control-plane node, then look "
        "at the server's own figures"
    ),
    commands=(
        "kubectl get --raw /livez?verbose",
        "kubectl get --raw /metrics | grep apiserver_request_duration_seconds_sum",
    ),
)


class ApiServerSlow:
    """See the module."""

    id = ID
    title = "the API server or the way to it is slow"

    def judge(self, case: Case) -> Judgement:
        """Look at the typical request and at the time spent waiting for answers."""
        if missing := could_not_look(case, ["debug_log"]):
            return unknown(ID, "how long requests took was not seen", missing)
        story = server_facts.story(case)
        answers, typical_ns = story.answers, story.typical_ns
        if not answers:
            return unknown(ID, "the client's log names no request", ("debug_log: no request",))
        waited_ns = case.critical_ns(DISCOVERY, TARGET)
        if story.part == "connections":
            what = f"{seconds(waited_ns)} of waiting for answers, while many handshakes went on"
            return unknown(ID, f"{what}: how much of it is the server's is not known", (_ALONE,))
        # One slow answer among many quick ones is as slow; the median would hide it.
        if story.part not in {"general", "either"}:
            told = (
                f"{counted(len(answers), 'request')}, {seconds(typical_ns)} each (median), "
                f"{seconds(waited_ns)} of waiting in all"
            )
            why = "" if story.part == "none" else f"; that is a matter of the {story.part}"
            return innocent(ID, told + why, TARGET)
        if case.is_held_up:
            missing = (f"debug_log: the client itself was held up for {seconds(case.held_up_ns)}",)
            return unknown(ID, "whether the server or the held-up client was slow", missing)
        if way_facts.has_queued_unseen(case):
            missing = could_not_look(case, ["capture"])
            return unknown(ID, "packets queued on the way: the server's time is not known", missing)
        if typical_ns < SLOW_REQUEST_NS:
            slowest, slowest_ns = max(answers, key=itemgetter(1))
            return _one_slow_answer(case, slowest, slowest_ns, waited_ns)
        return _suspected(case, len(answers), typical_ns, waited_ns)


def _suspected(case: Case, count: int, typical_ns: int, waited_ns: int) -> Judgement:
    removal = server_facts.without_requests(case)
    return Judgement(
        cause=ID,
        standing="suspected",
        sentence=(
            f"the API server, or the way to it, takes {seconds(typical_ns)} (median) for each of "
            f"{counted(count, 'request')}; {case.client} waits for the answers {seconds(waited_ns)}"
        ),
        factors=(DISCOVERY, TARGET),
        low_ns=removal.low_ns,
        high_ns=removal.high_ns,
        arithmetic=(
            f"{seconds(waited_ns)} of waiting / {seconds(typical_ns)} a request = "
            f"{waited_ns / typical_ns:.1f} answers waited for in series"
        ),
        facts=(_waited(case, waited_ns), *_waited_by_own_client(case)),
        experiments=removal.experiments,
        supporting=("own_client",),
        advice=(_ADVICE,),
        sources=_SOURCES,
    )


def _one_slow_answer(case: Case, slowest: Request, took_ns: int, waited_ns: int) -> Judgement:
    """A list that takes long, or one API group whose server hangs: it cannot be left out."""
    return Judgement(
        cause=ID,
        standing="suspected",
        sentence=(
            f"one answer of the API server, {slowest.verb} {slowest.url}, took "
            f"{seconds(took_ns)}; {case.client} waits for answers {seconds(waited_ns)}"
        ),
        factors=(DISCOVERY, TARGET),
        low_ns=case.exclusive_ns(DISCOVERY, TARGET),
        high_ns=case.union_ns(DISCOVERY, TARGET),
        arithmetic=f"the slowest request = {seconds(took_ns)}",
        facts=(_waited(case, waited_ns), *_waited_by_own_client(case)),
        advice=(_ADVICE,),
        sources=_SOURCES,
    )


def _waited(case: Case, waited_ns: int) -> Fact:
    share = share_of(waited_ns, case.attribution.wall_ns)
    text = f"requests were waited for during {seconds(waited_ns)}, {share} of the wall time"
    return Fact(text=text, observer="debug_log")


def _waited_by_own_client(case: Case) -> tuple[Fact, ...]:
    """What speaks for the server: another client waited for the same answer too."""
    own = case.evidence.own_request
    if own is None or not own.has_succeeded or own.spent_ns("server") < SLOW_REQUEST_NS:
        return ()
    text = (
        f"kubelag's own client waited {seconds(own.spent_ns('server'))} for the answer to "
        f"{own.verb} {own.url} too, so it is not {case.client} alone"
    )
    return (Fact(text=text, observer="own_request"),)
