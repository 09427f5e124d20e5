"""When a connection was receiving as fast as the line allows. Pure.

A full line carries the same amount in every stretch of time; a server with nothing more to say
does not. So what a few neighbouring bins all hold, with nothing asked meanwhile, is what the line
carries; wherever a bin holds about that much the line was full, however short that was. A sender
that paces itself looks even too, but does not make packets queue or get lost.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kubelag.model.network import Burst, Connection

_BIN_NS = 50_000_000
_LEAST_BINS = 4
# At 100 Mbit/s a big discovery (1 MB) takes 80 ms: nobody waits for a line like that. Arbitrary.
_QUICK_BITS_PER_S = 50_000_000
# A bin that holds this share of what the line carries belongs to the transfer: a few segments leave
# at once, which makes a bin of a full line vary that much. Arbitrary.
_FULL_RATIO = 0.5
# A control frame of HTTP/2 is smaller, a request larger (the sockets' watcher has the same figure).
_REQUEST_BYTES = 60
# Before a full line at least three segments stand in the queue (ten leave at once, RFC 6928), and
# the round trip rises by the time that they take. Arbitrary.
_QUEUED_BYTES = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """A stretch in which the line was full."""

    start_ns: int
    end_ns: int
    received_bytes: int

    @property
    def bits_per_s(self) -> float:
        """What the line carried, payload only."""
        return self.received_bytes * 8e9 / max(1, self.end_ns - self.start_ns)


def transfers(connection: Connection) -> tuple[Transfer, ...]:
    """The stretches in which it received as fast as the line allows, in order."""
    bins, cuts = _bins(connection), _asked_in(connection)
    carried = _carried(bins, cuts)
    if not carried or carried * 8e9 / _BIN_NS > _QUICK_BITS_PER_S:
        return ()
    if has_crowded(connection, carried * 8e9 / _BIN_NS) is False:
        return ()
    return tuple(
        _transfer(connection, first, last, sum(bins[first:last]), carried)
        for first, last in _runs(bins, _FULL_RATIO * carried, cuts)
    )


def has_crowded(connection: Connection, bits_per_s: float) -> bool | None:
    """Whether packets queued before a line of that rate, or got lost; None where nobody looked."""
    if connection.received_again:
        return True
    if connection.rtt_ns is None or connection.rtt_smoothed_ns is None:
        return None
    return has_queued(connection, bits_per_s)


def has_queued(connection: Connection, bits_per_s: float, slack_ns: int = 0) -> bool:
    """Whether the round trip rose by more than the slack and what a queue before that line makes.

    False where it was not seen.
    """
    if connection.rtt_ns is None or connection.rtt_smoothed_ns is None:
        return False
    risen_ns = connection.rtt_smoothed_ns - connection.rtt_ns - slack_ns
    return risen_ns * bits_per_s >= _QUEUED_BYTES * 8e9


def _carried(bins: Sequence[int], cuts: frozenset[int]) -> int:
    """Bytes that the line carries in a bin; zero where it was never full for long enough to tell.

    What a shaper lets through at the first moment, or the answer to one request, is not it.
    """
    windows = (
        bins[place : place + _LEAST_BINS]
        for place in range(len(bins) - _LEAST_BINS + 1)
        if cuts.isdisjoint(range(place + 1, place + _LEAST_BINS))
    )
    even = (min(held) for held in windows if min(held) >= _FULL_RATIO * max(held))
    return max(even, default=0)


def _transfer(
    connection: Connection, first: int, last: int, received_bytes: int, carried: int
) -> Transfer:
    """A run of bins, of which the first may have been full in its later part only."""
    begin_ns = connection.bursts[0].start_ns
    end_ns = min(begin_ns + last * _BIN_NS, connection.last_ns)
    return Transfer(
        start_ns=max(begin_ns + first * _BIN_NS, end_ns - received_bytes * _BIN_NS // carried),
        end_ns=end_ns,
        received_bytes=received_bytes,
    )


def _bins(connection: Connection) -> list[int]:
    """Bytes received in each bin since the first burst; a burst is spread evenly over its time."""
    if not connection.bursts:
        return []
    begin_ns = connection.bursts[0].start_ns
    bins = [0] * ((connection.bursts[-1].end_ns - begin_ns) // _BIN_NS + 1)
    for burst in connection.bursts:
        if burst.sender == "server":
            first = (burst.start_ns - begin_ns) // _BIN_NS
            last = (burst.end_ns - begin_ns) // _BIN_NS
            for place in range(first, last + 1):
                bins[place] += burst.payload_bytes // (last - first + 1)
    return bins


def _asked_in(connection: Connection) -> frozenset[int]:
    """Bins in which the client asked: what comes after it was not held up by the line before."""
    if not connection.bursts:
        return frozenset()
    begin_ns = connection.bursts[0].start_ns
    return frozenset(
        (burst.start_ns - begin_ns) // _BIN_NS
        for burst in connection.bursts
        if burst.sender == "client" and is_question(burst)
    )


def is_question(burst: Burst) -> bool:
    """Whether a burst of the client's says more than what controls the flow."""
    return burst.payload_bytes > _REQUEST_BYTES * burst.segments


def _runs(bins: Sequence[int], least: float, cuts: frozenset[int]) -> Iterator[tuple[int, int]]:
    """Begins and ends of neighbouring bins with at least that much; a cut ends a run."""
    begin: int | None = None
    for place, held in enumerate([*bins, 0]):
        is_full = held >= least and held > 0
        if begin is not None and (not is_full or place in cuts):
            yield begin, place
            begin = None
        if is_full and begin is None:
            begin = place
