"""Go's escapes in quoted strings.

Source: `strconv.UnquoteChar`, as `k8s.io/client-go/util/jsonpath` uses it for both quotes.
"""

import re

_ESCAPE = re.compile(
    rb"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3}))"
)
_NAMED = {
    b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v",
    b"\\": b"\\", b"'": b"'", b'"': b'"',
}  # fmt: skip
_LAST_CHARACTER = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)
_BYTE = 256


def unquoted(text: str, quote: str) -> "str | None":
    r"""What a string between quotes says; None if an escape is none (`\d`, or the other quote's).

    `\x41` and `\101` are bytes of UTF-8; what is no UTF-8 becomes U+FFFD.
    """
    pieces: list[bytes] = []
    rest = text.encode(errors="surrogatepass")
    end = 0
    for found in _ESCAPE.finditer(rest):
        said = _said(found, quote.encode())
        if said is None or not _is_bare(rest[end : found.start()], quote):
            return None
        pieces += [rest[end : found.start()], said]
        end = found.end()
    if not _is_bare(rest[end:], quote):
        return None
    return b"".join([*pieces, rest[end:]]).decode(errors="replace")


def _is_bare(piece: bytes, quote: str) -> bool:
    return b"\\" not in piece and quote.encode() not in piece


def _said(found: "re.Match[bytes]", quote: bytes) -> "bytes | None":
    name, in_hex, short, long, octal = found.groups()
    if name is not None:
        return None if name in b"'\"" and name != quote else _NAMED[name]
    if short is not None or long is not None:
        code = int(short or long, 16)
        is_character = code <= _LAST_CHARACTER and code not in _SURROGATES
        return chr(code).encode() if is_character else None
    value = int(in_hex, 16) if in_hex is not None else int(octal, 8)
    return bytes([value]) if value < _BYTE else None
