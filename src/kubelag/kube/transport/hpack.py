"""Header compression of HTTP/2 (HPACK, RFC 7541).

The decoder is complete; the encoder does as little as keeps repeated requests short: what is in
a table goes as its number, everything else as plain text without Huffman coding.
"""

from kubelag.kube.transport.messages import ProtocolError

TABLE_BYTES = 4096
"""Size of either dynamic table where nothing else was settled (RFC 9113 section 6.5.2)."""
LIST_BYTES = 1 << 20
"""Most that one list of fields may come to, decoded; Go's servers take as much (1 MiB)."""
_ENTRY_BYTES = 32
"""What an entry is said to cost beyond its text (section 4.1)."""
_INTEGER_SHIFT = 28
"""Beyond this many bits a number is larger than anything that fits into a list."""
# What the first byte of a field says (section 6); a literal that none of these marks is not kept.
_INDEXED = 0x80
_KEPT = 0x40
_RESIZE = 0x20
_HUFFMAN = 0x80
_MORE = 0x80

_STATIC_TEXT = """\
:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate"""
_STATIC = [(name, value) for name, _, value in (x.partition(" ") for x in _STATIC_TEXT.split("\n"))]
"""Appendix A; its numbers begin with 1."""
_STATIC_INDEX = {pair: index for index, pair in enumerate(_STATIC, 1)}
_NAME_INDEX = {name: index for index, (name, _) in reversed([*enumerate(_STATIC, 1)])}
_STATIC_ENTRIES = [(pair, len(pair[0]) + len(pair[1]) + _ENTRY_BYTES) for pair in _STATIC]

# The code is canonical: it follows from how many symbols have a length, and from their order
# (Appendix B). The symbol after the last byte is EOS, which nobody may send.
_LENGTHS = (
    (5, 10),
    (6, 26),
    (7, 32),
    (8, 6),
    (10, 5),
    (11, 3),
    (12, 2),
    (13, 6),
    (14, 2),
    (15, 3),
    (19, 3),
    (20, 8),
    (21, 13),
    (22, 26),
    (23, 29),
    (24, 12),
    (25, 4),
    (26, 15),
    (27, 19),
    (28, 29),
    (30, 4),
)
"""Pairs of a length in bits and how many symbols have it."""
_SYMBOLS = (
    b"012aceiost %-./3456789=A_bdfghlmnpru:BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz&*,;XZ!\"()?'+|#>\x00$"
    b"@[]~^}<`{\\\xc3\xd0\x80\x82\x83\xa2\xb8\xc2\xe0\xe2\x99\xa1\xa7\xac\xb0\xb1\xb3\xd1\xd8"
    b"\xd9\xe3\xe5\xe6\x81\x84\x85\x86\x88\x92\x9a\x9c\xa0\xa3\xa4\xa9\xaa\xad\xb2\xb5\xb9\xba"
    b"\xbb\xbd\xbe\xc4\xc6\xe4\xe8\xe9\x01\x87\x89\x8a\x8b\x8c\x8d\x8f\x93\x95\x96\x97\x98\x9b"
    b"\x9d\x9e\xa5\xa6\xa8\xae\xaf\xb4\xb6\xb7\xbc\xbf\xc5\xe7\xef\x09\x8e\x90\x91\x94\x9f\xab"
    b"\xce\xd7\xe1\xec\xed\xc7\xcf\xea\xeb\xc0\xc1\xc8\xc9\xca\xcd\xd2\xd5\xda\xdb\xee\xf0\xf2"
    b"\xf3\xff\xcb\xcc\xd3\xd4\xd6\xdd\xde\xdf\xf1\xf4\xf5\xf6\xf7\xf8\xfa\xfb\xfc\xfd\xfe\x02"
    b"\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x11\x12\x13\x14\x15\x17\x18\x19\x1a\x1b\x1c"
    b"\x1d\x1e\x1f\x7f\xdc\xf9\x0a\x0d\x16"
)
_EOS = len(_SYMBOLS)
_PADDING = b"\xff\xff\xff\xff"
"""Longer than any code, so that one may always look ahead."""
_PIECE_BYTES = 32
"""Decoded at once: arithmetic on longer numbers costs more than the additional turns."""

_NEVER_INDEXED = frozenset({"authorization", "proxy-authorization", "cookie"})
_RARELY_REPEATED = frozenset({":path", "content-length"})

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Field = tuple[str, str]


