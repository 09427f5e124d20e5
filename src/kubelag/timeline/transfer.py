"""When a connection was receiving as fast as the line allows. Pure.

A full line carries the same amount in every stretch of time; a server with nothing more to say
does not. So a run of neighbouring bins that all hold about as much as the fullest one is a
transfer, and the fullest one is what the line carries.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kubelag.model.network import Connection

_BIN_NS = 50_000_000
_LEAST_BINS = 4
# At 100 Mbit/s a big discovery (1 MB) takes 80 ms: nobody waits for a line like that. Arbitrary.
_QUICK_BITS_PER_S = 50_000_000
# A bin that holds this share of the fullest belongs to the transfer; TCP's own bursts of a few
# segments make a bin of a full line vary that much. Arbitrary.
_FULL_RATIO = 0.5
# A control frame of HTTP/2 is smaller, a request larger (the sockets' watcher has the same figure).
_REQUEST_BYTES = 60


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
    bins = _bins(connection)
    fullest = max(bins, default=0)
    if not fullest or fullest * 8e9 / _BIN_NS > _QUICK_BITS_PER_S:
        return ()
    begin_ns = connection.bursts[0].start_ns
    return tuple(
        Transfer(
            start_ns=begin_ns + first * _BIN_NS,
            end_ns=min(begin_ns + last * _BIN_NS, connection.last_ns),
            received_bytes=sum(bins[first:last]),
        )
        for first, last in _runs(bins, _FULL_RATIO * fullest, _asked_in(connection))
        if last - first >= _LEAST_BINS
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
    begin_ns = connection.bursts[0].start_ns
    return frozenset(
        (burst.start_ns - begin_ns) // _BIN_NS
        for burst in connection.bursts
        if burst.sender == "client" and burst.payload_bytes > _REQUEST_BYTES
    )


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
