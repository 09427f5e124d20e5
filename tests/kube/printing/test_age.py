"""Durations in kubectl's words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.kube.printing.age import age, human_duration

DAY_S = 86400
RECORDED = [
    (-10, "<invalid>"), (-1, "0s"), (0, "0s"), (30, "30s"), (119, "119s"), (120, "2m"),
    (125, "2m5s"), (599, "9m59s"), (600, "10m"), (10799, "179m"), (10800, "3h"), (26420, "7h20m"),
    (28800, "8h"), (172799, "47h"), (172800, "2d"), (176400, "2d1h"), (8 * DAY_S - 1, "7d23h"),
    (8 * DAY_S, "8d"), (729 * DAY_S, "729d"), (730 * DAY_S, "2y"), (800 * DAY_S, "2y70d"),
    (2920 * DAY_S, "8y"),
    (2921 * DAY_S, "8y"), (7300 * DAY_S, "20y"),
]  # fmt: skip


@pytest.mark.parametrize(("seconds", "text"), RECORDED)
def test_a_duration_reads_as_in_kubectl(seconds: int, text: str) -> None:
    assert human_duration(seconds) == text


@pytest.mark.parametrize(
    ("timestamp", "text"),
    [
        ("2024-05-06T07:08:09Z", "100s"),
        ("2024-05-06T07:08:09.5Z", "99s"),
        ("2024-05-06T09:08:09+02:00", "100s"),
        ("2024-05-06T05:38:09-01:30", "100s"),
        ("1969-12-31T23:59:59Z", "54y"),
        ("2024-02-29T07:08:09Z", "67d"),
        ("2023-02-29T07:08:09Z", "<unknown>"),
        ("2024-13-01T07:08:09Z", "<unknown>"),
        ("2024-05-06T24:00:00Z", "<unknown>"),
        ("2024-05-06 07:08:09", "<unknown>"),
        ("yesterday", "<unknown>"),
        ("", "<unknown>"),
        (None, "<unknown>"),
        (5, "<unknown>"),
    ],
)
def test_an_age_is_counted_from_a_timestamp(timestamp: object, text: str) -> None:
    assert age(timestamp, now_s=1714979289 + 100) == text


@given(st.text(alphabet="0123456789-T:Z+."))
def test_no_timestamp_is_too_odd(timestamp: str) -> None:
    assert age(timestamp, now_s=0.0)


@given(st.floats(-1e12, 1e12))
def test_a_duration_has_at_most_two_units(seconds: float) -> None:
    text = human_duration(seconds)
    assert text == "<invalid>" or sum(map(str.isalpha, text)) in (1, 2)
