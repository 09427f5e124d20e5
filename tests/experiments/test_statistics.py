"""Paired estimates: honest with few pairs, settled with large effects."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.experiments.statistics import is_settled, paired, pairs_needed

S = 1_000_000_000


def test_one_pair_gives_no_estimate() -> None:
    assert paired([10 * S], [1 * S]) is None


def test_three_pairs_of_a_large_effect_are_settled() -> None:
    unchanged = [10 * S, 10 * S + 50_000_000, 10 * S - 80_000_000]
    treated = [1 * S, 1 * S + 20_000_000, 1 * S - 10_000_000]
    estimate = paired(unchanged, treated)
    assert estimate is not None
    assert estimate.low_ns > 8 * S
    assert is_settled(estimate, 10 * S)


def test_three_noisy_pairs_are_not_settled_and_their_interval_is_wider_than_their_range() -> None:
    unchanged, treated = [10 * S, 14 * S, 9 * S], [4 * S, 2 * S, 8 * S]
    estimate = paired(unchanged, treated)
    assert estimate is not None
    assert estimate.low_ns < 1 * S < 12 * S < estimate.high_ns
    assert not is_settled(estimate, 10 * S)


def test_a_small_effect_is_not_settled_before_five_pairs() -> None:
    unchanged, treated = [10 * S] * 4, [9 * S] * 4
    assert not is_settled(paired(unchanged, treated), 10 * S)
    assert is_settled(paired([*unchanged, 10 * S], [*treated, 9 * S]), 10 * S)


def test_no_difference_settles_around_zero() -> None:
    runs = [10 * S + (i % 3) * 10_000_000 for i in range(6)]
    estimate = paired(runs, list(reversed(runs)))
    assert estimate is not None
    assert estimate.low_ns <= 0 <= estimate.high_ns


def test_the_same_timings_always_give_the_same_interval() -> None:
    unchanged, treated = [5, 7, 9, 8, 6, 7], [1, 2, 3, 4, 2, 1]
    assert paired(unchanged, treated) == paired(unchanged, treated)


@given(st.lists(st.tuples(st.integers(1, 10**11), st.integers(1, 10**11)), min_size=2, max_size=20))
def test_the_estimate_lies_in_its_interval(pairs: list[tuple[int, int]]) -> None:
    estimate = paired([a for a, _ in pairs], [b for _, b in pairs])
    assert estimate is not None
    assert estimate.low_ns <= estimate.saving_ns <= estimate.high_ns


@pytest.mark.parametrize(("spread", "least"), [(1, 5), (20, 100)])
def test_more_noise_needs_more_pairs(spread: int, least: int) -> None:
    unchanged = [100 + spread * (-1) ** i for i in range(10)]
    treated = [97] * 10
    needed = pairs_needed(unchanged, treated)
    assert needed is not None
    assert needed >= least
