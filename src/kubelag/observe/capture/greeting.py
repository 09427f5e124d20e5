"""The first words of a connection: a proxy's CONNECT, TLS hello to finished, or plain HTTP.

Both sides are read as streams of TLS records (RFC 8446, section 5.1). Only record headers and the
two hellos are looked at; nothing that follows is kept. Where a packet was cut, the rest of its
record is skipped by its length, and reading goes on at the next record that begins a segment.
"""

from kubelag.observe.capture.hellos import client_hello, server_hello

_CHANGE, _HANDSHAKE, _DATA = 20, 22, 23
_RECORD_TYPES = (20, 21, 22, 23)
_HEADER_BYTES = 5
_MAX_RECORD_BYTES = (1 << 14) + 2048
"""Of a TLS record (RFC 5246, section 6.2.3)."""
_MAX_HELLO_BYTES = 1 << 14
_MAX_SEGMENTS = 128
"""Segments that are looked at before a handshake is given up. Arbitrary; 10 is usual."""
_MAX_AHEAD = 8
"""Segments of a side that wait for one that was lost; a flight of a handshake has 2 to 4."""
_METHODS = (b"GET ", b"PUT ", b"POST ", b"HEAD ", b"PATCH ", b"DELETE ", b"OPTIONS ", b"PRI ")


class Greeting:
    """What was found so far; fed with new payload in the order of each stream."""

    def __init__(self) -> None:
        self.proxy_asked_ns: int | None = None
        self.proxy_answered_ns: int | None = None
        self.hello_ns: int | None = None
        self.server_hello_ns: int | None = None
        self.secured_ns: int | None = None
        self.server_end = 0
        """Offset after the server's part of the handshake."""
        self.server_name = ""
        self.protocol = ""
        self.random = b""
        self.is_tls = False
        self.is_tls13 = False
        self.is_done = False
        self._is_retried = False
        self._changes: list[int | None] = [None, None]
        self._streams = (_Stream(), _Stream())
        self._segments = 0

    def begins(self, side: int) -> None:
        """The side's SYN was seen, so that its stream begins at offset 1."""
        self._streams[side].begins()

    def feed(self, side: int, start: int, payload: int, known: bytes, ns: int) -> None:
        """One segment's payload.

        Args:
            side: 0 for the client, 1 for the server.
            start: Its offset in the side's stream.
            payload: Its length.
            known: As much of it as was captured.
            ns: When it was seen.
        """
        self._segments += 1
        if self._segments > _MAX_SEGMENTS:
            self.is_done = True
            return
        if not self.is_tls and self._is_before_tls(side, known, ns):
            return
        for kind, body, begun_ns in self._streams[side].records(start, payload, known, ns):
            self._record(side, kind, body, begun_ns)
            if self.is_done:
                return

    def _is_before_tls(self, side: int, known: bytes, ns: int) -> bool:
        """Whether this belongs to what comes before TLS, or to a connection without it."""
        if side == 0:
            return self._is_plain_question(known, ns)
        if self.proxy_asked_ns is not None and self.proxy_answered_ns is None:
            self.proxy_answered_ns = ns
            return True
        if known[:1] == bytes([_HANDSHAKE]):
            self.is_tls = True
            return False
        if self.hello_ns is not None and self.server_hello_ns is None:
            self.server_hello_ns = ns
        return True

    def _is_plain_question(self, known: bytes, ns: int) -> bool:
        if known[:1] == bytes([_HANDSHAKE]) and known[1:2] in {b"\x03", b""}:
            self.is_tls = True
            return False
        if known.startswith(b"CONNECT ") and self.proxy_asked_ns is None:
            self.proxy_asked_ns = ns
            return True
        if self.proxy_asked_ns is not None and self.proxy_answered_ns is None:
            return True
        if self.hello_ns is None:
            self.hello_ns = ns
        if known.startswith(_METHODS):
            self.protocol = "h2" if known.startswith(b"PRI ") else "http/1.1"
        self.is_done = self.proxy_asked_ns is None
        return True

    def _record(self, side: int, kind: int, body: bytes, ns: int) -> None:
        if kind == _HANDSHAKE and side == 0 and self.hello_ns is None:
            self.hello_ns = ns
            self.server_name, self.random = client_hello(body)
        elif kind == _HANDSHAKE and side == 1 and self.server_hello_ns is None:
            self._server_hello(body, ns)
        elif kind == _CHANGE and self._changes[side] is None:
            self._changes[side] = ns
        elif kind == _DATA and side == 0 and self.server_hello_ns is not None:
            self._secure(ns)
        client, server = self._changes
        if client is not None and server is not None and not self._is_retried:
            self._secure(max(client, server))

    def _server_hello(self, body: bytes, ns: int) -> None:
        hello = server_hello(body)
        self._is_retried |= hello.is_retry
        self.is_tls13 = hello.is_tls13
        self.protocol = hello.protocol
        if not hello.is_retry:
            self.server_hello_ns = ns

    def _secure(self, ns: int) -> None:
        self.secured_ns = ns
        self.server_end = self._streams[1].end
        self.is_done = True


