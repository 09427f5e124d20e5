"""Which part of the server kept the command waiting: one division that all causes about it share.

The client's log tells how long each request took; kubelag's own simpler requests tell the parts
apart. `/livez` without credentials asks neither an authenticator nor a queue nor the store, with
credentials it asks the authenticator, and a list with `resourceVersion=0` asks everything but the
store. Whatever cannot be told apart stays the API server's in general.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from kubelag.causes import way_facts
from kubelag.causes.contract import Case, median_ns
from kubelag.causes.crowd import crowd
from kubelag.model.evidence import Evidence, OwnRequest, Request
from kubelag.model.stretches import Moment
from kubelag.timeline.factors import CLIENT_CPU, DISCOVERY, RUN_QUEUE, TARGET
from kubelag.timeline.spans import answer_times_ns, is_discovery

Part = Literal[
    "none",
    "client",
    "backend",
    "connections",
    "group",
    "authentication",
    "queue",
    "either",
    "storage",
    "general",
]
"""`either`: authentication or the queue; `connections`: its own, or that of whoever made many TLS
handshakes at once."""

# A healthy API server answers discovery and small reads in single-digit milliseconds (measured on
# the lab's real one); 100 ms for the median request is arbitrary, ten times that.
SLOW_REQUEST_NS = 100_000_000
_ERRORS = range(500, 600)
# A client that computes longer than this share of its waiting is not slow for the server's sake
# alone, and leaving the requests out would prove nothing about the server. Arbitrary.
_WORK_RATIO = 0.25
# A client's log rounds to milliseconds.
SLACK_NS = 2_000_000
_BARE = "request_bare"
_EMPTY, _NAMED_EMPTY = "no resources found", "received empty response for:"
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
    """Each request with how long its answer was waited for, without what tells nothing of the
    server: a WebSocket that was refused, a watch."""
    typical_ns: int = 0
    """The median of those."""
    probes: tuple[OwnRequest, ...] = ()

    def probe_ns(self, purpose: str) -> int | None:
        """How long kubelag's own request waited for the server; None where none was answered."""
        return _probe_ns(self.probes, purpose)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What an experiment takes away, and what that should save."""

    low_ns: int
    high_ns: int
    experiments: tuple[str, ...] = ()
    """None where nothing can be taken away; then it is the whole waiting that is told of."""


def story(case: Case) -> ServerStory:
    """The one part of the server that took most of the time."""
    refused = refused_upgrade(case.evidence)
    # An answer that never came, since its connection broke, was not waited for.
    answers = tuple(
        (request, took_ns)
        for request, took_ns in answer_times_ns(case.evidence)
        if request is not refused
        and (took_ns or request.status is not None)
        and not _is_open_ended(request.url)
    )
    probes = case.evidence.server_probes
    took = [took_ns for _, took_ns in answers]
    return ServerStory(
        part=_part(case, answers),
        answers=answers,
        typical_ns=median_ns(took),
        probes=probes,
    )


def broken_groups(requests: Sequence[Request]) -> tuple[str, ...]:
    """Aggregated group-versions that failed on the server's side, each once, in order.

    None where others fail as well: then it is the server, or what stands before it. No group whose
    name has no dot is aggregated (`apps`, `batch`).
    """
    failed = [request for request in requests if request.status in _ERRORS]
    names = tuple(dict.fromkeys(name for one in failed if (name := _group_version(one))))
    is_theirs = all(any(f"/apis/{name}" in one.url for name in names) for one in failed)
    has_dots = all("." in name.partition("/")[0] for name in names)
    return names if is_theirs and has_dots else ()


def empty_groups(evidence: Evidence) -> tuple[str, ...]:
    """Group-versions of which the client says that there was nothing to cache, each once.

    From 1.27 on it names them (1.26 was not at hand); before, it says so right after the answer.
    """
    found = []
    for note in evidence.notes:
        if note.kind == "cache_skipped" and _NAMED_EMPTY in note.subject:
            found.append(note.subject.partition(_NAMED_EMPTY)[2].strip())
        elif note.kind == "cache_skipped" and _EMPTY in note.subject:
            answered = (one for one in evidence.requests if one.end_ns <= note.at_ns + SLACK_NS)
            last = max(answered, key=lambda one: one.end_ns, default=None)
            found.append(_group_version(last) if last else "")
    return tuple(dict.fromkeys(name for name in found if name))


def rediscovers(case: Case) -> bool:
    """Whether lists of resources were fetched although the cache was filled."""
    cache, command = case.evidence.cache, case.evidence.command
    is_meant = bool(_ALWAYS_DISCOVER & set(command))
    is_warm = cache is not None and cache.state == "warm" and not case.evidence.cold
    return is_warm and not is_meant and any(map(_group_version, case.evidence.requests))


def api_service_of(group_version: str) -> str:
    """The name of the APIService that stands for `group/version`."""
    group, _, version = group_version.partition("/")
    return f"{version}.{group}"


def refused_upgrade(evidence: Evidence) -> Request | None:
    """The request in which the client asked for a WebSocket and got none."""
    note = next((one for one in evidence.notes if one.kind == "websocket_fallback"), None)
    if note is None:
        return None
    before = (one for one in evidence.requests if one.end_ns <= note.at_ns + SLACK_NS)
    return max(before, key=lambda one: one.end_ns, default=None)


def without_anything(case: Case) -> Removal:
    """Where nothing can be taken away."""
    factors = (DISCOVERY, TARGET)
    return Removal(low_ns=case.exclusive_ns(*factors), high_ns=case.union_ns(*factors))


def without_requests(case: Case) -> Removal:
    """What can be left out of a command that waits for the server: all requests but its last.

    The most that this saves is the waiting, with the work that goes with the answers.
    """
    if not case.is_waited_for(DISCOVERY):
        return without_anything(case)
    waiting_ns = case.union_ns(DISCOVERY)
    work_ns = min(case.union_ns(CLIENT_CPU, RUN_QUEUE), int(_WORK_RATIO * waiting_ns))
    return Removal(
        experiments=(_BARE,),
        low_ns=case.exclusive_ns(DISCOVERY),
        high_ns=min(waiting_ns + work_ns, case.attribution.wall_ns),
    )


def _part(case: Case, answers: Sequence[tuple[Request, int]]) -> Part:
    took = [took_ns for _, took_ns in answers]
    if max(took, default=0) < SLOW_REQUEST_NS or not case.is_waited_for(DISCOVERY, TARGET):
        return "none"
    if _is_unread(case):
        return "client"
    if _is_group_alone(answers):
        return "group"
    if any(bad.trouble == "slow" for bad in way_facts.met_backends(case)):
        return "backend"
    if rediscovers(case) and _is_uncacheable(case.evidence):
        return "group"
    if _is_for_the_crowd(case, answers):
        return "connections"
    return _part_by_probes(case, answers)


def _part_by_probes(case: Case, answers: Sequence[tuple[Request, int]]) -> Part:
    probes = case.evidence.server_probes
    health, as_user = _server_ns(case, "health"), _server_ns(case, "health_as_user")
    if health is None or health >= SLOW_REQUEST_NS or as_user is None:
        return "general"
    again, memory = _server_ns(case, "again"), _server_ns(case, "from_memory")
    # A health check of a known user looks at the store; whoever asks in vain never gets so far.
    is_health_alone = any(ns is not None and ns < SLOW_REQUEST_NS for ns in (again, memory))
    if as_user >= SLOW_REQUEST_NS and not is_health_alone:
        return "either" if _is_queued_alike(probes) else "authentication"
    if again is None or again < SLOW_REQUEST_NS:
        return "general"
    discovery = [ns for request, ns in answers if is_discovery(request.url)]
    if discovery and median_ns(discovery) >= SLOW_REQUEST_NS:
        is_exempt_quick = as_user < SLOW_REQUEST_NS
        return "queue" if is_exempt_quick and _has_queued(probes) else "general"
    if memory is not None and memory < min(SLOW_REQUEST_NS, _HALF * again):
        return "storage"
    return "general"


def _is_for_the_crowd(case: Case, answers: Sequence[tuple[Request, int]]) -> bool:
    """Whether answers were waited for while many handshakes went on, and no longer than those did.

    A client that was held up itself, or a queue on the way, makes everything seem long.
    """
    found = crowd(case)
    if found is None or not case.is_notable(found.excess_ns) or _is_slow_alone(case):
        return False
    if case.is_held_up or way_facts.has_queued_unseen(case):
        return False
    waits = (Moment(start_ns=one.end_ns - took_ns, end_ns=one.end_ns) for one, took_ns in answers)
    return max(map(found.outside_ns, waits)) <= found.excess_ns


def _is_slow_alone(case: Case) -> bool:
    """Whether one of kubelag's own requests was slow, with nothing else going on."""
    own = (*case.evidence.server_probes, *filter(None, (case.evidence.own_request,)))
    far_ns = way_facts.round_trip_ns(case) or 0
    return any(one.spent_ns("server") - far_ns >= SLOW_REQUEST_NS for one in own)


