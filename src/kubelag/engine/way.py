"""Pure: what the report says of the way to the server, hop by hop, healthy or not."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from statistics import median

from kubelag.causes.contract import NOTABLE_NS
from kubelag.model.evidence import Evidence
from kubelag.model.network import Connection, Pause
from kubelag.model.path import AddressProbe, BalancerCount, NameProbe, Neighbour, PathMap
from kubelag.model.report import WayLine
from kubelag.model.units import counted, seconds
from kubelag.timeline.journeys import server_connections

_ANSWERED = frozenset({"NOERROR", "NXDOMAIN"})
_AWAITED = {
    "client": "the client itself had to speak",
    "server": "the server had to speak",
    "unclear": "nobody can tell who had to speak",
}
# What a reader takes in at a glance. Arbitrary.
_SHOWN_SILENCES = 5
# How HAProxy begins the states in which a server gets nothing to do (management guide, 9.1).
_OUT_OF_USE = ("DOWN", "MAINT", "DRAIN", "NOLB")


def way(evidence: Evidence) -> Iterator[WayLine]:
    """The hops in the order in which a request meets them, then what the run itself saw."""
    path = evidence.path
    if path is not None:
        yield from _names(path)
        yield from _proxy(path)
        yield from _addresses(path, evidence.neighbours)
        yield from _balancer(path.balancer)
        yield from _backends(path)
    yield from _run(server_connections(evidence))


def silences(evidence: Evidence) -> Iterator[str]:
    """Who kept the connections waiting, in sentences."""
    if evidence.comparison is not None and evidence.comparison.sentence:
        yield evidence.comparison.sentence
    connections = server_connections(evidence)
    pauses = [pause for one in connections for pause in one.pauses]
    for side, who in _AWAITED.items():
        own = [pause for pause in pauses if pause.awaited == side and not pause.retransmissions]
        if side == "client":
            own = [pause for pause in own if _is_idle_elsewhere(pause, connections)]
        if own:
            yield _silence(who, own, evidence)
    lost = [pause for pause in pauses if pause.retransmissions]
    if lost:
        yield _silence("what had been sent had to be sent again", lost, evidence)


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
    covered_ns = _covered_ns(pauses)
    longest = sorted(pauses, key=lambda one: -one.length_ns)[:_SHOWN_SILENCES]
    shown = ", ".join(
        f"{seconds(one.length_ns)} at {seconds(one.start_ns - evidence.run.start_ns)}"
        for one in sorted(longest, key=lambda one: one.start_ns)
    )
    return (
        f"the line was silent for {seconds(covered_ns)} while {why} "
        f"({counted(len(pauses), 'pause')}: {shown})"
    )


def _covered_ns(pauses: Iterable[Pause]) -> int:
    total_ns = until_ns = 0
    for pause in sorted(pauses, key=lambda one: one.start_ns):
        total_ns += max(0, pause.end_ns - max(pause.start_ns, until_ns))
        until_ns = max(until_ns, pause.end_ns)
    return total_ns


def _names(path: PathMap) -> Iterator[WayLine]:
    if path.resolver is not None and path.resolver.hosts_file:
        addresses = ", ".join(path.resolver.hosts_file)
        yield WayLine(hop="name", sentence=f"{path.host} is {addresses} by the hosts file")
        return
    by_server: dict[str, list[NameProbe]] = defaultdict(list)
    for probe in path.names:
        by_server[probe.server].append(probe)
    for server, probes in by_server.items():
        told = ", ".join(f"{_question(probe)} in {seconds(probe.took_ns)}" for probe in probes)
        is_well = all(probe.code in _ANSWERED and probe.took_ns < NOTABLE_NS for probe in probes)
        yield WayLine(hop=f"name server {server}", sentence=told, is_well=is_well)


def _question(probe: NameProbe) -> str:
    """What was asked, and what came of it; the name only where a search domain was appended."""
    empty = "has no address" if probe.code == "NOERROR" else probe.code
    asked = f"{probe.kind} {probe.name}" if probe.is_searched else probe.kind
    return f"{asked} {', '.join(probe.addresses) or empty}"


def _proxy(path: PathMap) -> Iterator[WayLine]:
    if not path.proxy:
        return
    took = [one.tunnel_ns for one in path.front if one.tunnel_ns is not None]
    answered = f"answers CONNECT in {seconds(median(took))}" if took else "did not answer CONNECT"
    is_well = bool(took) and max(took) < NOTABLE_NS
    sentence = f"{answered} (from {path.proxy_source})"
    yield WayLine(hop=f"proxy {path.proxy}", sentence=sentence, is_well=is_well)


def _addresses(path: PathMap, meanwhile: Sequence[Neighbour]) -> Iterator[WayLine]:
    """Every address that was dialled; what lies past a proxy is no hop of the command's."""
    known = sorted((*path.neighbours, *meanwhile), key=lambda one: one.at_ns)
    for hop, address in dict.fromkeys((probe.hop, probe.address) for probe in path.front):
        probes = [one for one in path.front if (one.hop, one.address) == (hop, address)]
        told, is_well = _probed(probes)
        host = address.rpartition(":")[0].strip("[]")
        macs = dict.fromkeys(one.mac for one in known if one.mac and one.address == host)
        moved = f"; it moved: {' to '.join(macs)}" if len(macs) > 1 else ""
        is_beside = bool(path.proxy) and hop == "front"
        where = "address" if hop == "front" else "through"
        where = "past the proxy," if is_beside else where
        yield WayLine(
            hop=f"{where} {address}",
            sentence=f"{told}{_certificate(probes)}{moved}",
            is_well=is_beside or (is_well and not moved),
        )


