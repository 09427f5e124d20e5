"""One line of a Kubernetes client's debug log: its header, its time, its fields. Pure.

Header: `I0228 10:00:00.000000   12345 file.go:NNN] message`, in local time and without a year.
From client-go 1.33 on, messages are structured: `"Response" verb="GET" milliseconds=53`.
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

_HEADER = re.compile(
    r"([IWEF])(\d\d)(\d\d) (\d\d):(\d\d):(\d\d)\.(\d{6}) +\d+ ([\w.-]+\.\w+):\d+\] ?", re.ASCII
)
# What the first characters of a header look like, to tell early that a line is none.
_HEADER_SHAPE = "L#### ##:##:##.######"
# Bounded and anchored, so that a long word in a body costs no more than its length.
_FIELD = re.compile(r'(?<!\w)(\w{1,64})=("(?:[^"\\]|\\.)*"|<$|[^\s"]+)')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|μs|ms|s|m|h)")
_UNIT_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LogLine(NamedTuple):
    """A line that has a header."""

    level: str
    """`I`, `W`, `E` or `F`."""
    stamp: tuple[int, int, int, int, int, int]
    """Month, day, hour, minute, second, microsecond, local time."""
    file: str
    """Source file that logged it, for example `round_trippers.go`."""
    message: str


def read_line(text: str) -> LogLine | None:
    """The line taken apart, None where it has no header."""
    found = _HEADER.match(text)
    if found is None:
        return None
    month, day, hour, minute, second, micro = (int(found[group]) for group in range(2, 8))
    return LogLine(
        found[1], (month, day, hour, minute, second, micro), found[8], text[found.end() :]
    )


def could_be_header(beginning: str) -> bool:
    """Whether a line that begins like this may still turn out to have a header."""
    return all(
        char in "IWEF" if shape == "L" else char.isdigit() if shape == "#" else char == shape
        for char, shape in zip(beginning, _HEADER_SHAPE, strict=False)
    )


def epoch_ns(
    stamp: tuple[int, int, int, int, int, int], near_ns: int, zone: tzinfo | None
) -> int | None:
    """The moment that a stamp means, which has neither year nor zone.

    Of the years around `near_ns`, and of the two readings in the hour when clocks are put back,
    the one nearest to it is taken.

    Args:
        stamp: Local time from the header.
        near_ns: A moment that is close, for example the line before.
        zone: The client's zone; the machine's own where None.

    Returns:
        Nanoseconds since the epoch, None where there is no such date.
    """
    year = (_EPOCH + timedelta(microseconds=near_ns // 1000)).year
    found: list[int] = []
    for candidate in (year - 1, year, year + 1):
        for fold in (0, 1):
            try:
                naive = datetime(candidate, *stamp, fold=fold)  # noqa: DTZ001 -- the zone comes next
                local = naive.replace(tzinfo=zone) if zone else naive.astimezone()
                found.append((local - _EPOCH) // timedelta(microseconds=1) * 1000)
            except (ValueError, OverflowError):
                continue
    return min(found, key=lambda moment: abs(moment - near_ns), default=None)


def duration_ns(text: str) -> int | None:
    """A duration as Go prints it (`1m2.5s`, `141.191454ms`), None where it is none."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(round(float(number) * _UNIT_NS[unit]) for number, unit in parts)


def title(message: str) -> str | None:
    """What a structured message is called (`Response`), None where it is not structured."""
    found = _QUOTED.match(message)
    return unquoted(found[0]) if found else None


def fields(message: str) -> dict[str, str]:
    """Keys and values of a structured message; a value that goes on below is left out."""
    found = _QUOTED.match(message)
    rest = message[found.end() :] if found else message
    pairs = (pair for pair in _FIELD.findall(rest) if pair[1] != "<")
    return {key: unquoted(value) for key, value in pairs}


def unquoted(value: str) -> str:
    """The text of a quoted value, and any other value as it is."""
    if not value.startswith('"'):
        return value
    return _ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[1]), value[1:-1])


def goes_on_below(message: str) -> bool:
    """Whether a structured value continues on the next lines (`headers=<`)."""
    return message.endswith("=<")
