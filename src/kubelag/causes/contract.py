"""What a cause is given, and the few helpers that all causes share."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol

from kubelag.model.attribution import Attribution, Factor
from kubelag.model.evidence import Evidence, Syscall
from kubelag.model.units import counted, seconds
from kubelag.model.verdict import Judgement
from kubelag.timeline.factors import CPU_THROTTLED, MEMORY_STALL, RUN_QUEUE
from kubelag.timeline.spans import FSYNCS, is_file_call, is_in_cache

# Under this nobody waits: 0.1 s is what people perceive as instant (Nielsen, Usability Engineering,
# 1993); 5 % of the wall time is arbitrary.
NOTABLE_NS = 100_000_000
NOTABLE_RATIO = 0.05
# Above this share of unexplained time "cause incomplete" is said (design, arbitrary).
UNEXPLAINED_RATIO = 0.20
# A client that is held up this much of the time makes every call and request seem long; the ratio
# is that of every verdict (design, arbitrary).
HELD_UP_RATIO = 0.20


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One observed run with its division of the wall time."""

    evidence: Evidence
    attribution: Attribution

    @property
    def client(self) -> str:
        """For example `kubectl 1.20.2`."""
        client = self.evidence.client
        name = client.kind if client.kind != "unknown" else client.name
        return f"{name} {client.version}" if client.version else name

    @property
    def cache_name(self) -> str:
        """How the cache is called to the reader; a private one's name would tell nothing."""
        cache = self.evidence.cache
        return cache.root if cache and not self.evidence.cold else "its cache"

    @property
    def is_incomplete(self) -> bool:
        """Whether too much of the wall time has no explanation."""
        return self.attribution.unexplained_ns > UNEXPLAINED_RATIO * self.attribution.wall_ns

    def is_notable(self, spent_ns: int) -> bool:
        """Whether that much time is worth a word."""
        return spent_ns >= max(NOTABLE_NS, NOTABLE_RATIO * self.attribution.wall_ns)

    def is_waited_for(self, *factors: Factor) -> bool:
        """Whether the factors' part of the critical path is worth a word."""
        return self.is_notable(self.critical_ns(*factors))

    @property
    def held_up_ns(self) -> int:
        """How long the client itself was stopped, stalled or queued: its calls seem long then."""
        return self.union_ns(CPU_THROTTLED, MEMORY_STALL, RUN_QUEUE)

    @property
    def is_held_up(self) -> bool:
        """Whether durations say more about the held-up client than about what it waited for."""
        return self.held_up_ns > HELD_UP_RATIO * self.attribution.wall_ns

    def exclusive_ns(self, *factors: Factor) -> int:
        """The least that removing the factors should save."""
        return sum(self.attribution.share(factor).exclusive_ns for factor in factors)

    def critical_ns(self, *factors: Factor) -> int:
        """The factors' part of the critical path."""
        return sum(self.attribution.share(factor).critical_ns for factor in factors)

    def union_ns(self, *factors: Factor) -> int:
        """The most that removing the factors can save."""
        whole_ns = sum(self.attribution.share(factor).union_ns for factor in factors)
        return min(whole_ns, self.attribution.wall_ns)


def unplaced(case: Case, *, syncs: bool) -> list[Syscall]:
    """File calls whose file is not known: a tracefs observer knows it of slow calls only."""
    return [
        call
        for call in case.evidence.syscalls
        if call.path is None and is_file_call(call) and (call.name in FSYNCS) == syncs
    ]


def cache_calls(case: Case, *, syncs: bool) -> list[Syscall]:
    """Calls on the client's cache files: its syncs, or all others."""
    evidence = case.evidence
    return [
        call
        for call in evidence.syscalls
        if (call.name in FSYNCS) == syncs and is_in_cache(call.path, evidence.cache)
    ]


def spent_in(calls: Iterable[Syscall]) -> int:
    """The calls' durations, summed."""
    return sum(call.end_ns - call.start_ns for call in calls)


class Cause(Protocol):
    """One file in this package; its module docstring is its page in the manual."""

    id: str
    title: str
    """The trouble in a few words, for lists."""

    def judge(self, case: Case) -> Judgement:
        """An opinion; pure."""


def median_ns(values: Iterable[int]) -> int:
    """The median, zero of nothing."""
    known = sorted(values)
    return round(median(known)) if known else 0


def could_not_look(case: Case, observers: Sequence[str]) -> tuple[str, ...]:
    """Why each of the observers did not look; empty where all of them did."""
    reasons = []
    for name in observers:
        look = case.evidence.look(name)
        if look is None:
            reasons.append(f"{name}: not asked")
        elif look.state != "looked":
            reasons.append(f"{name}: {look.how}")
    return tuple(reasons)


def calls_unseen(case: Case, name: str) -> tuple[str, ...]:
    """Why calls of that name were neither recorded nor sampled; empty where they were either."""
    if is_recorded(case, name) or case.evidence.has_looked("calls_in_flight"):
        return ()
    if case.evidence.has_looked("syscalls"):
        left_out = f"syscalls: {name} was not among what was recorded"
        return (left_out, *could_not_look(case, ["calls_in_flight"]))
    return could_not_look(case, ["syscalls", "calls_in_flight"])


def is_recorded(case: Case, name: str) -> bool:
    """Whether every call of that name was written down, rather than seen by chance."""
    look = case.evidence.look("syscalls")
    return look is not None and look.state == "looked" and name in look.recorded


def is_sampled(calls: Iterable[Syscall]) -> bool:
    """Whether some were only seen in flight: calls that follow one another may count as one."""
    return any(call.is_sampled for call in calls)


def seen_by(calls: Iterable[Syscall]) -> str:
    """The observer that a statement on these calls rests on."""
    return "calls_in_flight" if is_sampled(calls) else "syscalls"


def tally(calls: Collection[Syscall], noun: str) -> str:
    """`157 syncs`; without a number where it is not known."""
    return f"{noun}s" if is_sampled(calls) else counted(len(calls), noun)


def lost_syscalls(case: Case) -> tuple[str, ...]:
    """That records are missing, where they are: nothing is ruled out by what was lost."""
    look = case.evidence.look("syscalls")
    return (f"syscalls: {look.lost:,} records were lost",) if look and look.lost else ()


def hidden(case: Case, cause: str, what: str, factor: Factor) -> Judgement:
    """A judgement on time that was spent without anything waiting for it.

    Innocent, unless the client itself was held up: then its durations mean nothing.
    """
    if case.is_held_up:
        missing = (f"process_tree: the client itself was held up for {seconds(case.held_up_ns)}",)
        return unknown(cause, f"{what}, while the client itself was held up", missing)
    return Judgement(
        cause=cause,
        standing="ruled_out",
        sentence=f"{what}, and the command did not wait for it",
        factors=(factor,),
    )


def innocent(cause: str, sentence: str, *factors: Factor) -> Judgement:
    """A judgement that it was looked at and costs next to nothing; the sentence has the figure."""
    return Judgement(cause=cause, standing="ruled_out", sentence=sentence, factors=factors)


def unknown(cause: str, what: str, missing: tuple[str, ...]) -> Judgement:
    """A judgement that nothing can be said, and what was missing for it."""
    return Judgement(cause=cause, standing="unknown", sentence=what, missing=missing)
