"""What was seen of the way to the server: one reading that all causes about it share."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

from kubelag.causes.contract import NOTABLE_NS, Case, could_not_look
from kubelag.model.attribution import Factor
from kubelag.model.network import Connection, Pause, Stage
from kubelag.model.path import AddressProbe, PathMap
from kubelag.model.units import counted
from kubelag.timeline.broken import lost_waits
from kubelag.timeline.factors import CONNECT
from kubelag.timeline.journeys import journeys, server_connections
from kubelag.timeline.network_spans import journey_spans
from kubelag.timeline.spans import answer_times_ns
from kubelag.timeline.transfer import has_queued

Trouble = Literal["refused", "silent", "slow"]

# Fewer repeats than this are a lossy line, after which the answer may still come. Arbitrary: four
# are 3 s of silence at the least (RFC 6298: 0.2 s, doubled each time).
_LEAST_REPEATS = 4
# A backend is slow where it takes this much longer than its brothers, and long enough to be felt.
# Arbitrary: equal servers of the lab differ by less than two.
_SLOWER_RATIO = 5.0
# Who met a slow one waited about as long as kubelag's own probe did; arbitrary, half of that.
_ALIKE = 0.5
# A server that has nothing to say yet acknowledges that late: TCP_DELACK_MIN, include/net/tcp.h.
_LATE_ACK_NS = 40_000_000
# Of the largest segment: what a tunnel on the way takes off is less than that. Arbitrary.
_LARGE = 0.5
_UNTRIED = ("path: no other size of segments was tried by kubelag's own connections",)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedAddress:
    """An address to which no connection came about."""

    address: str
    tries: int
    spent_ns: int
    """How long the command waited for it."""

    @property
    def is_ipv6(self) -> bool:
        """Whether it is one of the new protocol."""
        return self.address.startswith("[")


@dataclass(frozen=True, slots=True, kw_only=True)
class BadBackend:
    """An API server behind the balancer that is not as its brothers are."""

    name: str
    address: str
    trouble: Trouble
    took_ns: int
    """How long it kept kubelag's own probe waiting."""
    others_ns: int
    """The same for its brothers, median."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnevenFront:
    """One address through which some connections are well and others not."""

    sentence: str
    is_lossy: bool
    """Whether the failed ones lost packets, which says nothing of who was at their other end."""


def unseen(case: Case) -> tuple[str, ...]:
    """Why nothing is known of the connections; empty where somebody saw them."""
    seers = ("capture", "sockets")
    if case.evidence.connections or any(case.evidence.has_looked(name) for name in seers):
        return ()
    return could_not_look(case, seers)


def is_quick(case: Case, *factors: Factor) -> bool:
    """Whether connections were seen and none of that was waited for: then no probe is needed."""
    return not unseen(case) and not case.is_waited_for(*factors)


def unprobed(case: Case) -> tuple[str, ...]:
    """Why the way was not tried by kubelag itself; empty where it was."""
    return () if case.evidence.path else could_not_look(case, ["path"])


def connections(case: Case) -> tuple[Connection, ...]:
    """Those to the API server, or to the proxy before it."""
    return server_connections(case.evidence)


def pauses(case: Case, *stages: Stage) -> list[Pause]:
    """The silences of all of them in those stages, longest first."""
    found = [pause for one in connections(case) for pause in one.pauses if pause.stage in stages]
    return sorted(found, key=lambda one: -one.length_ns)


def deaths(case: Case) -> list[tuple[Connection, Pause]]:
    """Connections that had worked and never spoke again, each with its last silence.

    The silence ends where the client gave up and dialled anew.
    """
    found = []
    for one in connections(case):
        last = one.pauses[-1] if one.pauses else None
        if last is None or not one.received_bytes or last.stage != "data":
            continue
        if last.is_unheard and last.retransmissions >= _LEAST_REPEATS:
            later = (other.syn_ns for other in connections(case) if other.syn_ns is not None)
            given_up = min((at for at in later if at > last.start_ns), default=last.end_ns)
            found.append((one, replace(last, end_ns=min(last.end_ns, given_up))))
    return found


def broken(case: Case) -> tuple[Connection, ...]:
    """Connections that broke before they had answered what was asked again and answered then."""
    requests = case.evidence.requests
    found = (
        one.connection
        for one in journeys(case.evidence)
        if one.connection is not None and any(lost_waits(one, requests))
    )
    return tuple({(one.client, one.first_ns): one for one in found}.values())


def failed_addresses(case: Case) -> tuple[FailedAddress, ...]:
    """Addresses that were dialled in vain, the costliest first."""
    spent: dict[str, int] = defaultdict(int)
    tries: dict[str, int] = defaultdict(int)
    for journey in journeys(case.evidence):
        for attempt in journey.attempts:
            tries[attempt.server] += 1
        for span in journey_spans(journey):
            if span.factor == CONNECT and span.what in tries:
                spent[span.what] += span.end_ns - span.start_ns
    found = (
        FailedAddress(address=address, tries=count, spent_ns=spent[address])
        for address, count in tries.items()
    )
    return tuple(sorted(found, key=lambda one: -one.spent_ns))


def is_alive(address: str, case: Case) -> bool:
    """Whether a connection to that address came about, in the run or afterwards."""
    ran = any(one.server == address and one.is_established for one in connections(case))
    path = case.evidence.path
    probes = path.front if path else ()
    return ran or any(one.address == address and one.connect_ns is not None for one in probes)


def owners(case: Case) -> dict[str, tuple[str, ...]]:
    """Which cards answered for each address of a server, in order: by packets and by the kernel.

    An address of IPv6 stands in brackets, as in `[IP]:port`.
    """
    sightings = [
        (one.first_ns, one.server.rpartition(":")[0], mac)
        for one in connections(case)
        for mac in one.macs
    ]
    path = case.evidence.path
    dialled = (*(one.server for one in connections(case)), *_dialled(path))
    servers = {server.rpartition(":")[0] for server in dialled}
    for neighbour in (*case.evidence.neighbours, *(path.neighbours if path else ())):
        address = f"[{neighbour.address}]" if ":" in neighbour.address else neighbour.address
        if neighbour.mac and address in servers:
            sightings.append((neighbour.at_ns, address, neighbour.mac))
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for _, address, mac in sorted(sightings, key=lambda sighting: sighting[0]):
        found[address][mac] = None
    return {address: tuple(macs) for address, macs in found.items()}


def _dialled(path: PathMap | None) -> Iterator[str]:
    """What kubelag's own probes dialled instead of the client."""
    yield from (probe.address for probe in path.front) if path else ()


