"""One request and its answer within an HTTP/2 connection (RFC 9113 section 8)."""

from kubelag.kube.transport.fields import (
    HOP_BY_HOP,
    MalformedError,
    are_values,
    content_length,
    gather,
    has_no_body,
    is_digits,
    is_token,
)
from kubelag.kube.transport.messages import Data, End, Head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kubelag.kube.transport.fields import Field
    from kubelag.kube.transport.messages import Event

WINDOW_BYTES = 4 << 20
"""What the server may send on one stream ahead of this side; as Go's client has it."""
_STATUS_DIGITS = 3
_FIRST_FINAL = 200
_SWITCHING_PROTOCOLS = 101


class Stream:
    """A stream from its request to the end of its answer."""

    __slots__ = (
        "_announced",
        "_has_head",
        "_method",
        "_taken",
        "body",
        "credit",
        "number",
        "window",
    )

    def __init__(self, number: int, method: str, body: bytes, window: int) -> None:
        self.number = number
        self.body = memoryview(body)
        """What is still to be sent."""
        self.window = window
        """Bytes that the server takes; negative where it changed its mind (section 6.9.2)."""
        self.credit = WINDOW_BYTES
        """Bytes that the server may send."""
        self._method = method
        self._has_head = False
        self._announced: int | None = None
        self._taken = 0

    def next_piece(self, limit: int) -> bytes:
        """What may be sent of the body now; empty where nothing may."""
        size = max(0, min(limit, self.window))
        piece, self.body = bytes(self.body[:size]), self.body[size:]
        self.window -= len(piece)
        return piece

    def take_fields(self, fields: "list[Field]", *, is_last: bool) -> "list[Event]":
        """A head, final or not, or the trailers, of which nothing is told.

        Raises:
            MalformedError: If it is not well-formed or not in its place.
        """
        if self._has_head:
            _check_fields(fields)
            if not is_last:
                raise MalformedError("the server sent headers amid a body")
            return [self._end()]
        status = _status(fields)
        headers = gather(fields[1:])
        if status < _FIRST_FINAL:
            if is_last or status == _SWITCHING_PROTOCOLS:
                raise MalformedError(f"the server answered {status}, which is no final answer")
            return []
        self._has_head = True
        self._announced = 0 if has_no_body(self._method, status) else content_length(headers)
        head = Head(stream=self.number, status=status, headers=headers)
        return [head, self._end()] if is_last else [head]

    def take_data(self, data: bytes, *, is_last: bool) -> "list[Event]":
        """A piece of the body.

        Raises:
            MalformedError: If it is not in its place, or not as long as was announced.
        """
        self._taken += len(data)
        if not self._has_head:
            raise MalformedError("the server sent a body before its headers")
        if self._announced is not None and self._taken > self._announced:
            raise MalformedError("the server sent more than it had announced")
        events: list[Event] = [Data(stream=self.number, data=data)] if data else []
        if is_last:
            events.append(self._end())
        return events

    def _end(self) -> End:
        if self._announced is not None and self._taken != self._announced:
            announced = f"the {self._announced} bytes that it had announced"
            raise MalformedError(f"the server sent {self._taken} of {announced}")
        return End(stream=self.number)


def _status(fields: "list[Field]") -> int:
    """The status with which a head begins, once all of the head is known to be well-formed."""
    name, text = fields[0] if fields else ("", "")
    if name != ":status":
        raise MalformedError("the server sent headers that begin with no status")
    if len(text) != _STATUS_DIGITS or not is_digits(text) or text < "100":
        raise MalformedError(f"the server sent the status {text[:40]!r}")
    _check_fields(fields[1:])
    return int(text)


def _check_fields(fields: "list[Field]") -> None:
    """Refuse what is malformed in HTTP/2 (section 8.2); pseudo-fields are, but for the status."""
    names = [name for name, _ in fields]
    joined = "".join(names)
    if names and ("" in names or not is_token(joined) or joined != joined.lower()):
        raise MalformedError("the server sent a header with a name that none may have")
    if not HOP_BY_HOP.isdisjoint(names):
        raise MalformedError("the server sent a header that HTTP/2 forbids")
    if not are_values([value for _, value in fields]):
        raise MalformedError("the server sent a header with a line break in its value")