class _Stream:
    """One side's records."""

    def __init__(self) -> None:
        self._next: int | None = None
        """Offset of the next byte; None before the first."""
        self._left = 0
        """Bytes that the present record still has."""
        self._begun = b""
        """The present record so far, with its header; empty after it was handed out."""
        self._begun_ns = 0
        self._is_lost = False
        """Whether a header was not captured."""
        self._ahead: list[tuple[int, int, bytes, int]] = []
        """Segments that came before one that stands before them."""

    @property
    def end(self) -> int:
        """Offset after the last byte so far."""
        return self._next or 0

    def begins(self) -> None:
        """Nothing stands before offset 1."""
        if self._next is None:
            self._next = 1

    def records(
        self, start: int, payload: int, known: bytes, ns: int
    ) -> list[tuple[int, bytes, int]]:
        """Type, body and moment of the records that begin or, in a handshake, end here."""
        if self._next is not None and start > self._next:
            self._ahead.append((start, payload, known, ns))
            self._ahead.sort()
            # What nobody sends again was not captured, and then reading goes on without it.
            return self._read(*self._ahead.pop(0)) if len(self._ahead) > _MAX_AHEAD else []
        found = self._read(start, payload, known, ns)
        while self._ahead and self._ahead[0][0] <= self.end:
            found += self._read(*self._ahead.pop(0))
        return found

    def _read(
        self, start: int, payload: int, known: bytes, ns: int
    ) -> list[tuple[int, bytes, int]]:
        if self._next is not None and start < self._next:  # in part seen before
            known = known[self._next - start :]
            payload -= self._next - start
            start = self._next
        if payload <= 0:
            return []
        if self._next is not None and start > self._next:
            self._lose()
        self._next = start + payload
        if self._is_lost and not _is_header(known):
            return []
        self._is_lost = False
        return self._parse(known, payload - len(known), ns)

    def _parse(self, known: bytes, unknown: int, ns: int) -> list[tuple[int, bytes, int]]:
        found = []
        while known or unknown:
            if self._left:
                taken, skipped = known[: self._left], min(unknown, max(0, self._left - len(known)))
                self._left -= len(taken) + skipped
                if self._begun:
                    self._begun = (self._begun + taken)[:_MAX_HELLO_BYTES]
                known, unknown = known[len(taken) :], unknown - skipped
                if skipped or not self._left:
                    found += self._ended()
                continue
            if not self._begun:
                self._begun_ns = ns
            need = _HEADER_BYTES - len(self._begun)
            self._begun, known = self._begun + known[:need], known[need:]
            if len(self._begun) < _HEADER_BYTES:
                if unknown:
                    self._lose()
                break
            if not _is_header(self._begun):
                self._lose()
                break
            self._left = int.from_bytes(self._begun[3:5], "big")
            if self._begun[0] != _HANDSHAKE or not self._left:
                found += self._ended()
        return found

    def _ended(self) -> list[tuple[int, bytes, int]]:
        """Hand a record out once, when all of it is there or the rest was not captured."""
        begun, self._begun = self._begun, b""
        if not begun:
            return []
        return [(begun[0], begun[_HEADER_BYTES:], self._begun_ns)]

    def _lose(self) -> None:
        self._is_lost, self._left, self._begun = True, 0, b""


def _is_header(begun: bytes) -> bool:
    return (
        len(begun) >= _HEADER_BYTES
        and begun[0] in _RECORD_TYPES
        and begun[1] == 3  # noqa: PLR2004 - the major version of all TLS
        and int.from_bytes(begun[3:5], "big") <= _MAX_RECORD_BYTES
    )