def has_moved(server: str, case: Case) -> bool:
    """Whether more than one card answered for the address of a server, `IP:port`."""
    return len(owners(case).get(server.rpartition(":")[0], ())) > 1


def bad_backends(path: PathMap | None) -> tuple[BadBackend, ...]:
    """Backends that answered kubelag's own probes worse than the others did; none of one alone."""
    if path is None:
        return ()
    times = {one.name: _answered_ns(_probes_of(one.name, path.behind)) for one in path.backends}
    known = {one.name: one for one in path.backends}
    found = []
    for name, took_ns in times.items():
        probes = _probes_of(name, path.behind)
        others = [ns for other, ns in times.items() if other != name and ns is not None]
        if not probes or not others:
            continue
        others_ns = round(median(others))
        trouble = _trouble(probes, took_ns, others_ns)
        if trouble is not None:
            found.append(
                BadBackend(
                    name=name,
                    address=known[name].address,
                    trouble=trouble,
                    took_ns=took_ns if took_ns is not None else max(p.took_ns for p in probes),
                    others_ns=others_ns,
                )
            )
    return tuple(sorted(found, key=lambda one: -one.took_ns))


def met_backends(case: Case) -> tuple[BadBackend, ...]:
    """Those of the bad ones that this run can have met, as far as can be told."""
    path, bad = case.evidence.path, bad_backends(case.evidence.path)
    if path is None or not bad:
        return ()
    served = {one.backend for one in connections(case) if one.is_established}
    is_known = bool(served) and "" not in served
    slowest_ns = max((ns for _, ns in answer_times_ns(case.evidence)), default=None)
    return tuple(
        one
        for one in bad
        if (one.name in served or (not is_known and _is_passed_on_to(one.name, path)))
        and (one.trouble != "slow" or slowest_ns is None or slowest_ns >= _ALIKE * one.took_ns)
    )


def _is_passed_on_to(name: str, path: PathMap) -> bool:
    """Whether the balancer seems to send connections to a bad backend.

    Kubelag's own went through it often enough to meet each one. Where all of them were quick, it is
    left out, as it should be; where this one was met and was quick, it is well, and only the way to
    it from here is not: a firewall lets nobody there but the balancer.
    """
    met = _probes_of(name, path.front) or path.front
    return not met or any(one.error or has_stalled(one) for one in met)


