"""Values of JSON as Go holds and prints them.

kubectl decodes an integer that fits 64 bits to an int64 and every other number to a float64
(`k8s.io/apimachinery/pkg/util/json`); Python keeps integers of any size.
"""

from kubelag.kube.printing.errors import PrintingError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
    JsonObject: TypeAlias = dict[str, Json]

_INT64 = 1 << 63
_JSON_PLACES = 21
"""`encoding/json` writes an exponent from 1e21 on, as JavaScript does."""
_TEXT_PLACES = 6
"""`strconv.FormatFloat(x, 'g', -1, 64)` writes one from 1e6 on, and below 1e-4."""
_TEXT_ZEROS = 4


def is_int64(value: "int | float") -> bool:
    """Whether Go holds a number (and no boolean) as an int64."""
    return isinstance(value, int) and -_INT64 <= value < _INT64


def number_in_json(value: "int | float") -> str:
    """A number as `encoding/json` writes it: `1000000`, `1e-7`, `1e+21`.

    Raises:
        PrintingError: If it is no finite number, which JSON cannot say.
    """
    if is_int64(value):
        return str(value)
    sign, digits, point = _decimal(value)
    if digits and not -_TEXT_PLACES < point <= _JSON_PLACES:
        return sign + _scientific(digits, point - 1, width=1)
    return sign + _positional(digits, point)


def number_in_text(value: "int | float") -> str:
    """A number as `fmt.Sprint` writes it, and YAML: `1e+06`, `1e-07`, `2.5`."""
    if is_int64(value):
        return str(value)
    sign, digits, point = _decimal(value)
    if digits and not -_TEXT_ZEROS < point <= _TEXT_PLACES:
        return sign + _scientific(digits, point - 1, width=2)
    return sign + _positional(digits, point)


def _decimal(value: "int | float") -> tuple[str, str, int]:
    """Sign, shortest digits that give the same float, and where the point stands among them."""
    text = repr(_to_float(value))
    sign, text = ("-", text[1:]) if text[0] == "-" else ("", text)
    mantissa, _, exponent = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = whole + fraction
    significant = digits.lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(digits) - len(significant))
    return sign, significant.rstrip("0"), point


def _to_float(value: "int | float") -> float:
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if number - number:
        raise PrintingError(f"the number {number} is not finite, and JSON has no form for it")
    return number


def _scientific(digits: str, exponent: int, *, width: int) -> str:
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):0{width}d}"


def _positional(digits: str, point: int) -> str:
    if not digits:
        return "0"
    if point <= 0:
        return f"0.{'0' * -point}{digits}"
    whole = digits[:point].ljust(point, "0")
    return f"{whole}.{digits[point:]}" if len(digits) > point else whole


def in_text(value: "Json") -> str:
    """Any value as `fmt.Sprint` writes it: `map[a:1 b:[x <nil>]]`."""
    match value:
        case str():
            return value
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case list():
            return f"[{' '.join(map(in_text, value))}]"
        case dict():
            return f"map[{' '.join(f'{key}:{in_text(value[key])}' for key in sorted(value))}]"
        case _:
            return number_in_text(value)


def in_string_verb(value: "Json") -> str:
    """A value as `fmt.Sprintf("%s")` writes it, which is meant for strings: `%!s(int64=5)`."""
    match value:
        case None:
            return "%!s(<nil>)"
        case bool():
            return f"%!s(bool={in_text(value)})"
        case int() | float():
            return f"%!s({'int64' if is_int64(value) else 'float64'}={number_in_text(value)})"
        case list():
            return f"[{' '.join(map(_inner_string_verb, value))}]"
        case dict():
            pairs = (f"{key}:{_inner_string_verb(value[key])}" for key in sorted(value))
            return f"map[{' '.join(pairs)}]"
        case _:
            return value


def _inner_string_verb(value: "Json") -> str:
    return "<nil>" if value is None else in_string_verb(value)
