"""Pure: who kept the command's connections waiting, and for how long, in sentences."""

from collections.abc import Iterator, Sequence

from kubelag.model.evidence import Evidence
from kubelag.model.network import Connection, Pause
from kubelag.model.stretches import covered_ns
from kubelag.model.units import counted, seconds
from kubelag.timeline.journeys import server_connections

_CLIENTS = "the client itself had to speak"
_SERVERS = {
    "connect": "the server had to answer the SYN",
    "proxy": "the proxy had to answer CONNECT",
    "tls": "the server had to go on with the TLS handshake",
    "data": "the server had to speak",
}
_NOBODYS = "nobody can tell who had to speak"
_WAYS = "packets were on their way there and back"
# A silence that long, in round trips, is no more than the way. Arbitrary: they differ a little.
_TRIPS = 1.25
# What a reader takes in at a glance. Arbitrary.
_SHOWN_SILENCES = 5


def silences(evidence: Evidence) -> Iterator[str]:
    """Who kept the connections waiting, in sentences."""
    if evidence.comparison is not None and evidence.comparison.sentence:
        yield evidence.comparison.sentence
    connections = server_connections(evidence)
    by_reason: dict[str, list[Pause]] = {reason: [] for reason in (_CLIENTS, *_SERVERS.values())}
    pauses = ((pause, one.rtt_ns or 0) for one in connections for pause in one.pauses)
    for pause, rtt_ns in pauses:
        if pause.awaited != "client" or _is_idle_elsewhere(pause, connections):
            by_reason.setdefault(_reason(pause, rtt_ns), []).append(pause)
    for reason, alike in by_reason.items():
        if alike:
            yield _silence(reason, alike, evidence)


def _reason(pause: Pause, rtt_ns: int) -> str:
    if 2 * pause.loss_ns > pause.length_ns:
        return "what had been sent had to be sent again"
    if pause.awaited == "unclear":
        return _NOBODYS
    if pause.awaited == "server" and pause.length_ns <= _TRIPS * rtt_ns:
        return _WAYS
    return _CLIENTS if pause.awaited == "client" else _SERVERS[pause.stage]


def _is_idle_elsewhere(pause: Pause, connections: Sequence[Connection]) -> bool:
    """Whether the client left every connection alone: one that it does not need says nothing."""
    return not any(
        burst.start_ns < pause.end_ns and burst.end_ns > pause.start_ns
        for one in connections
        for burst in one.bursts
    ) and not any(
        other.awaited != "client"
        and other.start_ns < pause.end_ns
        and other.end_ns > pause.start_ns
        for one in connections
        for other in one.pauses
    )


def _silence(why: str, pauses: Sequence[Pause], evidence: Evidence) -> str:
    longest = sorted(pauses, key=lambda one: -one.length_ns)[:_SHOWN_SILENCES]
    shown = ", ".join(
        f"{seconds(one.length_ns)} at {seconds(one.start_ns - evidence.run.start_ns)}"
        for one in sorted(longest, key=lambda one: one.start_ns)
    )
    return (
        f"the line was silent for {seconds(covered_ns(pauses))} while {why} "
        f"({counted(len(pauses), 'pause')}: {shown})"
    )
