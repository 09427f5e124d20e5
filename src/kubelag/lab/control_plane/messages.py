"""A request and a response as the embedded server's core sees them: no sockets, no HTTP version.

What the real server decides by the size of the body is here too: compression and whether the
length is told beforehand, which old kubectl's cache makes a second write of.
"""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from kubelag.lab.control_plane.identity import Identity

GZIP_FROM_BYTES = 128 * 1024
"""Source: `defaultGzipThresholdBytes` of k8s.io/apiserver."""
GZIP_LEVEL = 4
"""Source: `defaultGzipContentEncodingLevel`; 1 from 1.26 on."""
KNOWN_LENGTH_BYTES = {True: 4096, False: 2048}
"""Longest body whose length Go's server tells by itself, over HTTP/2 and HTTP/1.1.

Source: `handlerChunkWriteSize` of golang.org/x/net/http2, `bufferBeforeChunkingSize` of net/http.
"""

_PRETTY_AGENTS = ("curl", "Wget", "Mozilla/5.0")
"""Source: `isPrettyPrint` of k8s.io/apiserver."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    certificate: Identity | None = None
    """Whom a verified client certificate names."""
    is_http2: bool = True

    @property
    def is_pretty(self) -> bool:
        """Whether the answer is spread over lines."""
        asked = self.query.get("pretty")
        if asked is not None:
            return asked.lower() in {"1", "true", ""}
        return self.headers.get("user-agent", "").startswith(_PRETTY_AGENTS)

    @property
    def accept(self) -> str:
        """The Accept header."""
        return self.headers.get("accept", "")

    @property
    def authorization(self) -> str:
        """The Authorization header."""
        return self.headers.get("authorization", "")


def parse_query(text: str) -> dict[str, str]:
    """The query; of a repeated name, the first value."""
    pairs = parse_qsl(text, keep_blank_values=True)
    return dict(reversed(pairs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One response, as the handlers make it."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    """Besides those that every response has."""
    flow_control: tuple[tuple[str, str], ...] = ()
    """None where the request was refused before flow control saw it."""
    cache_control: str = "no-cache, private"
    delay_s: float = 0.0
    """How long the server is to wait before it sends anything."""


def wire_headers(request: Request, response: Response) -> tuple[list[tuple[str, str]], bytes]:
    """Every header but the date, in the real server's order, and the body as it is sent."""
    body = response.body
    headers = [("cache-control", response.cache_control)]
    if body:
        headers.append(("content-type", response.content_type))
    is_nosniff = response.content_type.startswith("text/plain") or response.status == 403  # noqa: PLR2004
    if is_nosniff:
        headers.append(("x-content-type-options", "nosniff"))
    headers += response.headers
    headers += response.flow_control
    if _is_compressed(request, body):
        body = gzip.compress(body, GZIP_LEVEL, mtime=0)
        headers += [("content-encoding", "gzip"), ("vary", "Accept-Encoding")]
    elif len(body) <= KNOWN_LENGTH_BYTES[request.is_http2] and response.status != 304:  # noqa: PLR2004
        headers.append(("content-length", str(len(body))))
    return headers, body


def _is_compressed(request: Request, body: bytes) -> bool:
    return len(body) > GZIP_FROM_BYTES and "gzip" in request.headers.get("accept-encoding", "")
