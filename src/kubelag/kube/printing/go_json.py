r"""JSON as kubectl's `-o json` prints it: Go's `encoding/json` with sorted keys.

Source: `k8s.io/cli-runtime/pkg/printers/json.go`, which indents by four spaces and ends with a
newline. Strings are escaped as Go 1.22 and newer do (`\b` and `\f`; older: `\u0008`).
"""

from json.encoder import encode_basestring

from kubelag.kube.printing.errors import PrintingError
from kubelag.kube.printing.values import number_in_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kubelag.kube.printing.values import Json

_INDENT = "    "
_ESCAPES = (
    ("<", "\\u003c"),
    (">", "\\u003e"),
    ("&", "\\u0026"),
    ("\u2028", "\\u2028"),
    ("\u2029", "\\u2029"),
)
"""Outside of strings JSON has none of these, so that the whole text can be replaced at once."""


def print_json(value: "Json") -> str:
    """What `-o json` prints, its last newline included.

    Raises:
        PrintingError: If a number is not finite, or the value is nested too deeply.
    """
    return _escape(_guarded(_indent, value)) + "\n"


def compact(value: "Json") -> str:
    """The same in one line without a space or a newline, as JSONPath prints maps and lists.

    Raises:
        PrintingError: As `print_json`.
    """
    return _escape(_guarded(_compact, value))


def _guarded(write: "Callable[[Json, str, list[str]], None]", value: "Json") -> str:
    parts: list[str] = []
    try:
        write(value, "\n", parts)
    except RecursionError as error:
        raise PrintingError("the object is nested too deeply to be printed") from error
    return "".join(parts)


def _escape(text: str) -> str:
    for character, escaped in _ESCAPES:
        text = text.replace(character, escaped)
    return text


def _indent(value: "Json", newline: str, parts: list[str]) -> None:
    if not value or not isinstance(value, dict | list):
        parts.append(_scalar(value))
        return
    inner = newline + _INDENT
    separator = inner
    if isinstance(value, dict):
        parts.append("{")
        for key in sorted(value):
            parts.append(f"{separator}{encode_basestring(key)}: ")
            _indent(value[key], inner, parts)
            separator = "," + inner
        parts.append(newline + "}")
    else:
        parts.append("[")
        for item in value:
            parts.append(separator)
            _indent(item, inner, parts)
            separator = "," + inner
        parts.append(newline + "]")


def _compact(value: "Json", newline: str, parts: list[str]) -> None:
    if not value or not isinstance(value, dict | list):
        parts.append(_scalar(value))
        return
    separator = ""
    if isinstance(value, dict):
        parts.append("{")
        for key in sorted(value):
            parts.append(f"{separator}{encode_basestring(key)}:")
            _compact(value[key], newline, parts)
            separator = ","
        parts.append("}")
    else:
        parts.append("[")
        for item in value:
            parts.append(separator)
            _compact(item, newline, parts)
            separator = ","
        parts.append("]")


def _scalar(value: "Json") -> str:
    match value:
        case str():
            return encode_basestring(value)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case dict():
            return "{}"
        case list():
            return "[]"
        case _:
            return number_in_json(value)
