"""Runs all wanted experiments on one command in shared random blocks.

Each block holds every arm once, in random order: the command unchanged, unchanged again (noise),
under a filter that does nothing (placebo), and each treatment. So a drift of the machine hits all
arms alike, and a difference is always taken within one block.
"""

import random
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from kubelag.experiments.contract import Experiment as Kind
from kubelag.experiments.contract import NotApplicableError, Situation, Variant
from kubelag.experiments.scratch import Scratch
from kubelag.experiments.statistics import MAX_PAIRS, is_settled, median_ns, paired
from kubelag.experiments.timing import Timed, run_timed
from kubelag.launch import seccomp
from kubelag.model.experiment import Arm, Estimate, Experiment, Trial

UNCHANGED, AGAIN, PLACEBO = "unchanged", "unchanged_again", "placebo"
INTERRUPTED = "interrupted"
"""What a trial that Ctrl-C ended says of its end."""
CANNOT_RUN = (NotApplicableError, OSError, subprocess.SubprocessError, seccomp.SeccompError)
"""What keeps one run from happening: no place for its cache, no process, no filter."""


class Progress(Protocol):
    """Who is told how the trial goes."""

    def running(self, title: str, block: int, elapsed_s: float) -> None:
        """An arm runs, for that long so far."""

    def found(self, experiment: Kind, estimate: Estimate) -> None:
        """What an experiment has found so far."""


@dataclass(slots=True)
class _Tally:
    """The timings so far, by arm."""

    walls_ns: dict[str, list[int]] = field(default_factory=dict)
    exit_codes: dict[str, list[int]] = field(default_factory=dict)

    def add(self, arm: str, timed: Timed) -> None:
        self.walls_ns.setdefault(arm, []).append(timed.wall_ns)
        self.exit_codes.setdefault(arm, []).append(timed.exit_code)

    def drop_unfinished(self, arms: int) -> None:
        """Forget the last block unless every arm ran in it."""
        full = min((len(walls) for walls in self.walls_ns.values()), default=0)
        blocks = full if len(self.walls_ns) == arms else 0
        for timings in (*self.walls_ns.values(), *self.exit_codes.values()):
            del timings[blocks:]

    def estimate(self, arm: str) -> Estimate | None:
        return paired(self.walls_ns.get(UNCHANGED, ()), self.walls_ns.get(arm, ()))

    def block_s(self) -> float:
        """How long one block takes, from the slowest run of each arm."""
        return sum(max(walls) for walls in self.walls_ns.values() if walls) / 1e9


