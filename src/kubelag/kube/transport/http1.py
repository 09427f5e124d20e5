"""A client's side of one HTTP/1.1 connection, without its socket (RFC 9112)."""

from kubelag.kube.transport.fields import (
    MalformedError,
    are_values,
    content_length,
    gather,
    has_no_body,
    is_digits,
    is_token,
    request_fields,
)
from kubelag.kube.transport.messages import Broken, Data, End, Head, ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kubelag.kube.transport.fields import Field
    from kubelag.kube.transport.messages import Event, Request

HEAD_BYTES = 64 << 10
"""Most that a head, or the trailers, may come to. An API server's head is below 1 KiB, and the
proxies before one (HAProxy, nginx, Envoy) take at most 16 to 60 KiB themselves."""
CHUNK_LINE_BYTES = 4096
"""Most that the size of a chunk with its extensions may come to; as Go's client has it."""
_CHUNK_DIGITS = 15
_HEXADECIMAL = frozenset("0123456789abcdefABCDEF")
_SIGNATURE = b"HTTP/"
_OTHER_PROTOCOLS = (
    (b"\x15\x03", "TLS, so https belongs into its URL"),
    (b"\x16\x03", "TLS, so https belongs into its URL"),
    (b"SSH-", "SSH"),
    (b"PRI * HTTP/2", "HTTP/2"),
    (b"\x00\x00", "HTTP/2"),
)
_FIRST_FINAL = 200
_SWITCHING_PROTOCOLS = 101


class Http1:
    """A `Conversation` in HTTP/1.1, one request at a time.

    `receive` raises `ProtocolError` from the first breach of the rules on.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._number = 0
        self._method = ""
        """Of the request under way; empty where none is."""
        self._is_open = True
        self._is_closed = False
        self._failure = ""
        self._out = b""
        self._rest = bytearray()
        self._searched = 0
        """How much of the rest is known to hold no line's end."""
        self._has_answered = False
        """Whether anything has come for the request under way."""
        self._step: Callable[[], bool] = self._read_head
        self._lines: list[bytes] = []
        self._lines_bytes = 0
        self._left = 0
        """Bytes of the body, or of the chunk, that are still to come."""
        self._events: list[Event] = []

    def capacity(self) -> int:
        """How many more requests may be sent now: one, or none."""
        return 1 if self._is_open and not self._method else 0

    def is_open(self) -> bool:
        """Whether another request can ever be sent."""
        return self._is_open

    def send(self, request: "Request") -> int:
        """Queue a request; its number.

        Raises:
            ValueError: If it cannot be sent as a request, see `request_fields`.
        """
        fields = request_fields(request)
        if not self.capacity():
            raise ValueError("the connection takes no request now")
        lines = [f"{request.method} {request.target} HTTP/1.1", f"host: {self._host}"]
        lines += [f"{name}: {value}" for name, value in fields]
        self._out += "\r\n".join((*lines, "", "")).encode() + request.body
        self._number += 1
        self._method = request.method
        self._has_answered = False
        self._expect_head()
        return self._number

    def data_to_send(self) -> bytes:
        """What is to be written now."""
        out, self._out = self._out, b""
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
            self._close()
        return self._events

    def _read(self, data: bytes) -> None:
        self._has_answered = True
        self._rest += data
        try:
            if not self._number:
                _check_signature(self._rest)
            while self._method and self._step():
                pass
        except MalformedError as error:
            self._is_open = False
            self._failure = str(error)
            raise ProtocolError(self._failure) from None
        if not self._method and self._rest:
            # Nobody asked for it: say, the 408 for an idle connection, just before it is closed.
            self._is_open = False
            self._rest.clear()

    def _close(self) -> None:
        self._is_open = False
        self._is_closed = True
        if not self._method:
            return
        if self._step == self._read_until_close:
            self._finish()
            return
        if self._has_answered:
            self._break("the server closed the connection before the answer was whole")
        else:
            # Perhaps it had closed before the request came, perhaps it acted on it: nobody knows
            # (RFC 9112 section 9.3.1).
            self._break("the server closed the connection without an answer")

    def _break(self, why: str) -> None:
        self._method = ""
        self._rest.clear()
        self._events.append(Broken(stream=self._number, why=why))

    def _finish(self) -> bool:
        self._method = ""
        self._events.append(End(stream=self._number))
        return False

    def _expect_head(self) -> None:
        self._step = self._read_head
        self._lines.clear()
        self._lines_bytes = 0

    def _take_line(self, limit: int, what: str) -> bytes | None:
        """The next line without its end, which may lack its CR (section 2.2); None if not here."""
        end = self._rest.find(b"\n", self._searched)
        if (len(self._rest) if end < 0 else end) > limit:
            raise MalformedError(f"the server sent {what}")
        if end < 0:
            self._searched = len(self._rest)
            return None
        self._searched = 0
        line = bytes(self._rest[:end])
        del self._rest[: end + 1]
        return line.removesuffix(b"\r")

    def _take_lines(self) -> list[bytes] | None:
        """All lines up to an empty one; None as long as that has not come."""
        what = f"headers of more than {HEAD_BYTES} bytes"
        while (line := self._take_line(HEAD_BYTES - self._lines_bytes, what)) is not None:
            if not line:
                lines, self._lines, self._lines_bytes = self._lines, [], 0
                return lines
            self._lines_bytes += len(line) + 2
            self._lines.append(line)
        return None

    def _read_head(self) -> bool:
        if not self._lines:
            _check_signature(self._rest)
        lines = self._take_lines()
        if lines is None:
            return False
        is_new, status = _parse_status(lines[0] if lines else b"")
        headers = gather(_parse_fields(lines[1:]))
        if status == _SWITCHING_PROTOCOLS:
            raise MalformedError("the server switched to another protocol, unasked")
        if status >= _FIRST_FINAL:
            self._begin_body(status, headers, is_new=is_new)
        return True

    def _begin_body(self, status: int, headers: "dict[str, str]", *, is_new: bool) -> None:
        """Tell the head, and choose how the body ends (section 6.3)."""
        length = content_length(headers)
        coding = headers.get("transfer-encoding", "").strip().lower()
        self._is_open = _is_kept(headers, is_new=is_new)
        self._left = length or 0
        self._step = self._read_body
        if has_no_body(self._method, status):
            self._left = 0
        elif coding:
            self._begin_chunks(coding, is_new=is_new, has_length=length is not None)
        elif length is None:
            self._is_open = False
            self._step = self._read_until_close
        self._events.append(Head(stream=self._number, status=status, headers=headers))

    def _begin_chunks(self, coding: str, *, is_new: bool, has_length: bool) -> None:
        if coding != "chunked" or not is_new:
            raise MalformedError(f"the server used the transfer coding {coding[:40]!r}, unasked")
        if has_length:
            # Someone may have been led astray about where it ends (section 6.3, item 3).
            self._is_open = False
        self._step = self._read_chunk_size

    def _read_until_close(self) -> bool:
        self._take_data(len(self._rest))
        return False

    def _read_body(self) -> bool:
        self._left -= self._take_data(self._left)
        return self._finish() if not self._left else False

    def _take_data(self, limit: int) -> int:
        """Hand out what is here, up to a limit; how much that was."""
        size = min(limit, len(self._rest))
        if size:
            with memoryview(self._rest) as view:
                data = bytes(view[:size])
            del self._rest[:size]
            self._events.append(Data(stream=self._number, data=data))
        return size

    def _read_chunk_size(self) -> bool:
        line = self._take_line(
            CHUNK_LINE_BYTES, f"a chunk size of more than {CHUNK_LINE_BYTES} bytes"
        )
        if line is None:
            return False
        digits = line.partition(b";")[0].strip(b" \t").decode("latin-1")
        if not digits or len(digits) > _CHUNK_DIGITS or not _HEXADECIMAL.issuperset(digits):
            raise MalformedError(f"the server sent a chunk of the size {digits[:40]!r}")
        self._left = int(digits, 16)
        self._step = self._read_chunk if self._left else self._read_trailers
        return True

    def _read_chunk(self) -> bool:
        self._left -= self._take_data(self._left)
        if self._left:
            return False
        self._step = self._read_chunk_end
        return True

    def _read_chunk_end(self) -> bool:
        for end in (b"\r\n", b"\n"):
            if self._rest.startswith(end):
                del self._rest[: len(end)]
                self._step = self._read_chunk_size
                return True
        if bytes(self._rest[:2]) not in {b"", b"\r"}:
            raise MalformedError("the server sent a chunk longer than its size")
        return False

    def _read_trailers(self) -> bool:
        """Of which nothing is told."""
        return False if self._take_lines() is None else self._finish()


