"""Waiting for answers that never came, since their connection broke. Pure.

Such a request waits for nobody's work: whoever had it in hand can no longer answer. The client asks
again, and what the server takes for that is the server's own. Only the client's log tells that an
answer never came, and only the connection tells why: a client that lost its patience with a slow
server closes in good order, or keeps the connection.
"""

from collections.abc import Iterator, Sequence

from kubelag.model.attribution import Span
from kubelag.model.evidence import Request
from kubelag.model.network import Connection
from kubelag.timeline import factors
from kubelag.timeline.journeys import Journey

# A client's log rounds to milliseconds, and a socket's last sight is as good as the looks at it
# are frequent. Arbitrary, well above both.
_SLACK_NS = 20_000_000
_BROKEN = frozenset({"server_reset", "open"})
"""Sockets show a reset as one that was there and is gone: `open` to the last."""


def lost_waits(journey: Journey, requests: Sequence[Request]) -> Iterator[Span]:
    """The stretch in which this request waited in vain; nothing where it did not."""
    request, connection = journey.request, journey.connection
    if connection is None or not _has_broken_under(connection, request):
        return
    if not _is_answered_later(request, requests):
        return
    begun = connection.secured_ns or connection.established_ns or connection.first_ns
    start_ns = max(request.start_ns, begun)
    if start_ns < request.end_ns:
        yield Span(
            factor=factors.BROKEN, start_ns=start_ns, end_ns=request.end_ns, what=connection.server
        )


def _has_broken_under(connection: Connection, request: Request) -> bool:
    """Whether the connection had worked, and ended with the request and without its answer."""
    if request.status is not None or not connection.received_bytes:
        return False
    last = connection.pauses[-1] if connection.pauses else None
    is_unheard = last is not None and last.is_unheard
    # What an end that is gone never acknowledged is still sent again when the client has given up.
    has_ended = connection.last_ns <= request.end_ns + _SLACK_NS
    return is_unheard or (has_ended and connection.ending in _BROKEN)


def _is_answered_later(request: Request, requests: Sequence[Request]) -> bool:
    """Whether the very same question was answered when it was asked again."""
    return any(
        (one.verb, one.url) == (request.verb, request.url)
        and one.start_ns >= request.end_ns
        and one.status is not None
        for one in requests
    )
