import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.model import units


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (10.214, "10.2 s"),
        (9.874, "9.87 s"),
        (1.0, "1.00 s"),
        (0.9996, "1.00 s"),
        (0.9994, "999 ms"),
        (0.2041, "204 ms"),
        (0.0573, "57.3 ms"),
        (0.00999, "9.99 ms"),
        (0.009996, "10.0 ms"),
        (0.00042, "0.42 ms"),
        (0.0, "0 ms"),
        (-0.004, "-4.00 ms"),
        (1234.5, "1234 s"),
        (math.nan, "0 ms"),
    ],
)
def test_a_duration_has_three_digits_and_milliseconds_only_below_a_second(
    seconds: float, text: str
) -> None:
    assert units.duration(seconds) == text


def test_aligned_durations_of_both_units_end_in_the_same_column() -> None:
    assert {len(units.aligned(s)) for s in (9.87, 0.0573)} == {len("9.87 s ")} | {len("57.3 ms")}
    assert units.aligned(9.87).endswith("s ")


@pytest.mark.parametrize(
    ("low_s", "high_s", "text"),
    [
        (9.412, 9.874, "9.41–9.87 s"),  # noqa: RUF001 - an en dash means a range
        (0.061, 0.466, "61–466 ms"),  # noqa: RUF001 - the same
        (-0.112, 0.11, "-112 to 110 ms"),
        (-0.0001, 10.2, "0.0–10.2 s"),  # noqa: RUF001 - the same
        (2.0881, 2.0882, "2.09 s"),
        (0.0, 0.0, "0 ms"),
    ],
)
def test_an_interval_shares_one_unit(low_s: float, high_s: float, text: str) -> None:
    assert units.interval(low_s, high_s) == text


def test_a_figure_beside_another_is_written_like_it() -> None:
    assert units.beside(0.204, 10.2) == "0.2 s"


def test_a_figure_too_small_for_the_other_one_s_decimals_keeps_its_own_unit() -> None:
    assert units.beside(0.004, 10.2) == "4.00 ms"


def test_a_count_agrees_with_its_noun() -> None:
    assert units.counted(1, "event") == "1 event"
    assert units.counted(1243, "event") == "1,243 events"


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=12))
def test_percentages_add_up_to_a_hundred_as_written(weights: list[int]) -> None:
    whole = sum(weights) or 1
    shares = [weight / whole for weight in weights]
    written = [round(float(text.removesuffix(" %")) * 10) for text in units.percentages(shares)]
    assert sum(written) == (1000 if sum(weights) else 0)


def test_a_share_of_no_time_at_all_is_nothing() -> None:
    assert units.percentages([math.nan, math.inf]) == ("0.0 %", "0.0 %")
