"""Which strings YAML would read as something else, by the rules of Go's `yaml.v2`.

kubectl quotes those, and only those: `yes`, `1e3`, `0x1`, `12:30`, `null`, dates. Its rules are
YAML 1.1's with holes (`0b2`, `1:60` and `=` stay plain), which are kept.
Source: `sigs.k8s.io/yaml/goyaml.v2/resolve.go` and `encode.go`.
"""

import re

from kubelag.kube.printing.age import is_date, is_time

_WORDS = frozenset(
    cased
    for word in ("y", "yes", "true", "on", "n", "no", "false", "off", "null")
    for cased in (word, word.capitalize(), word.upper())
) | {"", "~"}
_SPECIAL_FLOATS = frozenset(
    f"{sign}.{word}" for sign in ("", "+", "-") for word in ("inf", "Inf", "INF")
) | {".nan", ".NaN", ".NAN"}
_MAY_BE_ELSE = frozenset("+-.0123456789yYnNtTfFoO~")
"""First letters of everything that is not a string."""

_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_POINT_FLOAT = re.compile(r"\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+(?:_[0-9]+)*)?")
_INTEGER = re.compile(
    r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|[1-9][0-9]*|0)|0b([-+][01]+)"
)
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_DATE = re.compile(
    r"(\d{4})-(\d\d?)-(\d\d?)"
    r"(?:([Tt ])(\d\d?):(\d\d?):(\d\d?)(?:[.,]\d+)?(Z|[+-](?:[01]\d|2[0-4]):(?:[0-5]\d|60))?)?",
    re.ASCII,
)


def is_plain_string(text: str) -> bool:
    """Whether unquoted text would be read as that same string."""
    if text and text[0] not in _MAY_BE_ELSE:
        return True
    if text in _WORDS or text in _SPECIAL_FLOATS:
        return False
    if text[0] == ".":
        return not (_POINT_FLOAT.fullmatch(text) and _is_finite(text))
    if text[0].isalpha() or text[0] == "~":
        return True
    return not (_is_date(text) or _is_number(text) or _BASE_60.fullmatch(text))


def _is_number(text: str) -> bool:
    digits = text.replace("_", "")
    return _is_integer(digits) or bool(_FLOAT.fullmatch(digits) and _is_finite(digits))


def _is_integer(digits: str) -> bool:
    """Whether it is an integer of 64 bits; what has more is a string, unless a float."""
    found = _INTEGER.fullmatch(digits)
    if found is None:
        return False
    sign, *based, signed = found.groups()
    bits = (4, 1, 3)
    for text, each in zip(based, bits, strict=True):
        if text is not None:
            return _fits(int(sign + text, 1 << each), has_sign=bool(sign))
    return signed is None or _fits(int(signed, 2), has_sign=True)


def _fits(value: int, *, has_sign: bool) -> bool:
    return -(1 << 63) <= value < (1 << 63 if has_sign else 1 << 64)


def _is_finite(digits: str) -> bool:
    return float(digits) not in (float("inf"), float("-inf"))


def _is_date(text: str) -> bool:
    found = _DATE.fullmatch(text)
    if found is None:
        return False
    year, month, day, between, hour, minute, second, zone = found.groups()
    if not is_date(int(year), int(month), int(day)):
        return False
    if between is None:
        return True
    return (between == " ") == (zone is None) and is_time(int(hour), int(minute), int(second))
