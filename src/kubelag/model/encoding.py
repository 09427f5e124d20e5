"""The JSON form of what the model describes; its text is always encodable, whatever was seen."""

from typing import Any

import msgspec


def encode(value: object) -> bytes:
    """One line of JSON in UTF-8, fields in their declared order.

    A file name that is no UTF-8 arrives with lone surrogates, which no JSON text can hold: they
    are written as backslash escapes.
    """
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_encodable(msgspec.to_builtins(value)))


def encode_indented(value: object) -> bytes:
    """The same for people: indented by two, with a line feed at the end."""
    return msgspec.json.format(encode(value), indent=2) + b"\n"


def _encodable(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    match value:
        case str():
            return value.encode(errors="backslashreplace").decode()
        case dict():
            return {key: _encodable(one) for key, one in value.items()}
        case list() | tuple():
            return [_encodable(one) for one in value]
        case _:
            return value