def _is_uncacheable(evidence: Evidence) -> bool:
    """Whether something is known that no client keeps, so that it asks again each time."""
    return bool(broken_groups(evidence.requests) or empty_groups(evidence))


def _is_queued_alike(probes: Sequence[OwnRequest]) -> bool:
    """Whether a health check goes through the same queue as the request.

    Servers before 1.22 exempt nobody's; then waiting for a turn looks like finding out who it is.
    So it does for administrators, who never wait: no answer says which level is the exempt one.
    """
    levels = {one.purpose: one.priority_level for one in probes}
    as_user = levels.get("health_as_user", "")
    return bool(as_user) and as_user == levels.get("again", "")


def _is_unread(case: Case) -> bool:
    """Whether the client left unread what had come, for most of the time that it waited."""
    unread_ns = sum(
        pause.length_ns
        for one in way_facts.connections(case)
        if one.zero_windows
        for pause in one.pauses
        if pause.awaited == "client"
    )
    return unread_ns >= _HALF * case.critical_ns(DISCOVERY, TARGET)


def _is_open_ended(url: str) -> bool:
    """Whether an answer comes only when something happens: a watch, or a log that is followed."""
    parts = urlsplit(url)
    asked = parse_qs(parts.query)
    wants = {*asked.get("watch", ()), *asked.get("follow", ())}
    return bool(wants & {"1", "true"}) or "watch" in parts.path.split("/")


def _has_queued(probes: Sequence[OwnRequest]) -> bool:
    """Whether the server says that the request went through another queue than a health check.

    Health checks and administrators are exempt, so that where both are the same nothing was queued.
    """
    levels = {one.purpose: one.priority_level for one in probes}
    again, health = levels.get("again", ""), levels.get("health_as_user", "")
    return bool(again) and again != health


def _is_group_alone(answers: Sequence[tuple[Request, int]]) -> bool:
    """Whether most of the slow answers' time went into group-versions that failed."""
    broken = broken_groups([request for request, _ in answers])
    slow = [(request, ns) for request, ns in answers if ns >= SLOW_REQUEST_NS]
    failed = sum(ns for request, ns in slow if _group_version(request) in broken)
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


def _server_ns(case: Case, purpose: str) -> int | None:
    """The same without the round trip, as the answers are told: a far server is not a slow one."""
    took_ns = _probe_ns(case.evidence.server_probes, purpose)
    return None if took_ns is None else max(0, took_ns - (way_facts.round_trip_ns(case) or 0))
