"""The law of the timeline: shares and the unexplained rest are the wall time, exactly."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kubelag.model.attribution import Span
from kubelag.timeline import factors
from kubelag.timeline.attribute import divide
from kubelag.timeline.sampled import Amount

END_NS = 10_000

_FACTORS = st.sampled_from(
    [
        factors.CACHE_FSYNC,
        factors.CACHE_FILES,
        factors.DISCOVERY,
        factors.TARGET,
        factors.TRANSFER,
        factors.WRAPPER,
    ]
)
_SAMPLED = st.sampled_from(
    [factors.CPU_THROTTLED, factors.MEMORY_STALL, factors.RUN_QUEUE, factors.CLIENT_CPU]
)


@st.composite
def spans(draw: st.DrawFn) -> list[Span]:
    found = []
    for _ in range(draw(st.integers(0, 25))):
        start = draw(st.integers(0, END_NS - 1))
        end = draw(st.integers(start + 1, END_NS))
        found.append(Span(factor=draw(_FACTORS), start_ns=start, end_ns=end))
    return found


@st.composite
def amounts(draw: st.DrawFn) -> list[Amount]:
    found = []
    for _ in range(draw(st.integers(0, 12))):
        start = draw(st.integers(-500, END_NS + 400))
        end = draw(st.integers(start + 1, END_NS + 500))
        amount = draw(st.integers(1, end - start))
        found.append(Amount(factor=draw(_SAMPLED), start_ns=start, end_ns=end, amount_ns=amount))
    return found


@given(spans(), amounts())
def test_shares_and_the_rest_add_up_to_the_wall_time(
    spans: list[Span], amounts: list[Amount]
) -> None:
    result = divide(spans, amounts, 0, END_NS)
    assert sum(share.critical_ns for share in result.shares) + result.unexplained_ns == END_NS
    assert result.unexplained_ns >= 0


@given(spans(), amounts())
def test_exclusive_is_at_most_critical_is_at_most_union(
    spans: list[Span], amounts: list[Amount]
) -> None:
    for share in divide(spans, amounts, 0, END_NS).shares:
        assert 0 <= share.exclusive_ns <= share.critical_ns <= share.union_ns


@given(spans())
def test_the_critical_path_never_overlaps_itself(spans: list[Span]) -> None:
    path = divide(spans, [], 0, END_NS).path
    assert all(a.end_ns <= b.start_ns for a, b in pairwise(path))


def span(factor: str, start: int, end: int) -> Span:
    return Span(factor=factor, start_ns=start, end_ns=end)


def test_the_holder_of_a_lock_is_blamed_and_not_its_many_waiters() -> None:
    """Requests end early; the syncs that follow one another hold everything up."""
    requests = [span(factors.DISCOVERY, 0, 100) for _ in range(20)]
    syncs = [span(factors.CACHE_FSYNC, 100 + 50 * i, 150 + 50 * i) for i in range(20)]
    result = divide([*requests, *syncs], [], 0, 1_100)
    assert result.share(factors.CACHE_FSYNC).critical_ns == 1_000
    assert result.share(factors.DISCOVERY).critical_ns == 100


def test_syncs_that_hide_behind_slow_requests_are_not_blamed() -> None:
    """One early sync while other answers are still on their way costs nothing."""
    slow = [span(factors.DISCOVERY, 0, 1_000) for _ in range(3)]
    result = divide([*slow, span(factors.CACHE_FSYNC, 100, 200)], [], 0, 1_000)
    share = result.share(factors.CACHE_FSYNC)
    assert share.exclusive_ns == 0
    assert share.union_ns == 100
    assert result.share(factors.DISCOVERY).critical_ns >= 900


def test_an_overlap_that_the_log_cannot_resolve_is_shared_out() -> None:
    result = divide(
        [span(factors.DISCOVERY, 0, 1_000), span(factors.CACHE_FSYNC, 400, 600)], [], 0, 1_000
    )
    assert result.share(factors.CACHE_FSYNC).critical_ns == 100
    assert result.share(factors.DISCOVERY).critical_ns == 900


def test_computing_fills_only_what_nothing_else_explains() -> None:
    cpu = Amount(factor=factors.CLIENT_CPU, start_ns=0, end_ns=1_000, amount_ns=700)
    result = divide([span(factors.TARGET, 0, 600)], [cpu], 0, 1_000)
    assert result.share(factors.CLIENT_CPU).critical_ns == 400
    assert result.share(factors.CLIENT_CPU).union_ns == 700
    assert result.unexplained_ns == 0


def test_being_stopped_by_a_quota_outranks_a_request_in_flight() -> None:
    stopped = Amount(factor=factors.CPU_THROTTLED, start_ns=0, end_ns=1_000, amount_ns=800)
    result = divide([span(factors.TARGET, 0, 1_000)], [stopped], 0, 1_000)
    assert result.share(factors.CPU_THROTTLED).critical_ns == 800
    assert result.share(factors.CPU_THROTTLED).exclusive_ns == 0
    assert result.share(factors.TARGET).critical_ns == 200


def test_a_client_that_queues_makes_no_packet_late() -> None:
    """Threads that take turns on few processors while a full line delivers cost nothing."""
    queued = Amount(factor=factors.RUN_QUEUE, start_ns=0, end_ns=1_000, amount_ns=800)
    on_wire = [span(factors.TRANSFER, 0, 900), span(factors.TARGET, 900, 950)]
    result = divide(on_wire, [queued], 0, 1_000)
    assert result.share(factors.TRANSFER).critical_ns == 900
    assert result.share(factors.RUN_QUEUE).critical_ns == 100


def test_a_run_without_events_is_wholly_unexplained() -> None:
    result = divide([], [], 0, 500)
    assert result.unexplained_ns == 500
    assert result.shares == ()
