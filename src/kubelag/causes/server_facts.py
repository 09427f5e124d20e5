"""Which part of the server kept the command waiting: one division that all causes about it share.

The client's log tells how long each request took; kubelag's own simpler requests tell the parts
apart. `/livez` without credentials asks neither an authenticator nor a queue nor the store, with
credentials it asks the authenticator, and a list with `resourceVersion=0` asks everything but the
store. Whatever cannot be told apart stays the API server's in general.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from kubelag.causes import way_facts
from kubelag.causes.contract import Case, median_ns
from kubelag.model.evidence import OwnRequest, Request
from kubelag.timeline.factors import DISCOVERY, TARGET
from kubelag.timeline.spans import answer_times_ns, is_discovery

Part = Literal["none", "backend", "group", "authentication", "queue", "storage", "general"]

# A healthy API server answers discovery and small reads in single-digit milliseconds (measured on
# the lab's real one); 100 ms for the median request is arbitrary, ten times that.
SLOW_REQUEST_NS = 100_000_000
_ERRORS = range(500, 600)
# Two requests (/api and /apis) are made by a client that looks whether its cache is still right;
# more of them mean that the documents themselves were fetched again.
_LOOKING_ONLY = 2
# These ask the server by default, whatever the cache holds (`--cached` is false).
_ALWAYS_DISCOVER = frozenset({"api-resources", "api-versions"})
# /apis/GROUP/VERSION
_VERSION_PARTS = 3
_HALF = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStory:
    """What waiting for the server was like."""

    part: Part
    answers: tuple[tuple[Request, int], ...] = ()
    """Each request with how long its answer was waited for."""
    typical_ns: int = 0
    """The median of those."""
    probes: tuple[OwnRequest, ...] = ()

    def probe_ns(self, purpose: str) -> int | None:
        """How long kubelag's own request waited for the server; None where none was answered."""
        return _probe_ns(self.probes, purpose)


def story(case: Case) -> ServerStory:
    """The one part of the server that took most of the time."""
    answers = answer_times_ns(case.evidence)
    probes = case.evidence.server_probes
    took = [took_ns for _, took_ns in answers]
    return ServerStory(
        part=_part(case, answers, probes),
        answers=answers,
        typical_ns=median_ns(took),
        probes=probes,
    )


def broken_groups(requests: Sequence[Request]) -> tuple[str, ...]:
    """Group-versions whose discovery failed on the server's side, each once, in order."""
    failed = (
        _group_version(request)
        for request in requests
        if request.status in _ERRORS and is_discovery(request.url)
    )
    return tuple(dict.fromkeys(name for name in failed if name))


def rediscovers(case: Case) -> bool:
    """Whether documents were fetched although the cache was filled."""
    cache, command = case.evidence.cache, case.evidence.command
    asked = sum(is_discovery(request.url) for request in case.evidence.requests)
    is_meant = bool(_ALWAYS_DISCOVER & set(command))
    is_warm = cache is not None and cache.state == "warm" and not case.evidence.cold
    return is_warm and asked > _LOOKING_ONLY and not is_meant


def _part(case: Case, answers: Sequence[tuple[Request, int]], probes: Sequence[OwnRequest]) -> Part:
    took = [took_ns for _, took_ns in answers]
    if max(took, default=0) < SLOW_REQUEST_NS or not case.is_waited_for(DISCOVERY, TARGET):
        return "none"
    if any(bad.trouble == "slow" for bad in way_facts.bad_backends(case.evidence.path)):
        return "backend"
    if _is_group_alone(answers) or rediscovers(case):
        return "group"
    return _part_by_probes(answers, probes)


def _part_by_probes(answers: Sequence[tuple[Request, int]], probes: Sequence[OwnRequest]) -> Part:
    health, as_user = _probe_ns(probes, "health"), _probe_ns(probes, "health_as_user")
    if health is None or health >= SLOW_REQUEST_NS or as_user is None:
        return "general"
    if as_user >= SLOW_REQUEST_NS:
        return "authentication"
    again, memory = _probe_ns(probes, "again"), _probe_ns(probes, "from_memory")
    if again is None or again < SLOW_REQUEST_NS:
        return "general"
    discovery = [ns for request, ns in answers if is_discovery(request.url)]
    if discovery and median_ns(discovery) >= SLOW_REQUEST_NS:
        return "queue" if _has_queued(probes) else "general"
    if memory is not None and memory < min(SLOW_REQUEST_NS, _HALF * again):
        return "storage"
    return "general"


def _has_queued(probes: Sequence[OwnRequest]) -> bool:
    """Whether the server says that the request went through another queue than a health check.

    Health checks and administrators are exempt, so that where both are the same nothing was queued.
    """
    levels = {one.purpose: one.priority_level for one in probes}
    again, health = levels.get("again", ""), levels.get("health_as_user", "")
    return bool(again) and again != health


def _is_group_alone(answers: Sequence[tuple[Request, int]]) -> bool:
    """Whether most of the slow answers' time went into group-versions that failed."""
    slow = [(request, ns) for request, ns in answers if ns >= SLOW_REQUEST_NS]
    failed = sum(
        ns for request, ns in slow if request.status in _ERRORS and _group_version(request)
    )
    return failed > _HALF * sum(ns for _, ns in slow)


def _group_version(request: Request) -> str:
    """`group/version` of a discovery request, empty for any other."""
    parts = [part for part in urlsplit(request.url).path.split("/") if part]
    if "apis" not in parts:
        return ""
    parts = parts[parts.index("apis") :]
    return "/".join(parts[1:]) if len(parts) == _VERSION_PARTS else ""


def _probe_ns(probes: Sequence[OwnRequest], purpose: str) -> int | None:
    known = (one.spent_ns("server") for one in probes if one.purpose == purpose and one.status)
    return min(known, default=None)