def _backends(path: PathMap) -> Iterator[WayLine]:
    """Who stands behind the address; a single one that is the address itself stands behind none."""
    if [one.address for one in path.backends] in [[probe.address] for probe in path.front]:
        return
    for backend in path.backends:
        probes = [probe for probe in path.behind if probe.backend == backend.name]
        told, is_well = _probed(probes)
        met = sum(probe.backend == backend.name for probe in path.front)
        front = f"; met {counted(met, 'time')} through the address" if path.front else ""
        where = f"{backend.address} " if backend.address != backend.name else ""
        yield WayLine(
            hop=f"API server {backend.name}",
            sentence=f"{where}(by {backend.source}): {told}{front}",
            is_well=is_well,
        )


def _probed(probes: Sequence[AddressProbe]) -> tuple[str, bool]:
    """What kubelag's own connections took, and whether all went well and quickly."""
    failed = [probe for probe in probes if probe.error]
    stages = (
        ("connect", [one.connect_ns for one in probes if one.connect_ns is not None]),
        ("TLS", [one.tls_ns for one in probes if one.tls_ns is not None]),
        ("answer", [one.answer_ns for one in probes if one.answer_ns is not None]),
    )
    parts = [f"{name} {_range(took)}" for name, took in stages if took]
    parts += _kernels_words(probes)
    if failed:
        tries = counted(len(probes), "try", "tries")
        parts.append(f"{len(failed)} of {tries} failed: {failed[0].error}")
    slowest = max((max(took) for _, took in stages if took), default=0)
    return ", ".join(parts) or "not tried", not failed and 0 < slowest < NOTABLE_NS


def _kernels_words(probes: Sequence[AddressProbe]) -> Iterator[str]:
    trips = [one.rtt_ns for one in probes if one.rtt_ns is not None]
    again = sum(one.retransmissions for one in probes)
    protocols = sorted({one.protocol for one in probes if one.protocol})
    sizes = {one.path_mtu_bytes for one in probes if one.path_mtu_bytes}
    if trips:
        yield f"round trip {seconds(min(trips))}"
    if trips and again:
        yield f"{counted(again, 'segment')} sent again"
    if sizes:
        yield f"path MTU {min(sizes):,} bytes"
    if protocols:
        yield "/".join(protocols)


def _range(took: Sequence[int]) -> str:
    least, most = seconds(min(took)), seconds(max(took))
    return least if least == most else f"{least} to {most}"


def _certificate(probes: Sequence[AddressProbe]) -> str:
    shown = [one.certificate for one in probes if one.certificate is not None]
    if not shown:
        return ""
    ends = min(one.ends_at for one in shown)
    different = len({one.sha256 for one in shown})
    several = f"{different} certificates, the first ends" if different > 1 else "certificate until"
    return f"; {several} {ends[:10]}"


def _balancer(counts: Sequence[BalancerCount]) -> Iterator[WayLine]:
    """What the balancer's own counters did meanwhile, server by server."""
    by_server: dict[str, list[BalancerCount]] = defaultdict(list)
    for count in counts:
        by_server[f"{count.frontend}/{count.server}"].append(count)
    for server, samples in by_server.items():
        first, last = samples[0], samples[-1]
        told, is_quiet = _counted(first, last)
        is_up = not last.status.startswith(_OUT_OF_USE)
        meanwhile = told if len(samples) > 1 else "what it did meanwhile is not known"
        yield WayLine(
            hop=f"balancer's {server}",
            sentence=f"{last.status}, {meanwhile}, connect {last.connect_ms} ms (mean)",
            is_well=is_quiet and is_up,
        )


def _counted(first: BalancerCount, last: BalancerCount) -> tuple[str, bool]:
    """What happened between two looks, and whether nothing went wrong; a restart counts anew."""
    is_older = last.sessions < first.sessions
    began = replace(first, sessions=0, connect_errors=0, retries=0, downs=0) if is_older else first
    errors = last.connect_errors - began.connect_errors
    retries = last.retries - began.retries
    downs, sessions = last.downs - began.downs, last.sessions - began.sessions
    parts = [
        f"{counted(sessions, 'session')} meanwhile (kubelag's own among them)",
        counted(errors, "failed connect"),
        counted(retries, "retry", "retries"),
        *([f"went down {counted(downs, 'time')}"] if downs else []),
    ]
    return ", ".join(parts), not (errors or retries or downs)


def _run(connections: Sequence[Connection]) -> Iterator[WayLine]:
    if not connections:
        return
    sent = sum(one.sent_segments + one.received_segments for one in connections)
    again = sum(one.sent_again + one.received_again for one in connections)
    made = [one.connect_ns for one in connections if one.connect_ns is not None]
    # What began and ended between two looks at a socket took no time that could be told.
    secured = [one.tls_ns for one in connections if one.tls_ns]
    trips = [one.rtt_ns for one in connections if one.rtt_ns is not None]
    failed = [one for one in connections if not one.is_established]
    parts = [counted(len(connections), "connection")]
    parts += [f"{len(failed)} of them never came about ({_servers(failed)})"] if failed else []
    parts += [f"connect {_range(made)}"] if made else []
    parts += [f"TLS {_range(secured)}"] if secured else []
    parts += [f"round trip {seconds(min(trips))}"] if trips else []
    parts.append(f"{again:,} of {counted(sent, 'segment')} sent again")
    met = dict.fromkeys(one.backend for one in connections if one.backend)
    parts += [f"served by {', '.join(met)}"] if met else []
    is_well = not again and not failed
    yield WayLine(hop="this run", sentence=", ".join(parts), is_well=is_well)


def _servers(connections: Iterable[Connection]) -> str:
    """Where they went, each once."""
    return ", ".join(dict.fromkeys(one.server for one in connections))
