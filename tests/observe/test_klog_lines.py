"""Headers, times and fields of a client's debug log."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.observe.klog_lines import (
    could_be_header,
    duration_ns,
    epoch_ns,
    fields,
    read_line,
    title,
)

SECOND_NS = 1_000_000_000


def ns(moment: datetime) -> int:
    return int(moment.timestamp()) * SECOND_NS + moment.microsecond * 1000


def test_a_header_is_taken_apart() -> None:
    line = read_line("I0228 10:00:01.000002   12345 round_trippers.go:445] GET / 200 OK")
    assert line is not None
    assert line.level == "I"
    assert line.stamp == (2, 28, 10, 0, 1, 2)
    assert line.file == "round_trippers.go"
    assert line.message == "GET / 200 OK"


@pytest.mark.parametrize(
    "text", ["", "I0228", "Information", "I0228 10:00:01.000002 abc x.go:1] a", "error: no"]
)
def test_what_has_no_header_is_no_log_line(text: str) -> None:
    assert read_line(text) is None


def test_a_stamp_is_local_time_of_the_client() -> None:
    zone = timezone(timedelta(hours=5, minutes=30))
    near = ns(datetime(2026, 11, 23, 6, 40, tzinfo=UTC))
    found = epoch_ns((11, 23, 12, 10, 25, 436672), near, zone)
    assert found == ns(datetime(2026, 11, 23, 6, 40, 25, 436672, tzinfo=UTC))


@pytest.mark.parametrize(
    ("stamp", "year"), [((12, 31, 23, 59, 59, 0), 2026), ((1, 1, 0, 0, 1, 0), 2027)]
)
def test_the_year_is_found_on_both_sides_of_new_year(
    stamp: tuple[int, int, int, int, int, int], year: int
) -> None:
    for near in (datetime(2026, 12, 31, 23, 59, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)):
        found = epoch_ns(stamp, ns(near), UTC)
        assert found == ns(datetime(year, *stamp, tzinfo=UTC))


def test_the_hour_that_comes_twice_is_told_by_the_start_of_the_run() -> None:
    zone = ZoneInfo("Europe/Berlin")
    stamp = (10, 25, 2, 30, 0, 0)
    for utc_hour in (0, 1):
        near = ns(datetime(2026, 10, 25, utc_hour, 29, tzinfo=UTC))
        found = epoch_ns(stamp, near, zone)
        assert found == ns(datetime(2026, 10, 25, utc_hour, 30, tzinfo=UTC))


def test_the_29th_of_february_is_found_in_its_year() -> None:
    near = ns(datetime(2028, 3, 1, tzinfo=UTC))
    found = epoch_ns((2, 29, 12, 0, 0, 0), near, UTC)
    assert found == ns(datetime(2028, 2, 29, 12, tzinfo=UTC))
    assert epoch_ns((2, 31, 12, 0, 0, 0), near, UTC) is None


@given(
    moment=st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1)),  # noqa: DTZ001 -- made aware below
    offset_s=st.integers(-86400, 86400),
)
def test_a_moment_survives_being_logged(moment: datetime, offset_s: int) -> None:
    aware = moment.replace(tzinfo=UTC)
    stamp = (*aware.timetuple()[1:6], aware.microsecond)
    near = ns(aware + timedelta(seconds=offset_s))
    assert epoch_ns(stamp, near, UTC) == ns(aware)


@pytest.mark.parametrize(
    ("text", "expected_ns"),
    [
        ("1.060s", 1_060_000_000),
        ("141.191454ms", 141_191_454),
        ("500µs", 500_000),
        ("1m2.5s", 62_500_000_000),
        ("1h0m1s", 3_601_000_000_000),
        ("0s", 0),
        ("5", None),
        ("soon", None),
        ("1sx", None),
    ],
)
def test_a_duration_is_read_as_go_prints_it(text: str, expected_ns: int | None) -> None:
    assert duration_ns(text) == expected_ns


def test_a_structured_message_has_a_title_and_fields() -> None:
    message = '"Response" verb="GET" url="http://a/?q=\\"x\\"" status="" milliseconds=53 headers=<'
    assert title(message) == "Response"
    assert fields(message) == {
        "verb": "GET",
        "url": 'http://a/?q="x"',
        "status": "",
        "milliseconds": "53",
    }


@given(st.text(max_size=40))
def test_every_header_begins_like_one(text: str) -> None:
    if read_line(text) is not None:
        assert all(could_be_header(text[:length]) for length in range(len(text)))


@given(st.text(max_size=60))
def test_no_message_crashes_the_readers(text: str) -> None:
    title(text)
    fields(text)
    duration_ns(text)
