"""A client's side of one HTTP/2 connection, without its socket (RFC 9113)."""

from kubelag.kube.transport import http2_frames as wire
from kubelag.kube.transport.fields import MalformedError, request_fields
from kubelag.kube.transport.hpack import LIST_BYTES, Decoder, Encoder
from kubelag.kube.transport.http2_stream import WINDOW_BYTES, Stream
from kubelag.kube.transport.messages import Broken, End, ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kubelag.kube.transport.messages import Event, Request

CONNECTION_WINDOW_BYTES = 16 << 20
"""The same for all streams together; what arrives is handed out at once, so this costs nothing."""
STREAMS_AT_FIRST = 100
"""Open at once before the server told its limit; as Go's client has it."""
STREAMS_AT_MOST = 1000
"""Open at once where the server sets no limit; as Go's client has it."""
REPLIES_AT_MOST = 100_000
"""Answers to PING and SETTINGS that may wait to be taken; more is an attack. Arbitrary."""
_HEADER_BYTES = wire.HEADER.size
_PRIORITY_BYTES = 5
"""The fields of PRIORITY within HEADERS."""


class Http2:
    """A `Conversation` in HTTP/2.

    An error of one stream breaks that stream; one of the connection raises `ProtocolError`, from
    then on at every call of `receive`. The last `data_to_send` tells the server why.
    """

    def __init__(self, authority: str, scheme: str = "https") -> None:
        self._origin = ((":scheme", scheme), (":authority", authority))
        self._encoder = Encoder()
        self._decoder = Decoder()
        self._streams: dict[int, Stream] = {}
        self._abandoned: set[int] = set()
        """Ended by this side, of which the server may not know yet."""
        self._next = 1
        self._most = STREAMS_AT_FIRST
        self._has_settings = False
        self._is_closing = False
        self._is_closed = False
        self._failure = ""
        self._window = wire.WINDOW_BYTES
        self._first_window = wire.WINDOW_BYTES
        self._credit = CONNECTION_WINDOW_BYTES
        self._rest = bytearray()
        self._wanted = _HEADER_BYTES
        self._block: tuple[int, bool, bytearray] | None = None
        """Of headers that go on: stream, whether it ends with them, what has come."""
        self._events: list[Event] = []
        self._replies = 0
        self._out = bytearray(wire.PREFACE)
        self._out += wire.settings(
            (wire.ENABLE_PUSH, 0),
            (wire.INITIAL_WINDOW_SIZE, WINDOW_BYTES),
            (wire.MAX_HEADER_LIST_SIZE, LIST_BYTES),
        )
        self._out += wire.window_update(0, CONNECTION_WINDOW_BYTES - wire.WINDOW_BYTES)

    def capacity(self) -> int:
        """How many more requests may be sent now."""
        return max(0, self._most - len(self._streams)) if self.is_open() else 0

    def is_open(self) -> bool:
        """Whether another request can ever be sent."""
        is_over = self._is_closing or self._is_closed or bool(self._failure)
        return not is_over and self._next <= wire.LARGEST_NUMBER

    def send(self, request: "Request") -> int:
        """Queue a request; its stream.

        Raises:
            ValueError: If it cannot be sent as a request, see `request_fields`.
        """
        fields = request_fields(request)
        if not self.capacity():
            raise ValueError("the connection takes no request now")
        number = self._next
        self._next += 2
        pseudo = ((":method", request.method), (":path", request.target), *self._origin)
        block = self._encoder.encode((*pseudo, *fields))
        self._out += wire.block(number, 0 if request.body else wire.END_STREAM, block)
        self._streams[number] = Stream(number, request.method, request.body, self._first_window)
        self._send_body(self._streams[number])
        return number

    def data_to_send(self) -> bytes:
        """What is to be written now."""
        out = bytes(self._out)
        self._out.clear()
        self._replies = 0
        return out

    def receive(self, data: bytes) -> "list[Event]":
        """Take what was read; empty data is the server's end of stream.

        Raises:
            ProtocolError: If the server breaks the rules; what else came with it is lost.
        """
        if self._failure:
            raise ProtocolError(self._failure)
        self._events = []
        if self._is_closed:
            return []
        if data:
            self._read(data)
        else:
            self._is_closed = True
            for number in [*self._streams]:
                self._break(number, "the server closed the connection before the answer was whole")
        return self._events

    def _read(self, data: bytes) -> None:
        if self._rest:
            self._rest += data
            if len(self._rest) < self._wanted:
                return
            data = bytes(self._rest)
            self._rest.clear()
        at, size = 0, len(data)
        while size - at >= _HEADER_BYTES:
            high, low, kind, flags, number = wire.HEADER.unpack_from(data, at)
            end = at + _HEADER_BYTES + (high << 16 | low)
            if high or low > wire.FRAME_BYTES or not self._has_settings:
                self._check_frame(data[at : at + _HEADER_BYTES], kind, flags, high << 16 | low)
            self._wanted = end - at
            if end > size:
                break
            payload = data[at + _HEADER_BYTES : end]
            self._on_frame(kind, flags, number & wire.LARGEST_NUMBER, payload)
            at = end
        else:
            self._wanted = _HEADER_BYTES
        self._rest += data[at:]

    def _check_frame(self, header: bytes, kind: int, flags: int, size: int) -> None:
        if not self._has_settings and header.startswith(b"HTTP/"):
            raise self._fail(wire.PROTOCOL, "the server speaks HTTP/1 where HTTP/2 was settled")
        if not self._has_settings and (kind != wire.SETTINGS or flags & wire.ACK):
            why = f"the server speaks no HTTP/2: it began with {header!r}"
            raise self._fail(wire.PROTOCOL, why)
        if size > wire.FRAME_BYTES:
            why = f"the server sent a frame of {size} bytes; {wire.FRAME_BYTES} are allowed"
            raise self._fail(wire.FRAME_SIZE, why)

    def _on_frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if self._block and (kind != wire.CONTINUATION or number != self._block[0]):
            raise self._fail(wire.PROTOCOL, "the server sent another frame amid headers")
        if handle := self._HANDLERS.get(kind):
            handle(self, flags, number, payload)

    def _fail(self, code: int, why: str) -> ProtocolError:
        """The error to raise, of which the server is told too."""
        self._failure = why
        self._out += wire.frame(wire.GOAWAY, 0, 0, wire.TWO_NUMBERS.pack(0, code))
        return ProtocolError(why)

    def _break(self, number: int, why: str, *, is_unprocessed: bool = False) -> None:
        del self._streams[number]
        self._events.append(Broken(stream=number, why=why, is_unprocessed=is_unprocessed))

    def _reset(self, number: int, code: int, why: str) -> None:
        """End a stream for an error of its own (section 5.4.2)."""
        self._break(number, why)
        self._abandon(number, code)

    def _abandon(self, number: int, code: int) -> None:
        self._abandoned.add(number)
        self._out += wire.frame(wire.RST_STREAM, 0, number, wire.NUMBER.pack(code))

    def _reply(self, frame: bytes) -> None:
        self._replies += 1
        if self._replies > REPLIES_AT_MOST:
            raise self._fail(wire.ENHANCE_YOUR_CALM, "the server asks faster than it reads answers")
        self._out += frame

    def _check_known(self, number: int, what: str) -> None:
        """Refuse a frame on a stream that was never opened (section 5.1)."""
        if number >= self._next or not number & 1:
            raise self._fail(wire.PROTOCOL, f"the server sent {what} on stream {number}, unasked")

    def _receiving(self, number: int, what: str) -> Stream | None:
        """The stream on which something came; None if this side has ended it."""
        stream = self._streams.get(number)
        if stream is None:
            self._check_known(number, what)
            if number not in self._abandoned:
                why = f"the server sent {what} on a stream after its end"
                raise self._fail(wire.STREAM_CLOSED, why)
        return stream

    def _unpadded(self, flags: int, payload: bytes) -> bytes:
        if not flags & wire.PADDED:
            return payload
        if not payload or payload[0] >= len(payload):
            raise self._fail(wire.PROTOCOL, "the server sent more padding than fits its frame")
        return payload[1 : len(payload) - payload[0]]

    def _on_data(self, flags: int, number: int, payload: bytes) -> None:
        stream = self._receiving(number, "data")
        is_last = bool(flags & wire.END_STREAM)
        self._take_credit(stream, len(payload), is_last=is_last)
        data = self._unpadded(flags, payload)
        try:
            if stream is not None:
                self._tell(stream, stream.take_data(data, is_last=is_last))
        except MalformedError as error:
            self._reset(number, wire.PROTOCOL, str(error))

    def _take_credit(self, stream: Stream | None, size: int, *, is_last: bool) -> None:
        """Account for data, which is as good as consumed, and allow more when half is used up.

        No frame is as large as half a window, so none can ever exceed what is left.
        """
        self._credit -= size
        if self._credit < CONNECTION_WINDOW_BYTES // 2:
            self._out += wire.window_update(0, CONNECTION_WINDOW_BYTES - self._credit)
            self._credit = CONNECTION_WINDOW_BYTES
        if stream is None or is_last:
            return
        stream.credit -= size
        if stream.credit < WINDOW_BYTES // 2:
            self._out += wire.window_update(stream.number, WINDOW_BYTES - stream.credit)
            stream.credit = WINDOW_BYTES

    def _tell(self, stream: Stream, events: "list[Event]") -> None:
        self._events += events
        if events and type(events[-1]) is End:
            del self._streams[stream.number]
            if stream.body:
                # The answer came without the rest, which nobody needs (section 8.1).
                self._abandon(stream.number, wire.CANCEL)

    def _on_headers(self, flags: int, number: int, payload: bytes) -> None:
        payload = self._unpadded(flags, payload)
        if flags & wire.HAS_PRIORITY:
            if len(payload) < _PRIORITY_BYTES:
                raise self._fail(wire.FRAME_SIZE, "the server sent headers cut short")
            payload = payload[_PRIORITY_BYTES:]
        is_last = bool(flags & wire.END_STREAM)
        if flags & wire.END_HEADERS:
            self._on_block(number, payload, is_last=is_last)
        else:
            self._block = (number, is_last, bytearray(payload))

    def _on_continuation(self, flags: int, number: int, payload: bytes) -> None:
        if self._block is None:
            raise self._fail(wire.PROTOCOL, "the server continued headers that it had not begun")
        _, is_last, block = self._block
        block += payload
        if len(block) > LIST_BYTES:
            why = f"the server sent headers of more than {LIST_BYTES} bytes"
            raise self._fail(wire.ENHANCE_YOUR_CALM, why)
        if flags & wire.END_HEADERS:
            self._block = None
            self._on_block(number, bytes(block), is_last=is_last)

    def _on_block(self, number: int, block: bytes, *, is_last: bool) -> None:
        stream = self._receiving(number, "headers")
        # Also where the stream is of no interest: the decoder must see each block (section 4.3).
        try:
            fields = self._decoder.decode(block)
        except ProtocolError as error:
            raise self._fail(wire.COMPRESSION, str(error)) from None
        if stream is None:
            return
        try:
            self._tell(stream, stream.take_fields(fields, is_last=is_last))
        except MalformedError as error:
            self._reset(number, wire.PROTOCOL, str(error))

    def _on_reset(self, _flags: int, number: int, payload: bytes) -> None:
        self._check_known(number, "a reset")
        self._check_size(payload, wire.NUMBER.size, "RST_STREAM")
        (code,) = wire.NUMBER.unpack(payload)
        if number in self._streams:
            why = f"the server reset the stream ({wire.code_name(code)})"
            self._break(number, why, is_unprocessed=code == wire.REFUSED_STREAM)
            self._abandoned.add(number)

    def _on_settings(self, flags: int, number: int, payload: bytes) -> None:
        self._check_connection(number, "SETTINGS")
        if flags & wire.ACK:
            self._check_size(payload, 0, "SETTINGS")
            return
        if len(payload) % wire.SETTING.size:
            raise self._fail(wire.FRAME_SIZE, "the server sent a SETTINGS frame of a wrong size")
        self._most = self._most if self._has_settings else STREAMS_AT_MOST
        self._has_settings = True
        for name, value in wire.SETTING.iter_unpack(payload):
            self._on_setting(name, value)
        # First the acknowledgement: until it comes, the server counts with its old settings.
        self._reply(wire.frame(wire.SETTINGS, wire.ACK, 0))
        self._send_bodies()

    def _on_setting(self, name: int, value: int) -> None:
        if name == wire.HEADER_TABLE_SIZE:
            self._encoder.limit_table(value)
        elif name == wire.MAX_CONCURRENT_STREAMS:
            self._most = min(value, STREAMS_AT_MOST)
        elif name == wire.INITIAL_WINDOW_SIZE:
            self._on_first_window(value)
        elif name == wire.ENABLE_PUSH and value:
            raise self._fail(wire.PROTOCOL, "the server wants pushes, as only clients may")
        elif name == wire.MAX_FRAME_SIZE and not wire.is_frame_size(value):
            raise self._fail(wire.PROTOCOL, f"the server set its frame size to {value}")

    def _on_first_window(self, value: int) -> None:
        """Change all streams' windows by the difference (section 6.9.2)."""
        change = value - self._first_window
        self._first_window = value
        for stream in self._streams.values():
            stream.window += change
            self._check_window(stream.window)
        self._check_window(value)

    def _check_window(self, window: int) -> None:
        if window > wire.LARGEST_NUMBER:
            raise self._fail(wire.FLOW_CONTROL, "the server opened a window wider than any may be")

    def _on_window_update(self, _flags: int, number: int, payload: bytes) -> None:
        self._check_size(payload, wire.NUMBER.size, "WINDOW_UPDATE")
        size = wire.NUMBER.unpack(payload)[0] & wire.LARGEST_NUMBER
        if number == 0:
            if not size:
                raise self._fail(wire.PROTOCOL, "the server widened a window by nothing")
            self._window += size
            self._check_window(self._window)
            self._send_bodies()
            return
        self._check_known(number, "WINDOW_UPDATE")
        if number in self._streams:
            self._widen(self._streams[number], size)

    def _widen(self, stream: Stream, size: int) -> None:
        stream.window += size
        if not size:
            self._reset(stream.number, wire.PROTOCOL, "the server widened a window by nothing")
        elif stream.window > wire.LARGEST_NUMBER:
            why = "the server opened a window wider than any may be"
            self._reset(stream.number, wire.FLOW_CONTROL, why)
        else:
            self._send_body(stream)

    def _send_bodies(self) -> None:
        for stream in self._streams.values():
            self._send_body(stream)

    def _send_body(self, stream: Stream) -> None:
        while piece := stream.next_piece(min(self._window, wire.FRAME_BYTES)):
            self._window -= len(piece)
            flags = 0 if stream.body else wire.END_STREAM
            self._out += wire.frame(wire.DATA, flags, stream.number, piece)

    def _on_ping(self, flags: int, number: int, payload: bytes) -> None:
        self._check_connection(number, "PING")
        self._check_size(payload, wire.TWO_NUMBERS.size, "PING")
        if not flags & wire.ACK:
            self._reply(wire.frame(wire.PING, wire.ACK, 0, payload))

    def _on_goaway(self, _flags: int, number: int, payload: bytes) -> None:
        self._check_connection(number, "GOAWAY")
        if len(payload) < wire.TWO_NUMBERS.size:
            raise self._fail(wire.FRAME_SIZE, "the server sent a GOAWAY frame of a wrong size")
        last, code = wire.TWO_NUMBERS.unpack_from(payload)
        self._is_closing = True
        why = (
            f"the server closes the connection ({wire.code_name(code)}) and left the request unread"
        )
        for unread in [one for one in self._streams if one > last & wire.LARGEST_NUMBER]:
            self._break(unread, why, is_unprocessed=True)
            self._abandoned.add(unread)

    def _on_push(self, _flags: int, _number: int, _payload: bytes) -> None:
        raise self._fail(wire.PROTOCOL, "the server pushed an answer, which it was told not to do")

    def _check_connection(self, number: int, what: str) -> None:
        if number:
            raise self._fail(wire.PROTOCOL, f"the server sent {what} on a stream")

    def _check_size(self, payload: bytes, size: int, what: str) -> None:
        if len(payload) != size:
            raise self._fail(wire.FRAME_SIZE, f"the server sent a {what} frame of a wrong size")

    _HANDLERS = {  # noqa: RUF012 - never changed
        wire.DATA: _on_data,
        wire.HEADERS: _on_headers,
        wire.RST_STREAM: _on_reset,
        wire.SETTINGS: _on_settings,
        wire.PUSH_PROMISE: _on_push,
        wire.PING: _on_ping,
        wire.GOAWAY: _on_goaway,
        wire.WINDOW_UPDATE: _on_window_update,
        wire.CONTINUATION: _on_continuation,
    }
    """Frames of other types, PRIORITY among them, are passed over (section 5.5)."""