def good_backends(path: PathMap | None) -> tuple[str, ...]:
    """Names of the backends that answered as they should, the quickest first."""
    if path is None:
        return ()
    bad = {one.name for one in bad_backends(path)}
    times = {one.name: _answered_ns(_probes_of(one.name, path.behind)) for one in path.backends}
    good = [(ns, name) for name, ns in times.items() if ns is not None and name not in bad]
    return tuple(name for _, name in sorted(good))


def uneven_front(path: PathMap) -> UnevenFront | None:
    """Where some connections through the same address failed, and others were quick."""
    for address in dict.fromkeys(one.address for one in path.front):
        probes = [one for one in path.front if one.address == address]
        failed = [one for one in probes if one.error]
        quick = [one for one in probes if not one.error and not has_stalled(one)]
        if failed and quick:
            return UnevenFront(
                sentence=(
                    f"{len(failed)} of {counted(len(probes), 'connection')} through {address} "
                    f"failed ({failed[0].error}), the others were quick"
                ),
                is_lossy=any(one.retransmissions for one in failed),
            )
    return None


def lost_when_large(path: PathMap | None) -> tuple[AddressProbe, AddressProbe] | None:
    """A probe that stalled with usual segments, and one that got through with small ones.

    A silent backend stalls its share of both; only where every usual one stalls and every small one
    gets through is it the size.
    """
    if path is None or not path.front or not path.small_front:
        return None
    every_usual = all(one.error or has_stalled(one) for one in path.front)
    every_small = not any(one.error or has_stalled(one) for one in path.small_front)
    return (path.front[0], path.small_front[0]) if every_usual and every_small else None


def sizes_untried(case: Case) -> tuple[str, ...]:
    """Why it is not known whether what got stuck was lost for its size; empty where it is."""
    path = case.evidence.path
    usual = path.front if path else ()
    is_tried = bool(path and path.small_front)
    if is_tried or any(not one.error and not has_stalled(one) for one in usual):
        return ()
    return _UNTRIED if any(_is_stuck(one) for one in connections(case)) else ()


def _is_stuck(one: Connection) -> bool:
    """Whether it ended while something was sent again in vain that may have been large."""
    last = one.pauses[-1] if one.pauses else None
    if last is None or not last.is_unheard:
        return False
    limit = one.segment_limit_bytes or one.largest_sent_again_bytes
    return not one.largest_sent_again_bytes or one.largest_sent_again_bytes >= _LARGE * limit


def handshake_ns(probes: Iterable[AddressProbe]) -> int | None:
    """The median TLS handshake of kubelag's own connections; None where none succeeded."""
    known = [one.tls_ns for one in probes if one.tls_ns is not None]
    return round(median(known)) if known else None


def round_trip_ns(case: Case) -> int | None:
    """The smallest round trip to the server, in the run or by kubelag's own connections."""
    seen = [one.rtt_ns for one in connections(case) if one.rtt_ns is not None]
    path = case.evidence.path
    own = [one.rtt_ns for one in path.front if one.rtt_ns is not None] if path else []
    return min(seen or own, default=None)


def has_queued_unseen(case: Case) -> bool:
    """Whether the round trip rose on a connection of which nobody saw when it received."""
    return any(
        has_queued(one, one.received_bytes * 8e9 / max(1, one.last_ns - one.first_ns), _LATE_ACK_NS)
        for one in connections(case)
        if not one.bursts and one.seen_by == "sockets"
    )


def has_stalled(probe: AddressProbe) -> bool:
    """Whether a handshake or an answer kept kubelag waiting for a notable time."""
    return max(probe.tls_ns or 0, probe.answer_ns or 0) >= NOTABLE_NS


def _probes_of(name: str, probes: Sequence[AddressProbe]) -> list[AddressProbe]:
    return [one for one in probes if one.backend == name]


def _answered_ns(probes: Sequence[AddressProbe]) -> int | None:
    """From the request to its answer, and the handshake before it; None where none came."""
    known = [one.answer_ns + (one.tls_ns or 0) for one in probes if one.answer_ns is not None]
    return round(median(known)) if known else None


def _trouble(probes: Sequence[AddressProbe], took_ns: int | None, others_ns: int) -> Trouble | None:
    if took_ns is None:
        quick = all(one.took_ns < NOTABLE_NS for one in probes)
        return "refused" if quick else "silent"
    is_slow = took_ns >= NOTABLE_NS and took_ns > _SLOWER_RATIO * others_ns
    return "slow" if is_slow else None
