"""An aggregated API (an APIService) is registered, and the server behind it fails or hangs.

What it is
    metrics-server, a custom metrics adapter or another extension server is down or unreachable. The
    API server answers 503 at once, or after five seconds of trying. A failed group-version is never
    written to the cache, so that it is asked for again and again.

How it is told apart
    The discovery of one group-version fails with 5xx, and that took the time, or everything is
    discovered again although the cache was filled.

What it costs
    kubectl up to 1.25 asks three times in series; from 1.26 on, against a server without usable
    aggregated discovery, one failing group makes every command discover everything.

Versions
    All clients; the aggregator's limit of 5 s came with server 1.16.

Sources
    kubernetes#82146, kubernetes#82172, metrics-server#668.
"""

from kubelag.causes import server_facts
from kubelag.causes.contract import Case, could_not_look, innocent, unknown
from kubelag.model.remedy import Advice
from kubelag.model.units import counted, seconds
from kubelag.model.verdict import Fact, Judgement, Source
from kubelag.timeline.factors import DISCOVERY
from kubelag.timeline.spans import answer_times_ns, is_discovery

ID = "api_service_broken"

_SOURCES = (
    Source(
        title="kubernetes#82146: the aggregator gives an extension server five seconds",
        url="https://github.com/kubernetes/kubernetes/pull/82146",
    ),
    Source(
        title="metrics-server#668: every command slow by a broken APIService",
        url="https://github.com/kubernetes-sigs/metrics-server/issues/668",
    ),
)


class ApiServiceBroken:
    """See the module."""

    id = ID
    title = "an aggregated API is broken"

    def judge(self, case: Case) -> Judgement:
        """Look for group-versions that failed, and for what that made the client do."""
        if missing := could_not_look(case, ["debug_log"]):
            return unknown(ID, "which group-versions failed was not seen", missing)
        requests = case.evidence.requests
        broken = server_facts.broken_groups(requests)
        if not broken:
            asked = sum(is_discovery(request.url) for request in requests)
            return innocent(ID, f"{counted(asked, 'discovery request')}, none failed", DISCOVERY)
        slowest_ns = max(
            ns for one, ns in answer_times_ns(case.evidence) if _is_of(one.url, broken)
        )
        hanging_ns = _hanging_ns(case, broken)
        is_hanging = case.is_notable(hanging_ns)
        rediscovers = server_facts.rediscovers(case)
        if not case.is_waited_for(DISCOVERY) or not (is_hanging or rediscovers):
            told = f"{', '.join(broken)} failed, after {seconds(slowest_ns)}"
            return innocent(ID, f"{told}, and this run did not wait for it", DISCOVERY)
        waited_ns = case.critical_ns(DISCOVERY) if rediscovers else hanging_ns
        why = "" if is_hanging else ", so it is never cached and discovered again each time"
        return Judgement(
            cause=ID,
            standing="suspected",
            sentence=(
                f"the aggregated API {', '.join(broken)} fails after {seconds(slowest_ns)}{why}; "
                f"{case.client} waited {seconds(waited_ns)} for discovery"
            ),
            factors=(DISCOVERY,),
            low_ns=min(case.exclusive_ns(DISCOVERY), waited_ns),
            high_ns=case.union_ns(DISCOVERY),
            arithmetic=_arithmetic(case, broken),
            facts=tuple(_facts(case, broken)),
            experiments=("discovery_stubbed",),
            advice=(_advice(broken[0]),),
            sources=_SOURCES,
        )


def _hanging_ns(case: Case, broken: tuple[str, ...]) -> int:
    """How much of the critical path their own requests are; others may be slower beside them."""
    return sum(
        span.end_ns - span.start_ns
        for span in case.attribution.path
        if span.factor == DISCOVERY and _is_of(span.what, broken)
    )


def _is_of(url: str, groups: tuple[str, ...]) -> bool:
    return any(f"/apis/{group}" in url for group in groups)


def _arithmetic(case: Case, broken: tuple[str, ...]) -> str:
    tries = sum(_is_of(request.url, broken) for request in case.evidence.requests)
    asked = sum(is_discovery(request.url) for request in case.evidence.requests)
    return f"asked {counted(tries, 'time')} among {counted(asked, 'discovery request')}"


def _facts(case: Case, broken: tuple[str, ...]) -> list[Fact]:
    return [
        Fact(
            text=f"{request.verb} {request.url}: {request.status} after {seconds(took_ns)}",
            observer="debug_log",
        )
        for request, took_ns in answer_times_ns(case.evidence)
        if _is_of(request.url, broken)
    ][:4]


def _advice(group_version: str) -> Advice:
    name = server_facts.api_service_of(group_version)
    return Advice(
        id="repair-the-api-service",
        summary=f"repair the server behind the APIService {name}, or delete the APIService",
        commands=(f"kubectl get apiservice {name}", f"kubectl describe apiservice {name}"),
    )