class Decoder:
    """Decodes the blocks of one connection, in the order in which they came."""

    def __init__(self) -> None:
        self._table: list[tuple[Field, int]] = []
        self._bytes = 0
        self._limit = TABLE_BYTES

    def decode(self, block: bytes) -> "list[Field]":
        """Names and values in their order; text that is no UTF-8 is replaced, never refused.

        Raises:
            ProtocolError: If the block is damaged; the connection is then of no more use.
        """
        fields: list[Field] = []
        at, end, listed = 0, len(block), 0
        while at < end:
            first = block[at]
            if first & _INDEXED:
                index, at = _integer(block, at, 0x7F)
                pair, size = self._entry(index)
            elif first & _RESIZE and not first & _KEPT:
                at = self._resize(block, at, is_first=not fields)
                continue
            else:
                pair, size, at = self._literal(block, at, is_kept=first >= _KEPT)
            listed += size
            if listed > LIST_BYTES:
                raise ProtocolError(f"the server sent headers of more than {LIST_BYTES} bytes")
            fields.append(pair)
        return fields

    def _entry(self, index: int) -> "tuple[Field, int]":
        if 0 < index <= len(_STATIC_ENTRIES):
            return _STATIC_ENTRIES[index - 1]
        if index == 0 or index - len(_STATIC_ENTRIES) > len(self._table):
            raise ProtocolError(f"the server named header {index}, which no table has")
        return self._table[index - len(_STATIC_ENTRIES) - 1]

    def _literal(self, block: bytes, at: int, *, is_kept: bool) -> "tuple[Field, int, int]":
        index, at = _integer(block, at, 0x3F if is_kept else 0x0F)
        if index:
            (name, _), _ = self._entry(index)
            name_bytes = len(name) if name.isascii() else len(name.encode())
        else:
            raw, at = _string(block, at)
            name, name_bytes = str(raw, "utf-8", "replace"), len(raw)
        raw, at = _string(block, at)
        pair = (name, str(raw, "utf-8", "replace"))
        size = name_bytes + len(raw) + _ENTRY_BYTES
        if is_kept:
            self._evict(self._limit - size)
            if size <= self._limit:
                self._table.insert(0, (pair, size))
                self._bytes += size
        return pair, size, at

    def _resize(self, block: bytes, at: int, *, is_first: bool) -> int:
        limit, at = _integer(block, at, 0x1F)
        if limit > TABLE_BYTES or not is_first:
            raise ProtocolError("the server resized its header table against the rules")
        self._limit = limit
        self._evict(limit)
        return at

    def _evict(self, limit: int) -> None:
        """Drop the oldest entries until the rest is no larger than this."""
        while self._table and self._bytes > limit:
            self._bytes -= self._table.pop()[1]


def _integer(block: bytes, at: int, prefix: int) -> tuple[int, int]:
    """A number (section 5.1) and where it ends; `prefix` is the mask of its first byte."""
    value = block[at] & prefix
    at += 1
    if value < prefix:
        return value, at
    for shift in range(0, _INTEGER_SHIFT, 7):
        if at >= len(block):
            raise ProtocolError("the server sent a header block that breaks off")
        value += (block[at] & 0x7F) << shift
        at += 1
        if block[at - 1] < _MORE:
            return value, at
    raise ProtocolError("the server sent a header block with a number too large to be true")


def _string(block: bytes, at: int) -> tuple[bytes, int]:
    """A text (section 5.2) and where it ends."""
    if at >= len(block):
        raise ProtocolError("the server sent a header block that breaks off")
    is_huffman = block[at] >= _HUFFMAN
    length, at = _integer(block, at, 0x7F)
    raw = block[at : at + length]
    if len(raw) < length:
        raise ProtocolError("the server sent a header block that breaks off")
    return huffman_decode(raw) if is_huffman else raw, at + length


def _codes() -> "tuple[list[tuple[int, int]], list[tuple[int, int, int]]]":
    """Tables of the code.

    Returns:
        For each byte the symbol whose code it begins with and that code's length, 0 for codes
        longer than a byte; for each such length the first code, and what to add to a code to get
        its symbol's place.
    """
    short: list[tuple[int, int]] = []
    long: list[tuple[int, int, int]] = []
    code = place = last = 0
    for length, count in _LENGTHS:
        code <<= length - last
        last = length
        if length <= 8:  # noqa: PLR2004 - a byte
            for symbol in _SYMBOLS[place : place + count]:
                short += [(symbol, length)] * (1 << 8 - length)
        else:
            long.append((length, code + count, place - code))
        code += count
        place += count
    short += [(0, 0)] * (256 - len(short))
    return short, long


