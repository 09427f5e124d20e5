"""JSON as a Kubernetes API server writes it: Go's escapes, its indentation, its last newline.

Source: the recorded answers of kube-apiserver 1.20.2. Most objects are written by json-iterator,
which spreads an empty object over three lines and leaves raw parts unindented.
"""

import json
from dataclasses import dataclass

_ESCAPES = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


@dataclass(frozen=True, slots=True)
class Raw:
    """JSON text that is written as it is, whatever the style around it."""

    text: str


def compact(value: object) -> str:
    """One line without a space, and without the newline that ends a response."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_refuse)
    return text.translate(_ESCAPES)


def indented(value: object, *, is_empty_object_spread: bool = True) -> str:
    """Two spaces per level, as for curl, wget and browsers.

    Args:
        value: What to write; `Raw` parts may be anywhere in it.
        is_empty_object_spread: As json-iterator does; encoding/json writes `{}`.
    """
    return _indent(value, "\n", spread=is_empty_object_spread)


def _indent(value: object, newline: str, *, spread: bool) -> str:
    inner = newline + "  "
    match value:
        case Raw(text=text):
            return text
        case dict() if not value:
            return f"{{{inner}{newline}}}" if spread else "{}"
        case dict():
            parts = (
                f"{compact(key)}: {_indent(item, inner, spread=spread)}"
                for key, item in value.items()
            )
            return f"{{{inner}{f',{inner}'.join(parts)}{newline}}}"
        case list() | tuple() if value:
            parts = (_indent(item, inner, spread=spread) for item in value)
            return f"[{inner}{f',{inner}'.join(parts)}{newline}]"
        case _:
            return compact(value)


def _refuse(value: object) -> object:
    raise TypeError(f"{type(value).__name__} has no compact JSON form")
