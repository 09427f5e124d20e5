"""Which connection carried which request. Pure.

A client's log knows no connections and an encrypted capture no requests, so they are joined by
time: a connection was dialled for the latest request that had begun and had none yet, and any other
request went over the connection on which the server spoke when the answer is said to have come.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from kubelag.model.evidence import Evidence, Request
from kubelag.model.network import Connection

# A client's log rounds to milliseconds: both ends of a request may be one off.
_SLACK_NS = 2_000_000
_DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """One request with what carried it."""

    request: Request
    connection: Connection | None
    """None where no connection was seen that could have carried it."""
    is_dialled: bool = False
    """Whether the connection was made for this request."""
    attempts: tuple[Connection, ...] = ()
    """Connections that were tried for it and never came about, in order."""


@dataclass(slots=True)
class _Draft:
    request: Request
    connection: Connection | None = None
    is_dialled: bool = False
    attempts: list[Connection] = field(default_factory=list)


def journeys(evidence: Evidence) -> tuple[Journey, ...]:
    """Every request of the run, in the evidence's order."""
    wanted = server_connections(evidence)
    drafts = [_Draft(request) for request in evidence.requests]
    by_start = sorted(drafts, key=lambda draft: draft.request.start_ns)
    for connection in sorted(wanted, key=lambda one: one.first_ns):
        _give_to_who_dialled(connection, by_start)
    alive = [_Spoken.of(one) for one in wanted if one.is_established]
    for draft in drafts:
        if draft.connection is None:
            draft.connection = _carrier(draft.request, alive)
    return tuple(
        Journey(
            request=draft.request,
            connection=draft.connection,
            is_dialled=draft.is_dialled,
            attempts=tuple(draft.attempts),
        )
        for draft in drafts
    )


def server_connections(evidence: Evidence) -> tuple[Connection, ...]:
    """Connections to the API server or to the proxy before it; those of plugins are left out."""
    ports = {_port_of(request.url) for request in evidence.requests}
    if evidence.path is not None:
        ports.add(evidence.path.port)
        if evidence.path.proxy:
            ports = {_port_in(evidence.path.proxy)}
    found = tuple(one for one in evidence.connections if _port_in(one.server) in ports)
    # Where nobody looked at the way, a proxy's port is not known; only that way was watched.
    return evidence.connections if evidence.path is None and not found else found


def _give_to_who_dialled(connection: Connection, by_start: Sequence[_Draft]) -> None:
    """The latest request that was waiting when the first SYN left, and had no connection yet."""
    at_ns = connection.syn_ns
    if at_ns is None:
        return
    until_ns = connection.established_ns or at_ns
    waiting = [
        draft
        for draft in reversed(by_start)
        if draft.request.start_ns <= at_ns + _SLACK_NS
        and draft.request.end_ns + _SLACK_NS >= until_ns
        and draft.connection is None
    ]
    # Of many that wait at once, each has dialled for itself.
    draft = min(waiting, key=lambda one: len(one.attempts), default=None)
    if draft is None:
        return
    if connection.is_established:
        draft.connection, draft.is_dialled = connection, True
    else:
        draft.attempts.append(connection)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spoken:
    """A connection with the moments at which the server began to speak, in order."""

    connection: Connection
    starts_ns: tuple[int, ...]

    @classmethod
    def of(cls, connection: Connection) -> "_Spoken":
        starts = (burst.start_ns for burst in connection.bursts if burst.sender == "server")
        return cls(connection=connection, starts_ns=tuple(starts))

    def carries(self, request: Request) -> bool:
        """Whether it was there all the time that the request took."""
        one = self.connection
        begin_ns = one.established_ns or one.first_ns
        return begin_ns <= request.start_ns + _SLACK_NS and one.last_ns >= request.start_ns

    def distance_ns(self, at_ns: int) -> int:
        """From a moment to when the server spoke; far where it is not known to have spoken."""
        place = bisect_left(self.starts_ns, at_ns)
        near = self.starts_ns[max(0, place - 1) : place + 1]
        return min((abs(at_ns - start) for start in near), default=1 << 62)


def _carrier(request: Request, alive: Iterable[_Spoken]) -> Connection | None:
    able = [one for one in alive if one.carries(request)]
    if request.status is None:  # no answer: then it is the one that came to its end
        ended = (one.connection for one in able)
        return min(ended, key=lambda one: abs(one.last_ns - request.end_ns), default=None)
    best = min(able, key=lambda one: one.distance_ns(request.end_ns), default=None)
    return best.connection if best else None


def _port_of(url: str) -> int | None:
    parts = urlsplit(url)
    try:
        return parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None


def _port_in(address: str) -> int | None:
    text = address.rpartition(":")[2]
    return int(text) if text.isascii() and text.isdigit() else None
