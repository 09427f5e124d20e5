"""From doses to the number of round trips that are waited for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import MS
from kubelag.experiments.dose import dose_response

DOSES = (0, 10 * MS, 20 * MS)


@given(
    slope=st.integers(0, 50),
    base_ms=st.lists(st.integers(1, 10_000), min_size=2, max_size=20),
    dose_ms=st.integers(1, 100),
)
def test_a_straight_line_is_found_whatever_else_the_machine_does(
    slope: int, base_ms: list[int], dose_ms: int
) -> None:
    doses = (0, dose_ms * MS, 2 * dose_ms * MS)
    blocks = [[base * MS + slope * dose for dose in doses] for base in base_ms]
    response = dose_response("d", doses, blocks)
    assert response is not None
    assert response.slope == pytest.approx(slope, abs=1e-6)
    assert response.low == pytest.approx(slope, abs=1e-6)
    assert response.high == pytest.approx(slope, abs=1e-6)
    assert abs(response.bend_ns) <= 1
    assert response.blocks == len(base_ms)


def test_what_only_the_largest_dose_adds_is_a_bend() -> None:
    blocks = [[100 * MS, 150 * MS, (700 + noise) * MS] for noise in (0, 2, 1)]
    response = dose_response("d", DOSES, blocks)
    assert response is not None
    assert response.bend_low_ns > 0
    assert response.bend_ns == pytest.approx(501 * MS, abs=2 * MS)


def test_two_blocks_that_differ_leave_the_slope_open() -> None:
    response = dose_response("d", DOSES, [[0, 10 * MS, 20 * MS], [0, 90 * MS, 180 * MS]])
    assert response is not None
    assert response.low < 0 < response.slope < response.high


@pytest.mark.parametrize(
    ("doses", "blocks"), [(DOSES, [[1, 2, 3]]), (DOSES[:2], [[1, 2], [1, 2]]), (DOSES, [])]
)
def test_too_few_doses_or_blocks_are_no_response(
    doses: tuple[int, ...], blocks: list[list[int]]
) -> None:
    assert dose_response("d", doses, blocks) is None
