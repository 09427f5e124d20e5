"""Turns connections into spans: what of a request's time was spent on its way. Pure.

A full line loses packets, so while it is full they are its own; any other lost packet is blamed
on the loss wherever it happened, a round trip on the way; what then
remains of connecting, of the proxy and of TLS is blamed on those, and what remains of the request
on the server. So no nanosecond of a journey is given to two of them.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median

from kubelag.model.attribution import Factor, Span
from kubelag.model.network import Burst, Connection
from kubelag.timeline import factors
from kubelag.timeline.journeys import Journey
from kubelag.timeline.transfer import is_question, transfers

# The round trip is that of the first packet, which may have waited for the neighbour's address; an
# answer may so seem to come earlier than it can. Arbitrary.
_LEAST_TRIP_RATIO = 0.5
# A fresh connection may send ten segments, however small, before it hears of them (RFC 6928), and
# one more for each that was acknowledged. Half of that counts as all of it, and a flight begins a
# round trip after the one before (or a little sooner: see above), with a silence in between that is
# none of the sender's own; these five are arbitrary.
_FIRST_WINDOW = 10
_SEGMENT_BYTES = 1460  # of Ethernet; a capture may show several as one
_FULL_RATIO = 0.5
_SOONEST_TRIP_RATIO = 0.95
_LATEST_TRIP_RATIO = 1.25
_SILENCE_RATIO = 0.1
_UNUSUAL_RATIO = 2.0


def journey_spans(journey: Journey) -> tuple[Span, ...]:
    """What the request's own connections spent of its time, without overlap."""
    spans = [*_attempt_spans(journey)]
    if journey.connection is not None:
        spans += connection_spans(journey.connection)
        if not journey.connection.bursts:
            spans = _apart([*spans, *_first_round_trip(journey)])
    return tuple(spans)


def connection_spans(connection: Connection) -> list[Span]:
    """What a connection that came about spent on its way, in order, without overlap.

    What comes first in the list below wins where two overlap.
    """
    return _apart(
        [
            *_full_line(connection),
            *_loss(connection),
            *_round_trips(connection),
            *_stages(connection),
        ]
    )


def _apart(spans: Iterable[Span]) -> list[Span]:
    """The spans without the parts that an earlier one of the list covers, by their begin."""
    kept: list[Span] = []
    for span in spans:
        kept += carve(span, kept)
    return sorted(kept, key=lambda one: one.start_ns)


def carve(span: Span, holders: Iterable[Span]) -> Iterator[Span]:
    """The parts of a span during which none of the holders was at work."""
    start_ns = span.start_ns
    for holder in sorted(holders, key=lambda one: one.start_ns):
        if holder.end_ns <= start_ns or holder.start_ns >= span.end_ns:
            continue
        if holder.start_ns > start_ns:
            yield replace(span, start_ns=start_ns, end_ns=holder.start_ns)
        start_ns = max(start_ns, holder.end_ns)
    if start_ns < span.end_ns:
        yield replace(span, start_ns=start_ns, end_ns=span.end_ns)


def _attempt_spans(journey: Journey) -> Iterator[Span]:
    """From each attempt that came to nothing to the next one, or to the request's end."""
    dialled = journey.connection.syn_ns if journey.connection and journey.is_dialled else None
    moments = [one.syn_ns or one.first_ns for one in journey.attempts]
    moments.append(dialled or journey.request.end_ns)
    for attempt, (begin_ns, end_ns) in zip(journey.attempts, pairwise(moments), strict=True):
        yield from _span(factors.CONNECT, begin_ns, end_ns, attempt)


def _loss(connection: Connection) -> Iterator[Span]:
    if connection.syns > 1 and connection.syn_ns and connection.established_ns:
        answered_ns = connection.established_ns - (connection.rtt_ns or 0)
        yield from _span(factors.LOSS, connection.syn_ns, answered_ns, connection)
    for pause in connection.pauses:
        recovered_ns = pause.start_ns + pause.loss_ns
        yield from _span(factors.LOSS, pause.start_ns, recovered_ns, connection)


def _full_line(connection: Connection) -> Iterator[Span]:
    for one in transfers(connection):
        yield from _span(factors.TRANSFER, one.start_ns, one.end_ns, connection)


