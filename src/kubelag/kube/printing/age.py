"""How old an object is, in kubectl's words.

Source: `k8s.io/apimachinery/pkg/util/duration/duration.go` (`HumanDuration`).
"""

import re

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))",
    re.ASCII,
)
_UNKNOWN = "<unknown>"
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400
_YEAR_DAYS = 365
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FEBRUARY = 2


def age(timestamp: object, now_s: float) -> str:
    """How long ago an RFC 3339 time was, seen from `now_s` (since the epoch).

    Whatever is no such time gives `<unknown>`.
    """
    then_s = _seconds(timestamp) if isinstance(timestamp, str) else None
    return _UNKNOWN if then_s is None else human_duration(now_s - then_s)


def human_duration(seconds: float) -> str:
    """A duration in one or two units: `119s`, `2m`, `7h59m`, `3d4h`, `2y10d`."""
    whole = int(seconds)
    if whole < 0:
        return "<invalid>" if whole < -1 else "0s"
    if whole < 2 * _MINUTE_S:
        return f"{whole}s"
    if whole < 3 * _HOUR_S:
        minutes = whole // _MINUTE_S
        return f"{minutes}m{_rest(whole % _MINUTE_S, 's') if minutes < 10 else ''}"  # noqa: PLR2004
    return _long_duration(whole // _HOUR_S, whole // _MINUTE_S % 60)


def _long_duration(hours: int, minutes: int) -> str:
    days = hours // 24
    if hours < 8:  # noqa: PLR2004 - this and the next thresholds are the source's
        return f"{hours}h{_rest(minutes, 'm')}"
    if days < 2:  # noqa: PLR2004
        return f"{hours}h"
    if days < 8:  # noqa: PLR2004
        return f"{days}d{_rest(hours % 24, 'h')}"
    if days < 2 * _YEAR_DAYS:
        return f"{days}d"
    years = days // _YEAR_DAYS
    return f"{years}y{_rest(days % _YEAR_DAYS, 'd') if years < 8 else ''}"  # noqa: PLR2004


def _rest(count: int, unit: str) -> str:
    return f"{count}{unit}" if count else ""


def _seconds(timestamp: str) -> "float | None":
    found = _TIME.fullmatch(timestamp)
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    if not (is_date(year, month, day) and is_time(hour, minute, second)):
        return None
    fraction, sign, off_hours, off_minutes = found.groups()[6:]
    offset_s = (int(off_hours) * 60 + int(off_minutes)) * 60 if sign else 0
    at_s = _days_since_epoch(year, month, day) * _DAY_S + hour * _HOUR_S + minute * 60 + second
    return at_s + float(f"0.{fraction or 0}") + (offset_s if sign == "-" else -offset_s)


def is_date(year: int, month: int, day: int) -> bool:
    """Whether a year has that month, and the month that day."""
    return 0 < month <= len(_DAYS) and 0 < day <= _days_in(year, month)


def is_time(hour: int, minute: int, second: int) -> bool:
    """Whether a day has that second; a leap second is none for Go."""
    return hour < 24 and minute < 60 and second < 60  # noqa: PLR2004 - as everybody knows


def _days_in(year: int, month: int) -> int:
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return _DAYS[month - 1] + (month == _FEBRUARY and is_leap)


def _days_since_epoch(year: int, month: int, day: int) -> int:
    """Of the Gregorian calendar, also before 1970 (`datetime` would cost its import)."""
    before = year - 1
    days = before * 365 + before // 4 - before // 100 + before // 400
    return days + sum(_days_in(year, past) for past in range(1, month)) + day - 719163
