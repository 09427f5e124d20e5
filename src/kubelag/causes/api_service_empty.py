"""An aggregated API has nothing in it, so its empty list is never cached.

What it is
    KEDA or prometheus-adapter without a single metric: the group-version exists and holds no
    resource. Clients do not write an empty list to their cache, and from kubectl 1.26 on one
    missing entry makes every command discover everything again.

How it is told apart
    Lists of resources are fetched although the cache was filled, no group-version failed, and the
    log says of one that there was nothing in it to cache: from kubectl 1.27 on by its name, up to
    1.25 right after its answer. Without such a line something else is missing from the cache.

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
        told = counted(asked, "discovery request")
        if broken or not server_facts.rediscovers(case):
            return innocent(ID, f"{told}, none for what the cache already had", DISCOVERY)
        if not case.is_waited_for(DISCOVERY):
            return innocent(ID, f"{told}, and this run did not wait for them", DISCOVERY)
        empty = server_facts.empty_groups(case.evidence)
        if not empty:
            missing = ("debug_log: the client named nothing that it does not keep",)
            return unknown(ID, f"why {told} were sent although the cache was filled", missing)
        waited_ns = case.critical_ns(DISCOVERY)
        return Judgement(
            cause=ID,
            standing="suspected",
            sentence=(
                f"{_named(empty)} no resource, so {case.client} discovers again each time: "
                f"{counted(asked, 'request')}, {seconds(waited_ns)} of waiting"
            ),
            factors=(DISCOVERY,),
            low_ns=case.exclusive_ns(DISCOVERY),
            high_ns=case.union_ns(DISCOVERY),
            arithmetic=f"{counted(asked, 'discovery request')} although the cache was filled",
            facts=(_fact(empty),),
            experiments=("discovery_stubbed",),
            advice=(_advice(empty[0]),),
            sources=_SOURCES,
        )


def _named(empty: tuple[str, ...]) -> str:
    many = len(empty) > 1
    return f"the aggregated API{'s' * many} {', '.join(empty)} {'hold' if many else 'holds'}"


def _fact(empty: tuple[str, ...]) -> Fact:
    text = f"the client had nothing to cache of {', '.join(empty)}"
    return Fact(text=text, observer="debug_log")


def _advice(group_version: str) -> Advice:
    name = server_facts.api_service_of(group_version)
    return Advice(
        id="fill-or-drop-the-api-service",
        summary=f"give the extension behind {name} something to serve, or delete the APIService",
        commands=(f"kubectl get apiservice {name}", f"kubectl describe apiservice {name}"),
    )
