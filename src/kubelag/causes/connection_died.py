"""A connection that was in use went silent for good or broke, and the client found out late.

What it is
    A balancer, a firewall or a VPN forgot the connection (idle timeout, failover, sleep) and drops
    its packets without a word, or answers them with a reset; or whoever held it at the other end
    has gone. HTTP/2 multiplexes everything over that one connection.

How it is told apart
    Data that the client sent are never acknowledged, on a connection that had worked, or it is
    reset while an answer is awaited; in the end the client says `http2: client connection lost`, or
    opens another one. What was asked is asked again, and answered.

What it costs
    Up to 45 s: 30 s without a frame, then 15 s for a ping. Before kubectl 1.20 about 15 minutes.

Versions
    Long-lived clients (watch, logs -f, controllers); the health check came with client-go 0.20.

Sources
    kubernetes#95981, kubernetes#87615, client-go#374.
"""

from collections.abc import Iterator, Sequence

from kubelag.causes import way_facts
from kubelag.causes.contract import Case, innocent, unknown
from kubelag.model.network import Connection, Pause
from kubelag.model.remedy import Advice
from kubelag.model.units import seconds
from kubelag.model.verdict import Fact, Judgement, Source
from kubelag.timeline.factors import BROKEN, LOSS, RETRY, TARGET

ID = "connection_died"

_FACTORS = (BROKEN, LOSS, RETRY)
_LOST = "http2: client connection lost"
_ADVICE = Advice(
    id="keep-connections-alive",
    summary=(
        "raise the idle timeout of what stands between, or let clients look more often: "
        "HTTP2_READ_IDLE_TIMEOUT_SECONDS and HTTP2_PING_TIMEOUT_SECONDS"
    ),
    commands=("export HTTP2_READ_IDLE_TIMEOUT_SECONDS=5 HTTP2_PING_TIMEOUT_SECONDS=3",),
)
_SOURCES = (
    Source(
        title="kubernetes#95981: health check of HTTP/2 connections",
        url="https://github.com/kubernetes/kubernetes/pull/95981",
    ),
)


class ConnectionDied:
    """See the module."""

    id = ID
    title = "a connection in use died"

    def judge(self, case: Case) -> Judgement:
        """Look for data that nobody ever acknowledged, and for answers that never came."""
        if missing := way_facts.unseen(case):
            return unknown(ID, "whether connections died was not seen", missing)
        dead = way_facts.deaths(case)
        servers = {one.server for one in (*way_facts.broken(case), *(one for one, _ in dead))}
        has_waited = any(case.is_notable(pause.length_ns) for _, pause in dead)
        if not servers or not (has_waited or case.is_waited_for(BROKEN)):
            return innocent(ID, "no connection died while it was in use", TARGET)
        if all(way_facts.has_moved(server, case) for server in servers):
            return innocent(ID, "it died since the address moved, which is another cause", TARGET)
        return _suspected(case, dead, sorted(servers))


def _suspected(
    case: Case, dead: list[tuple[Connection, Pause]], servers: Sequence[str]
) -> Judgement:
    paused_ns = case.critical_ns(RETRY)
    silent_ns = max(sum(pause.length_ns for _, pause in dead), case.critical_ns(BROKEN))
    waited_ns = min(silent_ns + paused_ns, case.attribution.wall_ns)
    how = "died" if dead else "was reset"
    return Judgement(
        cause=ID,
        standing="suspected",
        sentence=(
            f"the connection to {', '.join(servers)} {how} while it was in use, and "
            f"{case.client} noticed after {seconds(silent_ns)}"
        ),
        factors=_FACTORS,
        low_ns=min(waited_ns, case.exclusive_ns(*_FACTORS)),
        high_ns=max(waited_ns, case.union_ns(*_FACTORS)),
        arithmetic=(
            f"{seconds(silent_ns)} in vain, {seconds(paused_ns)} until the client tried again"
        ),
        facts=tuple(_facts(case, dead)),
        advice=(_ADVICE,),
        sources=_SOURCES,
    )


def _facts(case: Case, dead: list[tuple[Connection, Pause]]) -> Iterator[Fact]:
    for one, pause in dead:
        text = f"{pause.why}: {pause.retransmissions} repeats without an answer"
        yield Fact(text=text, observer=one.seen_by)
    for one in way_facts.broken(case):
        text = f"{one.outline}, {one.ending.replace('_', ' ')} before it had answered"
        yield Fact(text=text, observer=one.seen_by)
    if _LOST in case.evidence.run.stderr_tail:
        yield Fact(text=f"the client said: {_LOST}", observer="debug_log")
