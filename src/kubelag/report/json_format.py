"""The report as JSON, after the published schema (schema/report-1.json)."""

from typing import Any, TextIO

import msgspec

from kubelag.model.report import Report


def write(report: Report, stream: TextIO) -> None:
    """Write it with the field names of the model, in their order, indented by two."""
    stream.write(encode(report).decode() + "\n")


def encode(report: Report) -> bytes:
    """The report as UTF-8."""
    try:
        compact = msgspec.json.encode(report)
    except UnicodeEncodeError:
        compact = msgspec.json.encode(_showable(msgspec.to_builtins(report)))
    return msgspec.json.format(compact, indent=2)


def _showable(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """A file name that is no UTF-8 arrives with lone surrogates, which no JSON text can hold."""
    match value:
        case str():
            return value.encode(errors="backslashreplace").decode()
        case dict():
            return {key: _showable(one) for key, one in value.items()}
        case list() | tuple():
            return [_showable(one) for one in value]
        case _:
            return value