def _round_trips(connection: Connection) -> Iterator[Span]:
    """For connecting, wherever the server answers, and before it may go on with a long answer."""
    if connection.rtt_ns is None:
        return
    if connection.syn_ns is not None and connection.established_ns is not None:
        end_ns = min(connection.syn_ns + connection.rtt_ns, connection.established_ns)
        yield from _span(factors.ROUND_TRIPS, connection.syn_ns, end_ns, connection)
    exchanges = tuple(_exchanges(connection.bursts, connection.rtt_ns))
    for begin_ns, answered_ns in exchanges:
        end_ns = min(begin_ns + connection.rtt_ns, answered_ns)
        yield from _span(factors.ROUND_TRIPS, begin_ns, end_ns, connection)
    answers = {answered_ns for _, answered_ns in exchanges}
    for begin_ns, end_ns in _flights(connection.bursts, answers, connection.rtt_ns):
        yield from _span(factors.ROUND_TRIPS, begin_ns, end_ns, connection)


def _exchanges(bursts: Sequence[Burst], rtt_ns: int) -> Iterator[tuple[int, int]]:
    """When the client asked, as late as may be, and when the server began to answer that.

    What comes much sooner than a round trip is no answer: the server was still at the one before,
    and the client acknowledged that, or asked the next thing, which is then still to be answered.
    """
    said: list[Burst] = []
    for burst in bursts:
        if burst.sender == "client":
            said.append(burst)
            continue
        until_ns = burst.start_ns - round(_LEAST_TRIP_RATIO * rtt_ns)
        heard = [one for one in said if one.start_ns <= until_ns]
        if heard:
            yield heard[-1].start_ns, burst.start_ns
        said = [one for one in said[len(heard) :] if is_question(one)]


def _flights(
    bursts: Sequence[Burst], answers: Collection[int], rtt_ns: int
) -> Iterator[tuple[int, int]]:
    """From where a window's worth of an answer began to where the server could send the next.

    TCP lets it send that much and then wait for word of it, which takes a round trip; a server that
    is slow itself keeps no such time. `answers` are the moments at which answers began.
    """
    flight: list[Burst] = []
    window = _FIRST_WINDOW
    for burst in bursts:
        if burst.sender == "client":
            continue
        is_next = burst.start_ns in answers
        if flight and not is_next and _had_to_wait(flight, window, burst.start_ns, rtt_ns):
            is_next = True
            yield flight[0].start_ns, burst.start_ns
        if flight and (is_next or burst.start_ns - flight[0].start_ns >= rtt_ns):
            window += _size(flight)
            flight = []
        flight.append(burst)


def _had_to_wait(flight: Sequence[Burst], window: int, next_ns: int, rtt_ns: int) -> bool:
    """Whether the next one came a round trip after this one, and after an unusual silence."""
    took_ns = next_ns - flight[0].start_ns
    silent_ns = next_ns - flight[-1].end_ns
    silences = [later.start_ns - one.end_ns for one, later in pairwise(flight)]
    usual_ns = median(silences) if silences else 0
    return (
        _size(flight) >= _FULL_RATIO * window
        and _SOONEST_TRIP_RATIO * rtt_ns <= took_ns <= _LATEST_TRIP_RATIO * rtt_ns
        and silent_ns >= max(_SILENCE_RATIO * rtt_ns, _UNUSUAL_RATIO * usual_ns)
    )


def _size(flight: Iterable[Burst]) -> int:
    """In segments."""
    return sum(max(one.segments, one.payload_bytes // _SEGMENT_BYTES) for one in flight)


def _first_round_trip(journey: Journey) -> Sequence[Span]:
    """Where nobody saw who spoke when: a request goes there and back once."""
    connection, request = journey.connection, journey.request
    if connection is None or connection.rtt_ns is None:
        return ()
    begin_ns = request.start_ns
    if journey.is_dialled:
        begin_ns = connection.secured_ns or connection.hello_ns or connection.established_ns or 0
    end_ns = min(begin_ns + connection.rtt_ns, request.end_ns)
    return tuple(_span(factors.ROUND_TRIPS, max(begin_ns, request.start_ns), end_ns, connection))


def _stages(connection: Connection) -> Iterator[Span]:
    one = connection
    stages: tuple[tuple[Factor, int | None, int | None], ...] = (
        (factors.CONNECT, one.syn_ns, one.established_ns),
        (factors.PROXY, one.proxy_asked_ns, one.proxy_answered_ns or one.last_ns),
        (factors.TLS, one.hello_ns, one.secured_ns or one.server_hello_ns or one.last_ns),
    )
    for factor, begin_ns, end_ns in stages:
        if begin_ns is not None and end_ns is not None:
            yield from _span(factor, begin_ns, end_ns, connection)


def _span(factor: Factor, start_ns: int, end_ns: int, connection: Connection) -> Iterator[Span]:
    if start_ns < end_ns:
        yield Span(factor=factor, start_ns=start_ns, end_ns=end_ns, what=connection.server)