class TrialRunner:
    """One trial: its arms, its scratch space and its clock.

    Args:
        situation: The observed run and the unchanged command.
        kinds: The experiments wanted; those that do not apply here are reported as such.
        scratch: Where private caches are made.
        progress: Who is told.
        budget_s: No block is begun that would end later than this, but for the first.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        situation: Situation,
        kinds: Sequence[Kind],
        scratch: Scratch,
        progress: Progress,
        *,
        budget_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scratch, self._progress, self._clock = scratch, progress, clock
        self._deadline_s = clock() + budget_s
        self._tally = _Tally()
        self._kinds: dict[str, Kind] = {}
        self._refused: dict[str, str] = {}
        unchanged = situation.unchanged
        self._variants: dict[str, Variant] = {UNCHANGED: unchanged, AGAIN: unchanged}
        self._may_filter = seccomp.probe() is None
        if self._may_filter:
            self._variants[PLACEBO] = unchanged.but(child=unchanged.child.under("placebo"))
        for kind in kinds:
            self._admit(kind, situation)

    def run(self) -> Trial:
        """Run blocks until every experiment is settled, or the budget is spent.

        Ctrl-C ends the trial early, and so does a run that is no longer possible (a full disk):
        the finished blocks count, the unfinished one does not.
        """
        try:
            self._warm_up()
            stopped = self._blocks() if self._kinds else "no experiment applies here"
        except KeyboardInterrupt:
            stopped = INTERRUPTED
        except CANNOT_RUN as why:
            stopped = f"stopped, since a run was no longer possible: {why}"
        self._tally.drop_unfinished(len(self._variants))
        return self._result(stopped)

    def variant(self, name: str) -> Variant:
        """How the named arm runs, for whoever wants to observe it."""
        return self._variants[name]

    def _admit(self, kind: Kind, situation: Situation) -> None:
        try:
            self._variants[kind.id] = kind.vary(situation)
            self._kinds[kind.id] = kind
        except NotApplicableError as why:
            self._refused[kind.id] = str(why)

    def _run_arm(self, variant: Variant, title: str, block: int) -> Timed:
        def tick(elapsed_s: float) -> None:
            self._progress.running(title, block, elapsed_s)

        tick(0.0)
        return run_timed(variant, self._scratch, tick)

    def _warm_up(self) -> None:
        """One discarded run of each treatment (the unchanged command has just been observed)."""
        if any(variant.cache == "warmed" for variant in self._variants.values()):
            unchanged = self._variants[UNCHANGED]
            child = unchanged.child.under("no_sync" if self._may_filter else "none")
            filling = unchanged.but(cache="on_memory", child=child)
            self._run_arm(filling, "filling a cache", 0)
            self._scratch.keep_as_warmed()
        for name, kind in tuple(self._kinds.items()):
            try:
                self._run_arm(self._variants[name], f"warming up: {kind.title}", 0)
            except CANNOT_RUN as why:
                self._refused[name] = str(why)
                del self._kinds[name], self._variants[name]

    def _blocks(self) -> str:
        """Run blocks; returns which rule ended them."""
        order = list(self._variants)
        for block in range(1, MAX_PAIRS + 1):
            if block > 1 and self._clock() + self._tally.block_s() > self._deadline_s:
                return f"the budget was spent after {plural_blocks(block - 1)}"
            random.shuffle(order)
            for name in order:
                timed = self._run_arm(self._variants[name], self._title(name), block)
                self._tally.add(name, timed)
            self._tell()
            if all(self._is_settled(name) for name in self._kinds):
                return f"settled after {plural_blocks(block)}"
        return f"{MAX_PAIRS} blocks were run, which is the most"

    def _title(self, name: str) -> str:
        kind = self._kinds.get(name)
        return kind.title if kind else name.replace("_", " ")

    def _tell(self) -> None:
        for name, kind in self._kinds.items():
            if estimate := self._tally.estimate(name):
                self._progress.found(kind, estimate)

    def _is_settled(self, name: str) -> bool:
        wall_ns = median_ns(self._tally.walls_ns[UNCHANGED])
        return is_settled(self._tally.estimate(name), wall_ns)

    def _result(self, stopped: str) -> Trial:
        refused = (
            Experiment(id=name, outcome="not_applicable", why=why)
            for name, why in self._refused.items()
        )
        tally = self._tally
        return Trial(
            arms=tuple(
                Arm(name=name, walls_ns=tuple(walls), exit_codes=tuple(tally.exit_codes[name]))
                for name, walls in tally.walls_ns.items()
                if walls
            ),
            experiments=(*(self._measured(name) for name in self._kinds), *refused),
            same_against_same=tally.estimate(AGAIN),
            placebo=tally.estimate(PLACEBO),
            stopped=stopped,
        )

    def _measured(self, name: str) -> Experiment:
        shown = self._variants[name].shown
        estimate = self._tally.estimate(name)
        if estimate is None:
            return Experiment(id=name, outcome="out_of_budget", why="too few runs", command=shown)
        codes = self._tally.exit_codes
        ours, theirs = sorted(set(codes[UNCHANGED])), sorted(set(codes[name]))
        if ours != theirs:
            why = f"it ended with exit code {theirs}, the unchanged command with {ours}"
            return Experiment(id=name, outcome="failed", why=why, command=shown)
        return Experiment(id=name, outcome="measured", command=shown, estimate=estimate)


def plural_blocks(count: int) -> str:
    """`1 block`, `3 blocks`."""
    return f"{count} block" if count == 1 else f"{count} blocks"
