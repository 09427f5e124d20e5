"""An aggregated API has nothing in it, so its empty list is never cached.

What it is
    KEDA or prometheus-adapter without a single metric: the group-version exists and holds no
    resource. Clients do not write an empty list to their cache, and from kubectl 1.26 on one
    missing entry makes every command discover everything again.

How it is told apart
    Everything is discovered although the cache was filled, and no group-version failed. Up to
    kubectl 1.25 the log says that an empty one was not cached; later ones say nothing.

What it costs
    A whole discovery with every command (against a server without usable aggregated discovery).

Versions
    kubectl 1.26 and newer.

Sources
    keda#6694, client-go's cached_discovery.go.
"""

from kubelag.causes import server_facts
from kubelag.causes.contract import Case, could_not_look, innocent, unknown
from kubelag.model.remedy import Advice
from kubelag.model.units import counted, seconds
from kubelag.model.verdict import Fact, Judgement, Source
from kubelag.timeline.factors import DISCOVERY
from kubelag.timeline.spans import is_discovery

ID = "api_service_empty"

_EMPTY = "no resources found"
_ADVICE = Advice(
    id="fill-or-drop-the-api-service",
    summary="give the extension something to serve, or delete its APIService",
    commands=("kubectl get apiservices",),
)
_SOURCES = (
    Source(
        title="keda#6694: an empty external metrics API makes every kubectl slow",
        url="https://github.com/kedacore/keda/issues/6694",
    ),
)


class ApiServiceEmpty:
    """See the module."""

    id = ID
    title = "an aggregated API is empty"

    def judge(self, case: Case) -> Judgement:
        """Look for skipped entries in a run that discovered everything again."""
        if missing := could_not_look(case, ["debug_log"]):
            return unknown(ID, "what the client cached was not seen", missing)
        asked = sum(is_discovery(request.url) for request in case.evidence.requests)
        broken = server_facts.broken_groups(case.evidence.requests)
        if broken or not (server_facts.rediscovers(case) and case.is_waited_for(DISCOVERY)):
            told = counted(asked, "discovery request")
            return innocent(ID, f"{told}, none for what the cache already had", DISCOVERY)
        waited_ns = case.critical_ns(DISCOVERY)
        return Judgement(
            cause=ID,
            standing="suspected",
            sentence=(
                f"an aggregated API holds no resource, so {case.client} discovers everything again "
                f"each time: {counted(asked, 'request')}, {seconds(waited_ns)} of waiting"
            ),
            factors=(DISCOVERY,),
            low_ns=case.exclusive_ns(DISCOVERY),
            high_ns=case.union_ns(DISCOVERY),
            arithmetic=f"{counted(asked, 'discovery request')} although the cache was filled",
            facts=tuple(_facts(case)),
            experiments=("discovery_stubbed",),
            advice=(_ADVICE,),
            sources=_SOURCES,
        )


def _facts(case: Case) -> list[Fact]:
    """Up to kubectl 1.25 the log says that something was not cached."""
    skipped = [note for note in case.evidence.notes if note.kind == "cache_skipped"]
    if not any(_EMPTY in note.subject for note in skipped):
        return []
    return [Fact(text=f"the client skipped caching: {_EMPTY}", observer="debug_log")]
