"""Runs all wanted experiments on one command in shared random blocks.

Each block holds, in random order, every treatment and one control. The controls take turns: the
command unchanged, unchanged again (their difference is this machine's noise), and under a filter
that filters nothing (placebo). So a slow command runs slowly once a block, a drift of the machine
hits all arms alike, and a difference is always taken within one block. No trial is settled before
every control has had its turn; but where a slow command took as long as when it was observed, that
run is the unchanged one again, and two blocks may settle it.
"""

import random
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kubelag.experiments.contract import Experiment as Kind
from kubelag.experiments.contract import NotApplicableError, Situation, Variant
from kubelag.experiments.scratch import Scratch
from kubelag.experiments.statistics import MAX_PAIRS, is_settled, least_pairs, median_ns, paired
from kubelag.experiments.timing import Timed, run_timed
from kubelag.launch import seccomp
from kubelag.model.experiment import Arm, Estimate, Experiment, Trial
from kubelag.model.units import counted

UNCHANGED, AGAIN, PLACEBO = "unchanged", "unchanged_again", "placebo"
INTERRUPTED = "interrupted"
"""What a trial that Ctrl-C ended says of its end."""
_LEAST_LIMIT_S, _LIMIT_RATIO = 30.0, 5.0
# What takes five times the observed run is another run; both figures are arbitrary, far above the
# spread of any healthy arm.
CANNOT_RUN = (NotApplicableError, OSError, subprocess.SubprocessError, seccomp.SeccompError)
"""What keeps one run from happening: no place for its cache, no process, no filter."""


class Progress(Protocol):
    """Who is told how the trial goes."""

    def running(self, title: str, block: int, elapsed_s: float) -> None:
        """An arm runs, for that long so far."""

    def found(self, experiment: Kind, estimate: Estimate) -> None:
        """What an experiment has found so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """One finished block: its control and every treatment, each run once."""

    control: str
    runs: Mapping[str, Timed]

    @property
    def control_ns(self) -> int:
        return self.runs[self.control].wall_ns

    @property
    def took_s(self) -> float:
        return sum(timed.wall_ns for timed in self.runs.values()) / 1e9


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
        self._done: list[_Block] = []
        self._kinds: dict[str, Kind] = {}
        self._refused: dict[str, str] = {}
        unchanged = situation.unchanged
        self._observed_ns = situation.evidence.run.wall_ns
        self._limit_s = max(_LEAST_LIMIT_S, _LIMIT_RATIO * self._observed_ns / 1e9)
        self._variants: dict[str, Variant] = {UNCHANGED: unchanged, AGAIN: unchanged}
        self._may_filter = seccomp.probe() is None
        if self._may_filter:
            self._variants[PLACEBO] = unchanged.but(child=unchanged.child.under("placebo"))
        self._first_controls = (UNCHANGED, PLACEBO if self._may_filter else AGAIN)
        self._controls = tuple(self._variants)
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
            if elapsed_s > self._limit_s:
                raise NotApplicableError(f"{title}: not at an end after {self._limit_s:.0f} s")
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
        for number, control in zip(range(1, MAX_PAIRS + 1), self._control_order(), strict=False):
            longest_s = max((block.took_s for block in self._done), default=0.0)
            if self._done and self._clock() + longest_s > self._deadline_s:
                return f"the budget was spent after {counted(number - 1, 'block')}"
            self._done.append(self._block(number, control))
            self._tell()
            if number >= self._least() and all(map(self._is_settled, self._kinds)):
                return f"settled after {counted(number, 'block')}"
        return f"{MAX_PAIRS} blocks were run, which is the most"

    def _control_order(self) -> Iterator[str]:
        """Every control once in random order, the unchanged one again last, and so on."""
        first = random.sample(self._first_controls, len(self._first_controls))
        yield from (*first, *(name for name in self._controls if name not in first))
        while True:
            yield from random.sample(self._controls, len(self._controls))

    def _block(self, number: int, control: str) -> _Block:
        order = [control, *self._kinds]
        random.shuffle(order)
        runs = {
            name: self._run_arm(self._variants[name], self._title(name), number) for name in order
        }
        return _Block(control=control, runs=runs)

    def _walls_ns(self, arm: str) -> tuple[int, ...]:
        return tuple(block.runs[arm].wall_ns for block in self._done if arm in block.runs)

    def _estimate(self, kind: str) -> Estimate | None:
        """How much a treatment saved against its block's control, whichever that was."""
        return paired([block.control_ns for block in self._done], self._walls_ns(kind))

    def _against_unchanged(self, arm: str) -> Estimate | None:
        """One control against another: what noise, or the wrapper alone, looks like."""
        return paired(self._walls_ns(UNCHANGED), self._walls_ns(arm))

    def _title(self, name: str) -> str:
        kind = self._kinds.get(name)
        return kind.title if kind else name.replace("_", " ")

    def _tell(self) -> None:
        for name, kind in self._kinds.items():
            if estimate := self._estimate(name):
                self._progress.found(kind, estimate)

    def _is_settled(self, name: str) -> bool:
        return is_settled(self._estimate(name), self._base_ns(), self._least())

    def _base_ns(self) -> int:
        return median_ns([block.control_ns for block in self._done])

    def _least(self) -> int:
        return least_pairs(self._base_ns(), self._observed_ns)

    def _result(self, stopped: str) -> Trial:
        refused = (
            Experiment(id=name, outcome="not_applicable", why=why)
            for name, why in self._refused.items()
        )
        return Trial(
            arms=tuple(self._arm(name) for name in self._variants if self._walls_ns(name)),
            experiments=(*(self._measured(name) for name in self._kinds), *refused),
            same_against_same=self._against_unchanged(AGAIN),
            placebo=self._against_unchanged(PLACEBO),
            stopped=stopped,
        )

    def _arm(self, name: str) -> Arm:
        runs = [block.runs[name] for block in self._done if name in block.runs]
        return Arm(
            name=name,
            walls_ns=tuple(timed.wall_ns for timed in runs),
            exit_codes=tuple(timed.exit_code for timed in runs),
        )

    def _measured(self, name: str) -> Experiment:
        shown = self._variants[name].shown
        estimate = self._estimate(name)
        if estimate is None:
            return Experiment(id=name, outcome="out_of_budget", why="too few runs", command=shown)
        ours = sorted({block.runs[block.control].exit_code for block in self._done})
        theirs = sorted({block.runs[name].exit_code for block in self._done})
        if ours != theirs:
            why = f"it ended with exit code {theirs}, the unchanged command with {ours}"
            return Experiment(id=name, outcome="failed", why=why, command=shown)
        return Experiment(id=name, outcome="measured", command=shown, estimate=estimate)
