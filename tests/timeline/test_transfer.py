"""When a line was full."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import MS, START, S, burst, connection
from kubelag.model.network import Burst, Connection
from kubelag.timeline.transfer import transfers


def steady(step_ms: int, count: int, size: int, begin_ms: int = 10) -> tuple[Burst, ...]:
    """A segment at an even pace."""
    return tuple(burst("server", (begin_ms + n * step_ms) * MS, size) for n in range(count))


def receiving(*bursts: Burst, took_ns: int = 10 * S) -> Connection:
    return connection(0, took_ns, bursts=bursts)


def test_a_narrow_line_is_full_while_it_delivers() -> None:
    found = transfers(receiving(burst("client", 0), *steady(12, 250, 1448)))
    assert len(found) == 1
    assert found[0].end_ns - found[0].start_ns == pytest.approx(3 * S, rel=0.05)
    assert found[0].bits_per_s == pytest.approx(1448 * 8 / 0.012, rel=0.1)


def test_a_quick_line_is_never_full_for_long_enough_to_be_felt() -> None:
    assert transfers(receiving(burst("client", 0), *steady(1, 2000, 60_000))) == ()


def test_answers_that_come_now_and_then_fill_no_line() -> None:
    assert transfers(receiving(burst("client", 0), *steady(300, 20, 20_000))) == ()


def test_what_the_client_sends_fills_no_line_to_it() -> None:
    assert transfers(receiving(*(burst("client", n * 12 * MS, 1448) for n in range(250)))) == ()


def test_pages_that_are_asked_for_one_by_one_fill_no_line() -> None:
    pages = (
        one
        for n in range(60)
        for one in (burst("client", n * 50 * MS), burst("server", (n * 50 + 40) * MS, 3_000))
    )
    assert transfers(receiving(*pages)) == ()


def test_a_full_line_is_not_cut_by_leave_to_send_more() -> None:
    leave = tuple(replace(burst("client", n * 140 * MS, 144), segments=3) for n in range(20))
    told = sorted((*leave, *steady(12, 250, 1448)), key=lambda one: one.start_ns)
    assert len(transfers(receiving(*told))) == 1


def test_what_a_shaper_lets_through_at_first_is_not_what_the_line_carries() -> None:
    first = burst("server", MS, 9_000)
    found = transfers(receiving(first, *steady(12, 250, 1448)))
    assert sum(one.end_ns - one.start_ns for one in found) == pytest.approx(3 * S, rel=0.05)


def test_a_short_answer_over_a_line_known_to_be_narrow_was_held_up_by_it() -> None:
    early = steady(12, 7, 1448)
    found = transfers(receiving(burst("client", 0), *early, *steady(12, 250, 1448, 1_000)))
    assert len(found) == 2
    assert found[0].end_ns - found[0].start_ns == pytest.approx(90 * MS, rel=0.3)


@pytest.mark.parametrize(
    ("risen_ns", "lost", "count"), [(3 * MS, 0, 0), (3 * MS, 5, 1), (200 * MS, 0, 1)]
)
def test_an_even_sender_fills_no_line_unless_packets_queue_or_get_lost(
    risen_ns: int, lost: int, count: int
) -> None:
    even = receiving(burst("client", 0), *steady(12, 250, 1448))
    seen = replace(even, rtt_ns=80 * MS, rtt_smoothed_ns=80 * MS + risen_ns, received_again=lost)
    assert len(transfers(seen)) == count


def test_a_silent_connection_transfers_nothing() -> None:
    assert transfers(receiving()) == ()


@given(st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 5_000)), max_size=60))
def test_transfers_follow_one_another_and_lie_within_the_connection(
    told: list[tuple[int, int]],
) -> None:
    bursts = tuple(burst("server", at_ms * MS, size) for at_ms, size in sorted(told))
    ends = [START]
    for one in transfers(receiving(*bursts)):
        assert ends[-1] <= one.start_ns < one.end_ns <= START + 10 * S
        ends.append(one.end_ns)
