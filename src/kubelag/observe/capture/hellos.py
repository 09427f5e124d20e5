"""The two hellos of TLS (RFC 8446, section 4.1): what is asked, and what was chosen.

They may be cut anywhere; then what stands before the cut is used.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

_CLIENT, _SERVER = 1, 2
_NAME, _ALPN, _VERSIONS = 0, 16, 43
_TLS13 = b"\x03\x04"
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""The random of a HelloRetryRequest (RFC 8446, section 4.1.3)."""
_RANDOM_AT, _RANDOM_END = 6, 38
_EXTENSION = struct.Struct(">HH")
"""Type and length before its content."""


class ServerHello(NamedTuple):
    """What the server chose."""

    protocol: str
    """By ALPN, before TLS 1.3 only; empty where it cannot be seen."""
    is_tls13: bool
    is_retry: bool


def client_hello(body: bytes) -> tuple[str, bytes]:
    """The name that is asked for (SNI) and the random; empty where they cannot be read."""
    if body[:1] != bytes([_CLIENT]):
        return "", b""
    random = body[_RANDOM_AT:_RANDOM_END]
    at = _past(body, _RANDOM_END, 1)
    at = _past(body, at, 2)
    at = _past(body, at, 1)
    for kind, content in _extensions(body, at):
        if kind == _NAME:  # two lengths and a type before the one name
            length = int.from_bytes(content[3:5], "big")
            return _text(content[5 : 5 + length]), random
    return "", random if len(random) == _RANDOM_END - _RANDOM_AT else b""


def server_hello(body: bytes) -> ServerHello:
    """What the server chose; nothing where it cannot be read."""
    if body[:1] != bytes([_SERVER]):
        return ServerHello("", is_tls13=False, is_retry=False)
    at = _past(body, _RANDOM_END, 1) + 3
    extensions = dict(_extensions(body, at))
    protocol = extensions.get(_ALPN, b"")[3:]
    return ServerHello(
        _text(protocol),
        is_tls13=extensions.get(_VERSIONS) == _TLS13,
        is_retry=body[_RANDOM_AT:_RANDOM_END] == _RETRY,
    )


def _past(body: bytes, at: int, width: int) -> int:
    """Behind a vector whose length stands in so many bytes."""
    return at + width + int.from_bytes(body[at : at + width], "big")


def _extensions(body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Those that are there whole; what follows them may be another message of the handshake."""
    stop = min(len(body), _past(body, at, 2))
    at += 2
    while at + 4 <= stop:
        kind, length = _EXTENSION.unpack_from(body, at)
        end = at + 4 + length
        if end > stop:
            return
        yield kind, body[at + 4 : end]
        at = end


def _text(raw: bytes) -> str:
    """A name as it may be shown: what is not printable ASCII makes it nothing."""
    text = raw.decode("ascii", "replace")
    return text if text.isascii() and text.isprintable() else ""
