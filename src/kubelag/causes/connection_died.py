"""A connection that was in use went silent for good, and the client found out late.

What it is
    A balancer, a firewall or a VPN forgot the connection (idle timeout, failover, sleep) and drops
    its packets without a word. HTTP/2 multiplexes everything over that one connection.

How it is told apart
    Data that the client sent are never acknowledged, on a connection that had worked; in the end
    the client says `http2: client connection lost`, or opens another one.

What it costs
    Up to 45 s: 30 s without a frame, then 15 s for a ping. Before kubectl 1.20 about 15 minutes.

Versions
    Long-lived clients (watch, logs -f, controllers); the health check came with client-go 0.20.

Sources
    kubernetes#95981, kubernetes#87615, client-go#374.
"""

from kubelag.causes import way_facts
from kubelag.causes.contract import Case, innocent, unknown
from kubelag.model.remedy import Advice
from kubelag.model.units import seconds
from kubelag.model.verdict import Fact, Judgement, Source
from kubelag.timeline.factors import LOSS, RETRY, TARGET

ID = "connection_died"

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
    title = "a connection in use died silently"

    def judge(self, case: Case) -> Judgement:
        """Look for data that nobody ever acknowledged."""
        if missing := way_facts.unseen(case):
            return unknown(ID, "whether connections died was not seen", missing)
        dead = way_facts.deaths(case)
        has_said = _LOST in case.evidence.run.stderr_tail
        if not dead or not any(case.is_notable(pause.length_ns) for _, pause in dead):
            return innocent(ID, "no connection died while it was in use", TARGET)
        if all(way_facts.has_moved(one.server, case) for one, _ in dead):
            return innocent(ID, "it died since the address moved, which is another cause", TARGET)
        connection, pause = max(dead, key=lambda pair: pair[1].length_ns)
        facts = [Fact(text=pause.why, observer=connection.seen_by)]
        if has_said:
            facts.append(Fact(text=f"the client said: {_LOST}", observer="debug_log"))
        paused_ns = case.critical_ns(RETRY)
        waited_ns = sum(one.length_ns for _, one in dead) + paused_ns
        return Judgement(
            cause=ID,
            standing="suspected",
            sentence=(
                f"the connection to {connection.server} died while it was in use, and "
                f"{case.client} noticed after {seconds(pause.length_ns)}"
            ),
            factors=(LOSS, RETRY),
            low_ns=min(waited_ns, case.exclusive_ns(LOSS, RETRY)),
            high_ns=max(waited_ns, case.union_ns(LOSS, RETRY)),
            arithmetic=f"{pause.retransmissions} repeats without an answer in {seconds(waited_ns)}",
            facts=tuple(facts),
            advice=(_ADVICE,),
            sources=_SOURCES,
        )
