"""The wheel of the round robin: turned until the wanted one is next, never into a retry."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.lab.ha.turning import NO_RETRY_S, is_to_turn

NAMES = ("master1", "master2", "master3")


@given(turns=st.integers(0, 1000), wanted=st.sampled_from(NAMES))
def test_left_alone_it_stands_before_the_wanted_one_after_two_turns_at_most(
    turns: int, wanted: str
) -> None:
    start = turns
    while is_to_turn(NAMES, wanted, turns, idle_s=2 * NO_RETRY_S):
        turns += 1
    assert turns - start <= 2
    assert NAMES[turns % 3] == wanted


@pytest.mark.parametrize(("turns", "expected"), [(0, True), (1, False), (2, False), (3, True)])
def test_what_the_wanted_one_spoilt_may_be_tried_again_elsewhere(
    turns: int, expected: bool
) -> None:
    assert is_to_turn(NAMES, "master2", turns, idle_s=0.5) == expected
