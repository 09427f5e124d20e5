"""Pure: what the report says of the way to the server, hop by hop, healthy or not."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import median

from kubelag.causes.contract import NOTABLE_NS
from kubelag.engine.crossing import extent, run_line
from kubelag.model.evidence import Evidence
from kubelag.model.path import AddressProbe, BalancerCount, NameProbe, Neighbour, PathMap
from kubelag.model.report import WayLine
from kubelag.model.units import counted, seconds
from kubelag.timeline.journeys import server_connections

_ANSWERED = frozenset({"NOERROR", "NXDOMAIN"})
_WITHOUT_ANSWER = {"timeout": "no answer", "refused": "refused to answer"}
# What a reader takes in at a glance. Arbitrary.
_SHOWN_NAMES = 3
# How HAProxy begins the states in which a server gets nothing to do (management guide, 9.1).
_OUT_OF_USE = ("DOWN", "MAINT", "DRAIN", "NOLB")


def way(evidence: Evidence) -> Iterator[WayLine]:
    """The hops in the order in which a request meets them, then what the run itself saw."""
    path = evidence.path
    if path is not None:
        yield from _names(path)
        yield from _proxy(path)
        yield from _addresses(path, evidence.neighbours)
        yield from _certificates(path)
        yield from _balancer(path.balancer)
        yield from _backends(path)
    yield from run_line(server_connections(evidence), evidence.lookups, path)


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
        yield WayLine(hop=f"DNS {server}", sentence=told, is_well=is_well)


def _question(probe: NameProbe) -> str:
    """What was asked, and what came of it; the name only where a search domain was appended."""
    empty = _WITHOUT_ANSWER.get(probe.code, probe.code)
    empty = "has no address" if probe.code == "NOERROR" else empty
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
        before = "VIP/balancer" if _has_servers_behind(path) else "address"
        where = before if hop == "front" else "through"
        where = "past the proxy," if is_beside else where
        yield WayLine(
            hop=f"{where} {address}",
            sentence=f"{told}{moved}",
            is_well=is_beside or (is_well and not moved),
        )


def _has_servers_behind(path: PathMap) -> bool:
    """A single one that is the address itself stands behind none."""
    known = [one.address for one in path.backends]
    return bool(known) and known not in [[probe.address] for probe in path.front]


def _backends(path: PathMap) -> Iterator[WayLine]:
    """Who stands behind the address, how they were found, and which of them was met in turn."""
    if path.backends and not _has_servers_behind(path):
        return
    if path.backends_why:
        count = f"{len(path.backends)}, " if path.backends else "not known: "
        yield WayLine(hop="API servers", sentence=f"{count}{path.backends_why}{_in_turn(path)}")
    for backend in path.backends:
        probes = [probe for probe in path.behind if probe.backend == backend.name]
        told, is_well = _probed(probes)
        where = f"{backend.address}: " if backend.address != backend.name else ""
        yield WayLine(hop=f"API server {backend.name}", sentence=f"{where}{told}", is_well=is_well)


def _in_turn(path: PathMap) -> str:
    """Which of them answered, connection by connection, by their numbers in the list below."""
    numbers = {one.name: str(at) for at, one in enumerate(path.backends, start=1)}
    met = [numbers.get(one.backend) or ("x" if one.error else "?") for one in path.front]
    if not any(one.backend in numbers for one in path.front):
        return ""
    key = {"x": ", x failed", "?": ", ? not known"}
    legend = "".join(told for mark, told in key.items() if mark in met)
    return f"; met through the address in turn: {' '.join(met)} (numbered as listed{legend})"


def _probed(probes: Sequence[AddressProbe]) -> tuple[str, bool]:
    """What kubelag's own connections took, and whether all went well and quickly."""
    failed = [probe for probe in probes if probe.error]
    stages = (
        ("connect", [one.connect_ns for one in probes if one.connect_ns is not None]),
        ("TLS", [one.tls_ns for one in probes if one.tls_ns is not None]),
        ("answer", [one.answer_ns for one in probes if one.answer_ns is not None]),
    )
    parts = [f"{name} {extent(took)}" for name, took in stages if took]
    parts += _kernels_words(probes)
    if failed:
        tries = counted(len(probes), "try", "tries")
        parts.append(f"{len(failed)} of {tries} failed: {failed[0].error}")
    slowest = max((max(took) for _, took in stages if took), default=0)
    return ", ".join(parts) or "not tried", not failed and 0 < slowest < NOTABLE_NS


def _kernels_words(probes: Sequence[AddressProbe]) -> Iterator[str]:
    trips = [one.rtt_ns for one in probes if one.rtt_ns is not None]
    again = sum(one.retransmissions for one in probes)
    protocols = sorted({_spoken(one) for one in probes if one.protocol or one.tls_version})
    sizes = {one.path_mtu_bytes for one in probes if one.path_mtu_bytes}
    windows = [one.congestion_window for one in probes if one.congestion_window]
    if trips:
        yield f"round trip {seconds(min(trips))}"
    if trips and again:
        yield f"{counted(again, 'segment')} sent again"
    if windows:
        yield f"cwnd {counted(min(windows), 'segment')}"
    if sizes:
        yield f"path MTU {min(sizes):,} bytes"
    if protocols:
        yield "/".join(protocols)


def _spoken(probe: AddressProbe) -> str:
    """For example `h2 over TLSv1.3`."""
    chosen = probe.protocol or "no ALPN"
    return f"{chosen} over {probe.tls_version}" if probe.tls_version else chosen


def _certificates(path: PathMap) -> Iterator[WayLine]:
    """What was shown on the way that the command takes: for which names, and until when."""
    shown = {
        one.certificate.sha256: one.certificate
        for one in path.front
        if one.certificate is not None and not (path.proxy and one.hop == "front")
    }
    if not shown:
        return
    known = [one.ends_at[:10] for one in shown.values() if one.ends_at]
    ends = f"ends {min(known, default='at an unknown time')}"
    names = dict.fromkeys(name for one in shown.values() for name in one.names)
    ours = [path.tls_name] if path.tls_name in names else []
    listed = list(dict.fromkeys((*ours, *names)))
    more = f" and {len(listed) - _SHOWN_NAMES} more" if len(listed) > _SHOWN_NAMES else ""
    whose = f"for {', '.join(listed[:_SHOWN_NAMES])}{more}, " if listed else ""
    until = f"the first {ends}" if len(shown) > 1 else ends
    hop = "certificate" if len(shown) == 1 else f"{len(shown)} certificates"
    yield WayLine(hop=hop, sentence=f"{whose}{until}")


def _balancer(counts: Sequence[BalancerCount]) -> Iterator[WayLine]:
    """What the balancer's own counters did meanwhile, server by server."""
    by_server: dict[tuple[str, str], list[BalancerCount]] = defaultdict(list)
    for count in counts:
        by_server[count.frontend, count.server].append(count)
    named = Counter(server for _, server in by_server)
    for (section, server), samples in by_server.items():
        first, last = samples[0], samples[-1]
        told, is_quiet = _counted(first, last)
        is_up = not last.status.startswith(_OUT_OF_USE)
        meanwhile = told if len(samples) > 1 else "what it did meanwhile is not known"
        took = f"{last.connect_ms} ms" if last.connect_ms else "under 1 ms"
        yield WayLine(
            hop=f"balancer's {server if named[server] == 1 else f'{section}/{server}'}",
            sentence=f"{last.status}, {meanwhile}, connect {took} (mean)",
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
