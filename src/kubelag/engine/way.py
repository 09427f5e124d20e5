"""Pure: what the report says of the way to the server, hop by hop, healthy or not."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from kubelag.causes.contract import NOTABLE_NS
from kubelag.model.evidence import Evidence
from kubelag.model.network import Connection, Pause
from kubelag.model.path import AddressProbe, BalancerCount, NameProbe, Neighbour, PathMap
from kubelag.model.report import WayLine
from kubelag.model.units import counted, seconds
from kubelag.timeline.journeys import server_connections

_ANSWERED = frozenset({"NOERROR", "NXDOMAIN"})
# What a reader takes in at a glance. Arbitrary.
_SHOWN_SILENCES = 5


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
    pauses = [pause for one in server_connections(evidence) for pause in one.pauses]
    for side, who in (("client", "the client itself"), ("server", "the server")):
        own = [pause for pause in pauses if pause.awaited == side and not pause.retransmissions]
        if own:
            yield _silence(who, own, evidence)
    lost = [pause for pause in pauses if pause.retransmissions]
    if lost:
        yield _silence("nobody, since packets were lost,", lost, evidence)


def _silence(who: str, pauses: Sequence[Pause], evidence: Evidence) -> str:
    covered_ns = _covered_ns(pauses)
    longest = sorted(pauses, key=lambda one: -one.length_ns)[:_SHOWN_SILENCES]
    shown = ", ".join(
        f"{seconds(one.length_ns)} at {seconds(one.start_ns - evidence.run.start_ns)}"
        for one in sorted(longest, key=lambda one: one.start_ns)
    )
    return (
        f"the line was silent and {who} had to speak during {seconds(covered_ns)} "
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
        told = ", ".join(
            f"{probe.kind} {', '.join(probe.addresses) or probe.code} in {seconds(probe.took_ns)}"
            for probe in probes
        )
        is_well = all(probe.code in _ANSWERED and probe.took_ns < NOTABLE_NS for probe in probes)
        yield WayLine(hop=f"name server {server}", sentence=told, is_well=is_well)


def _proxy(path: PathMap) -> Iterator[WayLine]:
    if not path.proxy:
        return
    took = [one.tunnel_ns for one in path.front if one.tunnel_ns is not None]
    answered = f"answers CONNECT in {seconds(median(took))}" if took else "did not answer CONNECT"
    is_well = bool(took) and max(took) < NOTABLE_NS
    sentence = f"{answered} (from {path.proxy_source})"
    yield WayLine(hop=f"proxy {path.proxy}", sentence=sentence, is_well=is_well)


def _addresses(path: PathMap, meanwhile: Sequence[Neighbour]) -> Iterator[WayLine]:
    known = sorted((*path.neighbours, *meanwhile), key=lambda one: one.at_ns)
    for address in dict.fromkeys(probe.address for probe in path.front):
        probes = [probe for probe in path.front if probe.address == address]
        told, is_well = _probed(probes)
        macs = dict.fromkeys(one.mac for one in known if one.mac and one.address in address)
        moved = f"; it moved: {' to '.join(macs)}" if len(macs) > 1 else ""
        yield WayLine(
            hop=f"address {address}",
            sentence=f"{told}{_certificate(probes)}{moved}",
            is_well=is_well and not moved,
        )


def _backends(path: PathMap) -> Iterator[WayLine]:
    for backend in path.backends:
        probes = [probe for probe in path.behind if probe.backend == backend.name]
        told, is_well = _probed(probes)
        met = sum(probe.backend == backend.name for probe in path.front)
        front = f"; met {counted(met, 'time')} through the address" if path.front else ""
        yield WayLine(
            hop=f"API server {backend.name}",
            sentence=f"{backend.address} (by {backend.source}): {told}{front}",
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
    if len(took) == 1 or min(took) == max(took):
        return seconds(took[0])
    return f"{seconds(min(took))} to {seconds(max(took))}"


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
        errors = last.connect_errors - first.connect_errors
        retries = last.retries - first.retries
        yield WayLine(
            hop=f"balancer's {server}",
            sentence=(
                f"{last.status}, {counted(last.sessions - first.sessions, 'session')} meanwhile, "
                f"{counted(errors, 'failed connect')}, {counted(retries, 'retry', 'retries')}, "
                f"connect {last.connect_ms} ms (mean)"
            ),
            is_well=not errors and not retries and last.status != "DOWN",
        )


def _run(connections: Sequence[Connection]) -> Iterator[WayLine]:
    if not connections:
        return
    sent = sum(one.sent_segments + one.received_segments for one in connections)
    again = sum(one.sent_again + one.received_again for one in connections)
    made = [one.connect_ns for one in connections if one.connect_ns is not None]
    secured = [one.tls_ns for one in connections if one.tls_ns is not None]
    trips = [one.rtt_ns for one in connections if one.rtt_ns is not None]
    parts = [counted(len(connections), "connection")]
    parts += [f"connect {_range(made)}"] if made else []
    parts += [f"TLS {_range(secured)}"] if secured else []
    parts += [f"round trip {seconds(min(trips))}"] if trips else []
    parts.append(f"{again:,} of {counted(sent, 'segment')} sent again")
    met = dict.fromkeys(one.backend for one in connections if one.backend)
    parts += [f"served by {', '.join(met)}"] if met else []
    yield WayLine(hop="this run", sentence=", ".join(parts), is_well=not again)
