"""Samples say how much and not when: amounts, each capped by its interval."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from evidence import MS, host, tree
from kubelag.timeline import factors
from kubelag.timeline.sampled import Amount, amounts_of


def told(found: tuple[Amount, ...]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for amount in found:
        sums[amount.factor] = sums.get(amount.factor, 0) + amount.amount_ns // MS
    return sums


def test_a_quota_stop_is_the_difference_of_the_counter() -> None:
    samples = [host(at * MS, throttled_ns=ns * MS) for at, ns in ((0, 5), (100, 25), (200, 95))]
    assert told(amounts_of(samples, ())) == {factors.CPU_THROTTLED: 90}


def test_more_stopping_than_time_is_all_of_the_time() -> None:
    samples = (host(0, throttled_ns=0), host(100 * MS, throttled_ns=800 * MS))
    assert told(amounts_of(samples, ())) == {factors.CPU_THROTTLED: 100}


def test_where_the_kernel_counts_nothing_nothing_is_said() -> None:
    samples = (
        host(0, throttled_ns=None, psi_memory_some_us=None),
        host(100 * MS, throttled_ns=None, psi_memory_some_us=None),
    )
    assert amounts_of(samples, ()) == ()


STALLED = (host(0), host(100 * MS, psi_memory_some_us=40_000))


def test_the_machines_stall_is_not_ours_where_we_were_not_short_of_memory() -> None:
    assert amounts_of(STALLED, (tree(0), tree(100 * MS))) == ()


def test_the_machines_stall_is_ours_where_our_pages_were_taken() -> None:
    faulting = (tree(0), tree(50 * MS, major_faults=3))
    assert told(amounts_of(STALLED, faulting)) == {factors.MEMORY_STALL: 40}


def test_the_machines_stall_is_ours_where_our_limit_was_hit() -> None:
    hit = (host(0), host(100 * MS, psi_memory_some_us=40_000, memory_limit_hits=1))
    assert told(amounts_of(hit, ())) == {factors.MEMORY_STALL: 40}


def test_faults_at_another_time_do_not_make_a_stall_ours() -> None:
    later = (tree(100 * MS), tree(200 * MS, major_faults=3))
    assert amounts_of(STALLED, later) == ()


def test_computing_and_queueing_are_told_apart() -> None:
    samples = (tree(0), tree(100 * MS, cpu_ns=30 * MS, run_queue_ns=20 * MS))
    assert told(amounts_of((), samples)) == {factors.RUN_QUEUE: 20, factors.CLIENT_CPU: 30}


def test_many_threads_that_queue_cannot_hold_the_run_up_for_longer_than_it_lasts() -> None:
    samples = (tree(0), tree(100 * MS, cpu_ns=100 * MS, run_queue_ns=300 * MS))
    assert told(amounts_of((), samples)) == {factors.RUN_QUEUE: 75, factors.CLIENT_CPU: 100}


def test_two_samples_of_one_moment_are_no_interval() -> None:
    assert amounts_of((), (tree(5 * MS), tree(5 * MS, cpu_ns=MS))) == ()


def test_a_part_of_an_interval_has_its_part_of_the_amount() -> None:
    amount = Amount(factor="f", start_ns=100, end_ns=200, amount_ns=50)
    assert amount.within(100, 150) == 25
    assert amount.within(0, 120) == 10
    assert (amount.within(200, 300), amount.within(0, 100)) == (0, 0)


_GROWTH = st.integers(0, 500 * MS)


@given(st.lists(st.tuples(st.integers(1, 200 * MS), _GROWTH, _GROWTH), min_size=1))
def test_no_amount_is_longer_than_its_interval(steps: list[tuple[int, int, int]]) -> None:
    samples, at_ns, cpu_ns, queued_ns = [tree(0)], 0, 0, 0
    for step_ns, more_cpu_ns, more_queued_ns in steps:
        at_ns, cpu_ns = at_ns + step_ns, cpu_ns + more_cpu_ns
        queued_ns += more_queued_ns
        samples.append(tree(at_ns, cpu_ns=cpu_ns, run_queue_ns=queued_ns))
    found = amounts_of((), samples)
    assert all(0 < one.amount_ns <= one.end_ns - one.start_ns for one in found)
    inside = {(one.at_ns, other.at_ns) for one, other in pairwise(samples)}
    assert {(one.start_ns, one.end_ns) for one in found} <= inside
