"""Joins what several witnesses saw of the same connections and look-ups. Pure.

A capture sees every program that talks to the same server. Where the sockets of the observed tree
were watched, a captured connection counts as the command's when a socket of the tree had its client
address. The watcher misses what lived between two of its looks, so a captured connection that was
that short is kept too, where it lay within the run and, if the connect calls were recorded, one of
them asked for that server at that moment. Without recorded calls another program's short connection
to the same server (a health check) is kept with it: better than to lose a refused attempt.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from kubelag.model.evidence import Syscall
from kubelag.model.network import Connection, Lookup

MISSED_LOOKS = 3
"""Intervals that a connection may live unseen: looks come late on a busy machine. Arbitrary."""
DIAL_NS = 50_000_000
"""From a connect call to its SYN, which leaves within it; a busy machine and the two clocks'
readings get this much. Arbitrary, and far below a SYN's first repetition after 1 s (RFC 6298)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """When and how the sockets of the tree were watched."""

    start_ns: int
    end_ns: int
    interval_ns: int
    """Between two looks, as it really was."""
    calls: tuple[Syscall, ...] = ()
    """Where connect calls were recorded, every one of the tree's."""


def merged(
    capture: Sequence[Connection], sockets: Sequence[Connection], watched: Watched | None
) -> tuple[Connection, ...]:
    """Each connection of the observed command once, by its begin.

    Args:
        capture: What the packets tell, of any program.
        sockets: What the sockets of the observed tree tell.
        watched: None where the sockets could not be watched; then all that was captured is kept.
    """
    left = list(sockets)
    found: list[Connection] = []
    for one in capture:
        twin = next((other for other in left if _is_same(one, other)), None)
        if twin is not None:
            left.remove(twin)
            found.append(_joined(one, twin))
        elif watched is None or _may_be_missed(one, watched):
            found.append(one)
    return tuple(sorted((*found, *left), key=lambda one: one.first_ns))


def _is_same(one: Connection, other: Connection) -> bool:
    """The same ends at the same time; a port may be used again later."""
    if (one.client, one.server) != (other.client, other.server):
        return False
    return one.first_ns <= other.last_ns + DIAL_NS and other.first_ns <= one.last_ns + DIAL_NS


def _joined(captured: Connection, socket: Connection) -> Connection:
    """The packets' moments and counts; what only the kernel keeps; what neither saw is None."""
    return replace(
        captured,
        syn_ns=_known(captured.syn_ns, socket.syn_ns),
        established_ns=_known(captured.established_ns, socket.established_ns),
        rtt_ns=_known(captured.rtt_ns, socket.rtt_ns),
        rtt_smoothed_ns=socket.rtt_smoothed_ns,
        congestion_window=socket.congestion_window,
        segment_limit_bytes=_known(captured.segment_limit_bytes, socket.segment_limit_bytes),
        ending=captured.ending if captured.ending != "open" else socket.ending,
    )


def _known(best: int | None, other: int | None) -> int | None:
    return other if best is None else best


def _may_be_missed(one: Connection, watched: Watched) -> bool:
    is_short = one.last_ns - one.first_ns < watched.interval_ns * MISSED_LOOKS
    is_inside = watched.start_ns <= one.first_ns and one.last_ns <= watched.end_ns
    if not (is_short and is_inside):
        return False
    dials = [call for call in watched.calls if call.name == "connect"]
    return not dials or any(_is_dial_of(call, one) for call in dials)


def _is_dial_of(call: Syscall, one: Connection) -> bool:
    lies_near = call.start_ns - DIAL_NS <= one.first_ns <= call.end_ns + DIAL_NS
    return call.address == one.server and lies_near


def merged_lookups(
    capture: Sequence[Lookup], syscalls: Sequence[Lookup], sockets: Sequence[Lookup]
) -> tuple[Lookup, ...]:
    """Each question once, by its best witness (packets, then calls, then sockets), by its begin.

    Two look-ups are the same when they asked the same server and overlap in time.
    """
    found = list(capture)
    for witness in (syscalls, sockets):
        found += [one for one in witness if not any(_overlap(one, other) for other in found)]
    return tuple(sorted(found, key=lambda one: one.asked_ns))


def _overlap(one: Lookup, other: Lookup) -> bool:
    if one.server != other.server or one.seen_by == other.seen_by:
        return False
    return one.asked_ns <= _end_ns(other) + DIAL_NS and other.asked_ns <= _end_ns(one) + DIAL_NS


def _end_ns(one: Lookup) -> int:
    return one.asked_ns if one.answered_ns is None else one.answered_ns


def lookups_of(syscalls: Sequence[Syscall]) -> tuple[Lookup, ...]:
    """The questions that recorded calls tell, by their begin.

    A question is the first connect or sendto to port 53, its answer the next recvfrom from there
    on the same thread (or on any, where its own has no question: a Go program's work changes
    threads). A connect alone asks nothing, and a program that reads by read(2), as Go does, shows
    nothing else: only what was sent by sendto counts as unanswered.
    """
    return tuple(sorted(_asked(syscalls), key=lambda one: one.asked_ns))


def _asked(syscalls: Sequence[Syscall]) -> Iterator[Lookup]:
    waiting: dict[tuple[int, str], Syscall] = {}
    sent: set[tuple[int, str]] = set()
    for call in sorted(syscalls, key=lambda call: call.start_ns):
        server = call.address
        if server is None or not server.endswith(":53") or call.error is not None:
            continue
        key = (call.pid, server)
        if call.name == "recvfrom":
            known = key if key in waiting else next((k for k in waiting if k[1] == server), None)
            if known is not None:
                sent.discard(known)
                yield _lookup(server, waiting.pop(known).start_ns, call.end_ns)
        elif call.name in {"connect", "sendto"}:
            waiting.setdefault(key, call)
            if call.name == "sendto":
                sent.add(key)
    for key in sent:
        yield _lookup(key[1], waiting[key].start_ns, None)


def _lookup(server: str, asked_ns: int, answered_ns: int | None) -> Lookup:
    return Lookup(server=server, asked_ns=asked_ns, answered_ns=answered_ns, seen_by="syscalls")
