"""Walking back from the end: a chain that never overlaps, and a fair division between."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kubelag.model.attribution import Span
from kubelag.timeline.critical_path import segments, walk_back
from kubelag.timeline.factors import CACHE_FSYNC, CLIENT_CPU, DISCOVERY, TARGET

END = 100


def span(factor: str, start: int, end: int) -> Span:
    return Span(factor=factor, start_ns=start, end_ns=end, what="")


def blame(*spans: Span, end: int = END) -> list[tuple[int, int, tuple[str, ...]]]:
    pieces = segments(spans, walk_back(spans, end), 0, end)
    return [(piece.start_ns, piece.end_ns, piece.blamed) for piece in pieces]


def test_the_chain_goes_back_along_what_finished_last() -> None:
    first, early, late = span("a", 0, 30), span("b", 20, 50), span("c", 35, 90)
    assert walk_back((late, first, early), END) == (first, late)


def test_of_two_that_end_together_the_longer_is_the_one_that_was_waited_for() -> None:
    short, long = span("a", 40, 50), span("b", 10, 50)
    assert walk_back((short, long), END) == (long,)


def test_what_ends_after_the_end_or_takes_no_time_is_not_on_the_path() -> None:
    assert walk_back((span("a", 50, 101), span("b", 20, 20)), END) == ()


def test_the_end_of_an_empty_run_is_nobodys_fault() -> None:
    assert blame() == [(0, END, ())]


def test_a_stretch_that_the_path_jumps_over_is_shared_by_whatever_was_active() -> None:
    assert blame(span("a", 0, 60), span("b", 50, 80)) == [
        (0, 50, ("a",)),
        (50, 60, ("b",)),
        (60, 80, ("b",)),
        (80, END, ()),
    ]


def test_a_request_shares_its_time_with_the_cache_lock_that_it_may_wait_for() -> None:
    assert blame(span(DISCOVERY, 0, 80), span(CACHE_FSYNC, 20, 40)) == [
        (0, 20, (DISCOVERY,)),
        (20, 40, (DISCOVERY, CACHE_FSYNC)),
        (40, 80, (DISCOVERY,)),
        (80, END, ()),
    ]


def test_a_request_shares_its_time_with_nothing_else() -> None:
    assert blame(span(TARGET, 0, 80), span(CLIENT_CPU, 20, 40))[1] == (20, 40, (TARGET,))


def test_who_holds_the_lock_shares_nothing_with_who_waits() -> None:
    assert blame(span(CACHE_FSYNC, 20, 80), span(DISCOVERY, 30, 40))[2] == (30, 40, (CACHE_FSYNC,))


_FACTORS = st.sampled_from([CACHE_FSYNC, DISCOVERY, TARGET, CLIENT_CPU, "other"])
_SPANS = st.lists(
    st.builds(
        lambda factor, start, length: span(factor, start, min(END, start + length)),
        _FACTORS,
        st.integers(0, END),
        st.integers(0, END),
    )
)


@given(_SPANS)
def test_the_path_never_overlaps_itself(spans: list[Span]) -> None:
    path = walk_back(spans, END)
    assert all(one.end_ns <= other.start_ns for one, other in pairwise(path))


@given(_SPANS)
def test_the_segments_are_the_run_without_gap_or_overlap(spans: list[Span]) -> None:
    pieces = list(segments(spans, walk_back(spans, END), 0, END))
    assert sum(piece.length_ns for piece in pieces) == END
    edges = [0, *(piece.end_ns for piece in pieces)]
    assert [piece.start_ns for piece in pieces] == edges[:-1]


@given(_SPANS)
def test_only_who_was_active_is_blamed_and_somebody_is_where_anybody_was(
    spans: list[Span],
) -> None:
    for piece in segments(spans, walk_back(spans, END), 0, END):
        assert set(piece.blamed) <= piece.active
        assert bool(piece.blamed) == bool(piece.active)
        assert len(set(piece.blamed)) == len(piece.blamed)
