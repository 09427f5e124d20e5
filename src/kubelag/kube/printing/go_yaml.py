"""YAML as kubectl's `-o yaml` prints it, byte for byte; written by hand, without a library.

kubectl makes JSON, reads that as YAML and writes it with a fork of Go's `yaml.v2`, a port of
libyaml: lists not indented below their key, keys in natural order (`a2` before `a10`), folded
after column 80. PyYAML's two emitters fold, quote and escape differently, and its import would
cost more than the printing. Sources: `sigs.k8s.io/yaml/goyaml.v2/encode.go`, `emitterc.go` and
`sorter.go`.
"""

from kubelag.kube.printing.errors import PrintingError
from kubelag.kube.printing.values import is_int64, number_in_json, number_in_text
from kubelag.kube.printing.yaml_scalars import BREAKS, flow_scalar, is_multiline, scalar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubelag.kube.printing.values import Json, JsonObject

_SIMPLE_KEY_BYTES = 128
"""Longer keys are written as `? key`, as are keys of several lines."""
_UINT64 = 1 << 64


def print_yaml(value: "Json") -> str:
    """What `-o yaml` prints of one object (of a list too), its last newline included.

    Raises:
        PrintingError: If a number is not finite, or the value is nested too deeply.
    """
    parts: list[str] = []
    try:
        if isinstance(value, dict) and value:
            _mapping(value, 0, parts)
        elif isinstance(value, list) and value:
            _sequence(value, 0, parts)
        else:
            parts.append(_leaf(value, 2, 0))
    except RecursionError as error:
        raise PrintingError("the object is nested too deeply to be printed") from error
    text = "".join(parts)
    return text if text.endswith(BREAKS) else text + "\n"


def _mapping(value: "JsonObject", indent: int, parts: list[str]) -> None:
    """The lines of a mapping; the first one's indentation is already there."""
    newline = "\n" + " " * indent
    is_first = True
    for key in sorted_keys(value):
        if not is_first:
            parts.append(_begin_line(parts[-1], indent, newline))
        is_first = False
        if _is_simple(key):
            text = f"{flow_scalar(key)}:"
            parts.append(text)
            _simple_value(value[key], indent, indent + len(text) + 1, parts)
        else:
            parts.append("? ")
            parts.append(scalar(key, indent + 2, indent + 2))
            parts.append(_begin_line(parts[-1], indent, newline) + ": ")
            _nested(value[key], indent, parts)


def _begin_line(before: str, indent: int, newline: str) -> str:
    """A line of its own, unless a literal block has just ended its last line."""
    return " " * indent if before.endswith(BREAKS) else newline


def _is_simple(key: str) -> bool:
    return len(key.encode(errors="replace")) <= _SIMPLE_KEY_BYTES and not is_multiline(key)


def _simple_value(value: "Json", indent: int, column: int, parts: list[str]) -> None:
    """What stands behind `key:`."""
    if value and isinstance(value, dict):
        parts.append("\n" + " " * (indent + 2))
        _mapping(value, indent + 2, parts)
    elif value and isinstance(value, list):
        parts.append("\n" + " " * indent)
        _sequence(value, indent, parts)
    else:
        parts.append(" " + _leaf(value, indent + 2, column))


def _sequence(value: "list[Json]", indent: int, parts: list[str]) -> None:
    newline = "\n" + " " * indent
    is_first = True
    for item in value:
        parts.append("- " if is_first else _begin_line(parts[-1], indent, newline) + "- ")
        is_first = False
        _nested(item, indent, parts)


def _nested(value: "Json", indent: int, parts: list[str]) -> None:
    """What stands behind `- ` and `: `, beginning on the same line."""
    if value and isinstance(value, dict):
        _mapping(value, indent + 2, parts)
    elif value and isinstance(value, list):
        _sequence(value, indent + 2, parts)
    else:
        parts.append(_leaf(value, indent + 2, indent + 2))


def _leaf(value: "Json", indent: int, column: int) -> str:
    match value:
        case str():
            return scalar(value, indent, column)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case dict():
            return "{}"
        case list():
            return "[]"
        case _:
            return _number(value)


def _number(value: "int | float") -> str:
    """As read from JSON text: `1e6` is `1000000` there, an integer, and `2.5` is a float."""
    if is_int64(value):
        return str(value)
    text = number_in_json(value)
    if text.lstrip("-").isdigit() and -_UINT64 // 2 <= int(text) < _UINT64:
        return str(int(text))
    return number_in_text(float(value))


def sorted_keys(keys: "Iterable[str]") -> "list[str]":
    """Keys in the order of `yaml.v2`: numbers within them by value, letters after the rest."""
    given = sorted(keys)
    if all(map(str.isalpha, given)):
        return given
    from functools import cmp_to_key  # noqa: PLC0415 - start-up imports no more than it must

    return sorted(given, key=cmp_to_key(_compare))


def _compare(first: str, second: str) -> int:
    for at, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return _compare_at(first, second, at)
    return len(first) - len(second)


def _compare_at(first: str, second: str, at: int) -> int:
    """Compare two keys that differ first at that place."""
    one, other = first[at], second[at]
    if one.isalpha() and other.isalpha():
        return -1 if one < other else 1
    if one.isalpha() or other.isalpha():
        return -1 if other.isalpha() else 1
    # A zero counts only behind another digit: `a10` and `a1` have different numbers there.
    lead = "1" if "0" in (one, other) and _ends_in_number(first[:at]) else ""
    digits, others = lead + _digits(first, at), lead + _digits(second, at)
    number, another = _as_int64(digits), _as_int64(others)
    if number != another:
        return -1 if number < another else 1
    if len(digits) != len(others):
        return len(digits) - len(others)
    return -1 if one < other else 1


def _ends_in_number(text: str) -> bool:
    """Whether it ends in digits of which one at least is not zero."""
    digits = text[len(text.rstrip("0123456789")) :]
    return bool(digits.strip("0"))


def _digits(text: str, start: int) -> str:
    end = start
    while end < len(text) and text[end] in "0123456789":
        end += 1
    return text[start:end]


def _as_int64(digits: str) -> int:
    """Their value, wrapped around where they have too many, as Go's arithmetic does."""
    # 2**64 divides 10**64.
    return (int(digits[-64:] or 0) + _UINT64 // 2) % _UINT64 - _UINT64 // 2
