"""Entries of kubectl's HTTP cache, in both of its layouts: encoded, decoded, named. Pure.

Up to 1.24 an entry is a dump of the response, named by the MD5 of its URL; since 1.25 the dump
comes after its own SHA-256, and the name is the SHA-256 of the URL. Only documents with an ETag
ever save a request: aggregated discovery and OpenAPI.

Sources: client-go `discovery/cached/disk/round_tripper.go` (v0.24, v0.25); `httpcache` and
`net/http/httputil.DumpResponse` for the dump and for `X-Varied-*`.
"""

import hashlib
import re

from kubelag.kube.cache.layout import http_name
from kubelag.kube.transport.messages import Response
from kubelag.kube.versions import FIXED_FSYNC, Version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_QUERY = "?timeout=32s"
"""What kubectl appends to discovery requests; part of an entry's name."""

_SHA256_BYTES = 32
_WITH_DUMPS = Version(1, 24)
_END_OF_HEAD = b"\r\n\r\n"
# The dump holds the body as it is decoded and whole, so these would no longer be true of it.
_NOT_KEPT = frozenset({"content-encoding", "content-length", "transfer-encoding", "connection"})
_REASONS = {200: "OK", 304: "Not Modified", 403: "Forbidden", 404: "Not Found"}
_STATUS_DIGITS = 3
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")


def discovery_url(server: str, path: str) -> str:
    """The URL of a discovery request as kubectl sends it.

    Args:
        server: As the kubeconfig spells it.
        path: Such as `/apis`.
    """
    return f"{server.rstrip('/')}{path}{'' if '?' in path else TIMEOUT_QUERY}"


def entry_name(url: str, *, is_summed: bool) -> str:
    """The name of an entry.

    Args:
        url: With its query.
        is_summed: Of 1.25 and later.
    """
    return http_name(url, FIXED_FSYNC if is_summed else _WITH_DUMPS)


def has_etag(response: Response) -> bool:
    """Whether an entry of it can ever save a request."""
    return response.status == 200 and bool(response.headers.get("etag"))  # noqa: PLR2004 - OK


def encode_entry(response: Response, accept: str, *, is_summed: bool) -> bytes:
    """The content of an entry.

    Args:
        response: The answer.
        accept: The Accept header that was sent; kubectl compares it byte by byte.
        is_summed: Of 1.25 and later.

    Raises:
        ValueError: If its content coding cannot be undone.
    """
    dump = _dump(response, accept)
    return hashlib.sha256(dump).digest() + dump if is_summed else dump


def decode_entry(data: bytes, *, is_summed: bool) -> "Response | None":
    """The answer in an entry, headers as they stand in the dump; None if it is damaged."""
    if is_summed:
        digest, data = data[:_SHA256_BYTES], data[_SHA256_BYTES:]
        if hashlib.sha256(data).digest() != digest:
            return None
    head, separator, body = data.partition(_END_OF_HEAD)
    if not separator or (parsed := _head(head)) is None:
        return None
    status, headers = parsed
    whole = _whole_body(headers, body)
    return None if whole is None else Response(status=status, headers=headers, body=whole)


def _dump(response: Response, accept: str) -> bytes:
    body = _plain_body(response)
    headers = {name: value for name, value in response.headers.items() if name not in _NOT_KEPT}
    headers |= _varied(response.headers.get("vary", ""), accept)
    lines = [f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Status')}"]
    lines.append(f"Content-Length: {len(body)}")
    lines += (f"{_canonical(name)}: {_one_line(headers[name])}" for name in sorted(headers))
    return "\r\n".join(lines).encode("latin-1", "replace") + _END_OF_HEAD + body


def _varied(vary: str, accept: str) -> "Mapping[str, str]":
    """What the answer depends on, as far as kubectl's cache sees it.

    Accept-Encoding is added below the cache, which therefore never knows of it.
    """
    names = {name.strip().lower() for name in vary.split(",")}
    return {"x-varied-accept": accept} if "accept" in names and accept else {}


def _plain_body(response: Response) -> bytes:
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding in {"", "identity"}:
        return response.body
    if coding != "gzip":
        raise ValueError(f"content coding {coding!r}")
    import zlib  # noqa: PLC0415 - only where an answer is compressed

    try:
        return zlib.decompress(response.body, 16 + zlib.MAX_WBITS)
    except zlib.error as error:
        raise ValueError(f"gzip: {error}") from error


def _whole_body(headers: "Mapping[str, str]", body: bytes) -> "bytes | None":
    """The body without its chunks; None if some of it is missing."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return _unchunked(body)
    length = headers.get("content-length")
    return body if length is None or length == str(len(body)) else None


def _unchunked(body: bytes) -> "bytes | None":
    pieces: list[bytes] = []
    at = 0
    while (line := _CHUNK_SIZE.match(body, at)) is not None:
        begin = line.end()
        at = begin + int(line[1], 16)
        if at == begin:
            return b"".join(pieces)
        if body[at : at + 2] != b"\r\n":
            return None
        pieces.append(body[begin:at])
        at += 2
    return None


def _canonical(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-"))


def _one_line(value: str) -> str:
    return value.replace("\r", " ").replace("\n", " ")


def _head(head: bytes) -> "tuple[int, dict[str, str]] | None":
    first, *lines = head.decode("latin-1").split("\r\n")
    protocol, _, rest = first.partition(" ")
    code = rest[:_STATUS_DIGITS]
    if not protocol.startswith("HTTP/") or not (code.isascii() and code.isdigit()):
        return None
    pairs = (line.partition(":") for line in lines)
    return int(code), {name.strip().lower(): value.strip() for name, _, value in pairs}
