"""Percent-encoding of paths and queries. Pure; `urllib.parse` would cost 3 ms.

Source: RFC 3986 §2.3.
"""

from kubelag.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def quote(text: str) -> str:
    """One segment of a path, or one value of a query."""
    return "".join(
        chr(byte) if byte in _UNRESERVED else f"%{byte:02X}"
        for byte in text.encode("utf-8", "surrogateescape")
    )


def segment(text: str, what: str) -> str:
    """One segment of a path that is a name, percent-encoded.

    Args:
        text: The name.
        what: How an error calls it: `name`, `namespace`.

    Raises:
        UsageError: If it would not be one segment: dots mean directories.
    """
    if text in {"", ".", ".."}:
        raise UsageError(f"{text!r} is no {what}", f"give the {what} of an object that may exist")
    return quote(text)


def encoded(target: str) -> str:
    """A path with its query as it was typed; what may not be sent as it is, percent-encoded."""
    return "".join(
        char if char.isascii() and char.isprintable() and char != " " else quote(char)
        for char in target
    )


def with_query(path: str, pairs: "Iterable[tuple[str, str | None]]") -> str:
    """The path with those pairs that have a value."""
    words = [f"{name}={quote(value)}" for name, value in pairs if value]
    return f"{path}?{'&'.join(words)}" if words else path