_SHORT, _LONG = _codes()


def huffman_decode(data: bytes) -> bytes:
    """Take the Huffman code off (section 5.2).

    Raises:
        ProtocolError: If it holds EOS, or does not end with at most 7 bits of EOS as padding.
    """
    out = bytearray()
    data += _PADDING
    ahead = 8 * len(_PADDING)
    bits = left = 0
    for start in range(0, len(data), _PIECE_BYTES):
        piece = data[start : start + _PIECE_BYTES]
        bits = (bits & (1 << left) - 1) << 8 * len(piece) | int.from_bytes(piece, "big")
        left += 8 * len(piece)
        while left >= ahead + 8:
            symbol, length = _SHORT[bits >> left - 8 & 0xFF]
            if not length:
                symbol, length = _long_code(bits >> left - ahead & 0xFFFFFFFF)
            out.append(symbol)
            left -= length
    return bytes(out + _last_symbol(bits, left - ahead, ahead))


def _last_symbol(bits: int, left: int, ahead: int) -> bytes:
    """What the last 7 bits or fewer say, besides padding; negative where a code breaks off."""
    out = b""
    while left > 0:
        rest = bits >> ahead & (1 << left) - 1
        if rest == (1 << left) - 1:
            break
        symbol, length = _SHORT[bits >> ahead + left - 8 & 0xFF]
        if not length:
            left = -1
            break
        out += bytes((symbol,))
        left -= length
    if left < 0:
        raise ProtocolError("the server sent a header whose Huffman code breaks off")
    return out


def _long_code(bits: int) -> tuple[int, int]:
    """The symbol with which these 32 bits begin, and the length of its code."""
    for length, end, offset in _LONG:
        code = bits >> 32 - length
        if code < end and code + offset < _EOS:
            return _SYMBOLS[code + offset], length
    raise ProtocolError("the server sent a header with the end mark of the Huffman code in it")


class Encoder:
    """Encodes the requests of one connection.

    Fields go into the dynamic table until it is full and are never dropped from it, so that the
    number of one follows from how many came after it.
    """

    def __init__(self) -> None:
        self._places: dict[Field, int] = {}
        self._room = TABLE_BYTES
        self._update = b""

    def limit_table(self, size: int) -> None:
        """Heed the peer's SETTINGS_HEADER_TABLE_SIZE: one smaller than usual is left unused."""
        if size < TABLE_BYTES:
            self._room = 0
            self._places.clear()
            self._update = b"\x20"

    def encode(self, fields: "Iterable[Field]") -> bytes:
        """One block; credentials go as literals that no proxy may index (section 7.1.3)."""
        out = bytearray(self._update)
        self._update = b""
        for pair in fields:
            index = _STATIC_INDEX.get(pair) or self._index(pair)
            if index:
                out += _encode_integer(index, 0x7F, 0x80)
            else:
                self._encode_literal(out, pair)
        return bytes(out)

    def _index(self, pair: "Field") -> int:
        place = self._places.get(pair)
        return 0 if place is None else len(_STATIC) + len(self._places) - place

    def _encode_literal(self, out: bytearray, pair: "Field") -> None:
        name, value = pair[0].encode(), pair[1].encode()
        size = len(name) + len(value) + _ENTRY_BYTES
        index = _NAME_INDEX.get(pair[0], 0)
        if pair[0] in _NEVER_INDEXED or "token" in pair[0]:
            out += _encode_integer(index, 0x0F, 0x10)
        elif pair[0] in _RARELY_REPEATED or size > self._room:
            out += _encode_integer(index, 0x0F, 0x00)
        else:
            out += _encode_integer(index, 0x3F, 0x40)
            self._places[pair] = len(self._places)
            self._room -= size
        if not index:
            out += _encode_integer(len(name), 0x7F, 0x00) + name
        out += _encode_integer(len(value), 0x7F, 0x00) + value


def _encode_integer(value: int, prefix: int, flags: int) -> bytes:
    if value < prefix:
        return bytes((flags | value,))
    out = bytearray((flags | prefix,))
    value -= prefix
    while value > 0x7F:  # noqa: PLR2004 - seven bits to a byte
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