def _check_signature(start: bytearray) -> None:
    """Refuse what is no HTTP as soon as that is plain; it may hold no line's end at all."""
    if start[: len(_SIGNATURE)] == _SIGNATURE[: len(start)]:
        return
    shown = bytes(start[:24])
    for beginning, what in _OTHER_PROTOCOLS:
        if shown.startswith(beginning):
            raise MalformedError(f"the server speaks {what}")
    raise MalformedError(f"the server speaks no HTTP: it began with {shown!r}")


def _parse_status(line: bytes) -> tuple[bool, int]:
    """Whether it is of HTTP/1.1, and its status (section 4)."""
    version, _, rest = line.decode("latin-1").partition(" ")
    status, _, _ = rest.partition(" ")
    if version not in {"HTTP/1.0", "HTTP/1.1"}:
        raise MalformedError(f"the server speaks {version[:24]!r} instead of HTTP/1.1")
    if len(status) != len("200") or not is_digits(status) or status < "100":
        raise MalformedError(f"the server sent the status {status[:40]!r}")
    return version == "HTTP/1.1", int(status)


def _parse_fields(lines: list[bytes]) -> "list[Field]":
    """Header lines (section 5); one that goes on in the next is joined to it (section 5.2)."""
    fields: list[Field] = []
    for line in lines:
        text = str(line, "utf-8", "replace")
        name, colon, value = text.partition(":")
        if text[0] in " \t":
            name, value = fields.pop() if fields else ("", "")
            value = " ".join((value, text.strip(" \t")))
        elif not colon or not is_token(name):
            raise MalformedError(f"the server sent a line that is no header, {text[:24]!r}")
        if not name or not are_values([value]):
            raise MalformedError("the server sent a header that is none")
        fields.append((name.lower(), value.strip(" \t")))
    return fields


def _is_kept(headers: "dict[str, str]", *, is_new: bool) -> bool:
    """Whether the connection stays open after the answer (section 9.3)."""
    options = {option.strip(" \t") for option in headers.get("connection", "").lower().split(",")}
    return "close" not in options and (is_new or "keep-alive" in options)
