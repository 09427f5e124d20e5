"""Factors that are sampled, not traced: quota stops, memory stalls, run-queue delay, computing.

A sample says how much, not when, so each is laid evenly over its interval. Being stopped, stalled
or queued holds up everything else, so it is taken from the interval before what was traced;
computing only fills what nothing else explains.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kubelag.model.attribution import Factor
from kubelag.model.evidence import HostSample, TreeSample
from kubelag.timeline import factors


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much of one interval a sampled factor took."""

    factor: Factor
    start_ns: int
    end_ns: int
    amount_ns: int
    """At most the interval's length."""

    def within(self, start_ns: int, end_ns: int) -> int:
        """The part that falls into a cell lying inside the interval, by proportion."""
        overlap = min(end_ns, self.end_ns) - max(start_ns, self.start_ns)
        return 0 if overlap <= 0 else self.amount_ns * overlap // (self.end_ns - self.start_ns)


def amounts_of(host: Sequence[HostSample], tree: Sequence[TreeSample]) -> tuple[Amount, ...]:
    """Everything that the samples say, in no particular order."""
    return (*_throttles(host), *_memory_stalls(host, tree), *_tree_amounts(tree))


def _amount(factor: Factor, start_ns: int, end_ns: int, amount_ns: int) -> Iterator[Amount]:
    capped = min(amount_ns, end_ns - start_ns)
    if capped > 0:
        yield Amount(factor=factor, start_ns=start_ns, end_ns=end_ns, amount_ns=capped)


def _throttles(host: Sequence[HostSample]) -> Iterator[Amount]:
    for a, b in pairwise(host):
        if a.throttled_ns is not None and b.throttled_ns is not None:
            stopped_ns = b.throttled_ns - a.throttled_ns
            yield from _amount(factors.CPU_THROTTLED, a.at_ns, b.at_ns, stopped_ns)


def _memory_stalls(host: Sequence[HostSample], tree: Sequence[TreeSample]) -> Iterator[Amount]:
    """PSI counts the whole machine, so it is ours only while our own tree was short of memory."""
    for a, b in pairwise(host):
        if a.psi_memory_some_us is None or b.psi_memory_some_us is None:
            continue
        if not (_hit_limit(a, b) or _faulted(tree, a.at_ns, b.at_ns)):
            continue
        stalled_ns = (b.psi_memory_some_us - a.psi_memory_some_us) * 1_000
        yield from _amount(factors.MEMORY_STALL, a.at_ns, b.at_ns, stalled_ns)


def _hit_limit(a: HostSample, b: HostSample) -> bool:
    return (b.memory_limit_hits or 0) > (a.memory_limit_hits or 0)


def _faulted(tree: Sequence[TreeSample], start_ns: int, end_ns: int) -> bool:
    return any(
        y.major_faults > x.major_faults
        for x, y in pairwise(tree)
        if x.at_ns < end_ns and y.at_ns > start_ns
    )


def _tree_amounts(tree: Sequence[TreeSample]) -> Iterator[Amount]:
    for a, b in pairwise(tree):
        cpu_ns, queued_ns = b.cpu_ns - a.cpu_ns, b.run_queue_ns - a.run_queue_ns
        length_ns, wanted_ns = b.at_ns - a.at_ns, cpu_ns + queued_ns
        if length_ns <= 0 or wanted_ns <= 0:
            continue
        # Several threads may queue at once; they cannot hold the run up for longer than it lasts.
        fitted_ns = min(wanted_ns, length_ns)
        queued_part_ns = fitted_ns * queued_ns // wanted_ns
        yield from _amount(factors.RUN_QUEUE, a.at_ns, b.at_ns, queued_part_ns)
        yield from _amount(factors.CLIENT_CPU, a.at_ns, b.at_ns, min(cpu_ns, length_ns))
