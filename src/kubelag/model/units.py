"""Figures with their units: milliseconds below one second, seconds above, three digits."""

import math
from collections.abc import Sequence
from typing import NamedTuple


class Scale(NamedTuple):
    """How a figure is written, so that several can be written alike."""

    unit: str
    per_s: float
    """Units in one second."""
    decimals: int


def scale(seconds: float) -> Scale:
    """The unit and the decimals that show three significant digits of a figure."""
    magnitude_s = _rounded(abs(seconds))
    unit, per_s = ("s", 1.0) if magnitude_s >= 1 else ("ms", 1e3)
    value = magnitude_s * per_s
    if value == 0 or value >= 100:  # noqa: PLR2004 - the third digit stands before the point
        return Scale(unit, per_s, 0)
    return Scale(unit, per_s, 1 if value >= 10 else 2)  # noqa: PLR2004 - the same, second digit


def duration(seconds: float) -> str:
    """One figure with its unit, for example `9.87 s` or `57.3 ms`."""
    return _written(seconds, scale(seconds))


def seconds(ns: float) -> str:
    """Nanoseconds as a figure with its unit, as `duration` writes it."""
    return duration(ns / 1e9)


def aligned(seconds: float) -> str:
    """The same, padded so that right-aligned figures of both units stand in one column."""
    number, unit = duration(seconds).split(" ")
    return f"{number} {unit:<2}"


def beside(seconds: float, reference_s: float) -> str:
    """A figure in the unit and decimals of the one it is compared with, for example `0.2 s`."""
    text = _number(seconds, scale(reference_s))
    if float(text) == 0:
        return duration(seconds)
    return f"{text} {scale(reference_s).unit}"


def interval(low_s: float, high_s: float) -> str:
    """Two figures in the unit of the larger, for example `-12.0 to 9.1 ms`; one if equal."""
    common = scale(max(low_s, high_s, key=abs))
    low, high = _number(low_s, common), _number(high_s, common)
    if low == high:
        return f"{low} {common.unit}"
    joint = " to " if low.startswith("-") else "–"  # noqa: RUF001 - an en dash means a range
    return f"{low}{joint}{high} {common.unit}"


def percent(ratio: float) -> str:
    """A ratio as a whole percentage."""
    return f"{_finite(ratio) * 100:.0f} %"


def share_of(part: float, whole: float) -> str:
    """A part as a whole percentage; a dash where there is no whole."""
    return percent(part / whole) if whole else "-"


def percentages(ratios: Sequence[float]) -> tuple[str, ...]:
    """Ratios as percentages with one decimal that add up as written (largest remainder)."""
    permille = [_finite(ratio) * 1000 for ratio in ratios]
    floors = [math.floor(value) for value in permille]
    short = round(sum(permille)) - sum(floors)
    by_remainder = sorted(range(len(floors)), key=lambda at: floors[at] - permille[at])
    for at in by_remainder[:short]:
        floors[at] += 1
    return tuple(f"{value / 10:.1f} %" for value in floors)


def counted(number: int, singular: str, plural: str = "") -> str:
    """A count with its noun: `1 event`, `1,243 events`."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def _written(seconds: float, how: Scale) -> str:
    return f"{_number(seconds, how)} {how.unit}"


def _number(seconds: float, how: Scale) -> str:
    text = f"{_finite(seconds) * how.per_s:.{how.decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text


def _rounded(value: float) -> float:
    """To three significant digits first, or 0.9996 s would be written as 1000 ms."""
    return float(f"{_finite(value):.3g}")


def _finite(value: float) -> float:
    """A share of a wall time of zero is not a number; nothing is the honest figure for it."""
    return value if math.isfinite(value) else 0.0
