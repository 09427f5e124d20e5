"""What a client's debug log says about time besides its requests. Pure.

The wordings are client-go's: rate limiter `request.go`, Retry-After `with_retry.go`, caches
`cached_discovery.go` and `memcache.go`, at the tags v0.20 to v0.36.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from kubelag.kube.redact import redact_text
from kubelag.model.evidence import ClientNote
from kubelag.observe.klog_lines import LogLine, duration_ns, fields, title

# Bounds what a message may cost and what of it is kept.
_READ_CHARS = 8192
_KEPT_CHARS = 300


class _Found(NamedTuple):
    subject: str
    wait_ns: int = 0


def _throttled_until_1_20(message: str) -> _Found | None:
    found = re.match(r"Throttling request took (\S+), request: \w+:(\S+)", message)
    return _waited(found[1], found[2]) if found else None


def _throttled_until_1_32(message: str) -> _Found | None:
    found = re.match(r"Waited for (\S+) due to client-side throttling.*request: \w+:(\S+)", message)
    return _waited(found[1], found[2]) if found else None


def _throttled_since_1_33(message: str) -> _Found | None:
    if title(message) != "Waited before sending request":
        return None
    told = fields(message)
    return _waited(told.get("delay", ""), told.get("URL", told.get("url", "")))


def _retry_after_until_1_32(message: str) -> _Found | None:
    found = re.match(r"Got a Retry-After (\S+) response for attempt \d+ to (\S+)", message)
    return _waited(found[1], found[2]) if found else None


def _retry_after_since_1_33(message: str) -> _Found | None:
    if title(message) != "Got a Retry-After response":
        return None
    told = fields(message)
    return _waited(told.get("delay", ""), told.get("url", ""))


def _waited(delay: str, subject: str) -> _Found | None:
    wait_ns = duration_ns(delay)
    return None if wait_ns is None else _Found(subject, wait_ns)


def _after(*beginnings: str) -> Callable[[str], _Found | None]:
    """A reader for messages that begin so; what follows is the subject."""

    def read(message: str) -> _Found | None:
        begun = next((one for one in beginnings if message.startswith(one)), None)
        return None if begun is None else _Found(message.removeprefix(begun).strip())

    return read


def _discovery_failed(message: str) -> _Found | None:
    """The complaint of memcache, since 1.33 wrapped as the `err` of an unhandled error."""
    plain = fields(message).get("err", "") if title(message) == "Unhandled Error" else message
    found = re.match(
        r"couldn't get (?:resource list for (.+)|current server API group list: (.*))", plain
    )
    if found:
        return _Found(found[1] or found[2])
    return _after("Error loading discovery information: ")(plain)


_READERS: tuple[tuple[str, Callable[[str], _Found | None]], ...] = (
    ("throttled", _throttled_until_1_20),
    ("throttled", _throttled_until_1_32),
    ("throttled", _throttled_since_1_33),
    ("retry_after", _retry_after_until_1_32),
    ("retry_after", _retry_after_since_1_33),
    ("config_loaded", _after("Config loaded from file:")),
    ("cache_write_failed", _after("failed to write cache to ")),
    (
        "cache_skipped",
        _after("skipped caching discovery info due to ", "skipped caching discovery info, "),
    ),
    ("discovery_failed", _discovery_failed),
    (
        "websocket_fallback",
        _after(
            "RemoteCommand fallback: ", "fallback to secondary dialer from primary dialer err: "
        ),
    ),
)


def note_in(line: LogLine, at_ns: int) -> ClientNote | None:
    """The note in one line; `at_ns` of a wait is its end.

    All lines about waits are printed after the wait, but for Retry-After up to 1.22, which was
    announced before it (there it comes from `request.go`).
    """
    message = line.message[:_READ_CHARS]
    for kind, read in _READERS:
        found = read(message)
        if found is not None:
            is_announced = kind == "retry_after" and line.file == "request.go"
            return ClientNote(
                kind=kind,  # type: ignore[arg-type]  # the table's first column is the Literal
                at_ns=at_ns + (found.wait_ns if is_announced else 0),
                wait_ns=found.wait_ns,
                subject=redact_text(found.subject)[:_KEPT_CHARS],
            )
    return None
