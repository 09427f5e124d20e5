"""Runs all wanted experiments on one command in shared random blocks.

Each block holds, in random order, every treatment and one control. The controls take turns: the
command unchanged, unchanged again (their difference is this machine's noise), and under a filter
that filters nothing (placebo). So a slow command runs slowly once a block, a drift of the machine
hits all arms alike, and a difference is always taken within one block. No trial is settled before
every control has had its turn; but where a slow command took as long as when it was observed, that
run is the unchanged one again, and two blocks may settle it.

Arms are admitted best first, while as many blocks as a large effect needs still fit the budget. One
that fails or does not end drops out with that as its result, and the others go on.
"""

import random
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kubelag.experiments.contract import Experiment as Titled
from kubelag.experiments.contract import (
    Kind,
    NotApplicableError,
    NotAtAnEndError,
    Situation,
    Treatment,
    Variant,
)
from kubelag.experiments.dose import dose_response
from kubelag.experiments.scratch import Scratch
from kubelag.experiments.statistics import MAX_PAIRS, is_settled, least_pairs, median_ns, paired
from kubelag.experiments.timing import Timed, run_timed
from kubelag.launch import seccomp
from kubelag.model.experiment import (
    Arm,
    DoseResponse,
    Estimate,
    Experiment,
    Outcome,
    Trial,
    arm_name,
    is_arm_of,
)
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

    def found(self, experiment: Titled, estimate: Estimate) -> None:
        """What an arm has found so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Treated:
    """One arm with a factor removed."""

    id: str
    title: str
    kind: str
    treatment: Treatment

    @property
    def against(self) -> str:
        """The arm that it is compared with; empty for the block's control."""
        label = self.treatment.against
        return arm_name(self.kind, label) if label else ""


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
        kinds: The experiments wanted, best first; those that do not apply are reported as such.
        scratch: Where private caches are made.
        progress: Who is told.
        budget_s: No block is begun that would end later than this, but for the first.
        wanted: Ids of arms, or of experiments for all their arms; everything where it is empty.
        clock: Seconds, monotonic.
    """

    def __init__(  # noqa: PLR0913 - what a trial is made of, each named
        self,
        situation: Situation,
        kinds: Sequence[Kind],
        scratch: Scratch,
        progress: Progress,
        *,
        budget_s: float,
        wanted: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scratch, self._progress, self._clock = scratch, progress, clock
        self._deadline_s = clock() + budget_s
        self._done: list[_Block] = []
        self._treated: dict[str, _Treated] = {}
        self._dropped: list[Experiment] = []
        self._wanted = wanted
        unchanged = situation.unchanged
        self._observed_ns = situation.evidence.run.wall_ns
        self._is_healthy = situation.evidence.run.exit_code == 0
        self._warmed_s = self._observed_ns / 1e9
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
            stopped = self._blocks() if self._treated else "no experiment applies here"
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
            treatments = kind.vary(situation)
        except NotApplicableError as why:
            for name in self._names_of(kind):
                self._drop(name, "not_applicable", str(why))
            return
        arms = {arm_name(kind.id, one.label): one for one in treatments}
        for name, treatment in arms.items():
            if self._is_wanted(name, arms.values(), kind):
                self._add(name, treatment, kind)
        for name in self._names_of(kind):
            if not any(is_arm_of(arm, name) for arm in arms):
                self._drop(name, "not_applicable", f"there is no such arm, only {', '.join(arms)}")

    def _names_of(self, kind: Kind) -> list[str]:
        """What was asked for of an experiment."""
        return [name for name in self._wanted if is_arm_of(name, kind.id)] or [kind.id]

    def _is_wanted(self, name: str, treatments: Collection[Treatment], kind: Kind) -> bool:
        """Whether it was asked for, or one that was is compared with it."""
        if not self._wanted or any(is_arm_of(name, one) for one in self._wanted):
            return True
        return any(
            arm_name(kind.id, one.against) == name and arm_name(kind.id, one.label) in self._wanted
            for one in treatments
            if one.against
        )

    def _add(self, name: str, treatment: Treatment, kind: Kind) -> None:
        title = f"{kind.title} ({treatment.label})" if treatment.label else kind.title
        arm = _Treated(id=name, title=title, kind=kind.id, treatment=treatment)
        self._treated[name], self._variants[name] = arm, treatment.variant

    def _drop(self, name: str, outcome: Outcome, why: str) -> None:
        arm = self._treated.pop(name, None)
        shown = arm.treatment.variant.shown if arm and outcome != "not_applicable" else ""
        self._dropped.append(Experiment(id=name, outcome=outcome, why=why, command=shown))

    def _run_arm(self, variant: Variant, title: str, block: int) -> Timed:
        def tick(elapsed_s: float) -> None:
            if elapsed_s > self._limit_s:
                raise NotAtAnEndError(f"{title}: not at an end after {self._limit_s:.0f} s")
            self._progress.running(title, block, elapsed_s)

        tick(0.0)
        return run_timed(variant, self._scratch, tick)

    def _warm_up(self) -> None:
        """One discarded run of each treatment (the unchanged command has just been observed)."""
        if any(arm.treatment.variant.cache == "warmed" for arm in self._treated.values()):
            unchanged = self._variants[UNCHANGED]
            child = unchanged.child.under("no_sync" if self._may_filter else "none")
            filling = unchanged.but(cache="on_memory", child=child)
            self._run_arm(filling, "filling a cache", 0)
            self._scratch.keep_as_warmed()
        for number, arm in enumerate(tuple(self._treated.values())):
            if number and not self._has_room():
                self._drop(arm.id, "out_of_budget", "the budget had no room for another arm")
            else:
                self._warm_up_one(arm)

    def _warm_up_one(self, arm: _Treated) -> None:
        try:
            timed = self._run_arm(arm.treatment.variant, f"warming up: {arm.title}", 0)
        except NotAtAnEndError as why:
            self._drop(arm.id, "failed", str(why))
        except CANNOT_RUN as why:
            self._drop(arm.id, "not_applicable", str(why))
        else:
            self._warmed_s += timed.wall_ns / 1e9
            if timed.exit_code and self._is_healthy:
                why_not = (
                    f"it ended with exit code [{timed.exit_code}], the observed command with [0]"
                )
                self._drop(arm.id, "failed", why_not)

    def _has_room(self) -> bool:
        """Whether the least number of blocks still fits with one more arm, as slow as observed."""
        observed_s = self._observed_ns / 1e9
        blocks = least_pairs(self._observed_ns, self._observed_ns)
        needed_s = observed_s + blocks * (self._warmed_s + observed_s)
        return self._clock() + needed_s <= self._deadline_s

    def _blocks(self) -> str:
        """Run blocks; returns which rule ended them."""
        for number, control in zip(range(1, MAX_PAIRS + 1), self._control_order(), strict=False):
            longest_s = max((block.took_s for block in self._done), default=0.0)
            if self._done and self._clock() + longest_s > self._deadline_s:
                return f"the budget was spent after {counted(number - 1, 'block')}"
            self._done.append(self._block(number, control))
            self._tell()
            if not self._treated:
                return "no experiment could be run to its end"
            if number >= self._least() and all(map(self._is_settled, self._treated)):
                return f"settled after {counted(number, 'block')}"
        return f"{MAX_PAIRS} blocks were run, which is the most"

    def _control_order(self) -> Iterator[str]:
        """Every control once in random order, the unchanged one again last, and so on."""
        first = random.sample(self._first_controls, len(self._first_controls))
        yield from (*first, *(name for name in self._controls if name not in first))
        while True:
            yield from random.sample(self._controls, len(self._controls))

    def _block(self, number: int, control: str) -> _Block:
        order = [control, *self._treated]
        random.shuffle(order)
        runs = {}
        for name in order:
            try:
                runs[name] = self._run_arm(self._variants[name], self._title(name), number)
            except NotAtAnEndError as why:
                if name == control:
                    raise
                self._drop(name, "failed", str(why))
        return _Block(control=control, runs=runs)

    def _walls_ns(self, arm: str) -> tuple[int, ...]:
        return tuple(block.runs[arm].wall_ns for block in self._done if arm in block.runs)

    def _estimate(self, name: str) -> Estimate | None:
        """How much a treatment saved against the same block's control, or the arm that it names."""
        against = self._treated[name].against
        pairs = [
            (block.runs[against or block.control].wall_ns, block.runs[name].wall_ns)
            for block in self._done
            if name in block.runs and (against or block.control) in block.runs
        ]
        return paired([one for one, _ in pairs], [other for _, other in pairs])

    def _against_unchanged(self, arm: str) -> Estimate | None:
        """One control against another: what noise, or the wrapper alone, looks like."""
        return paired(self._walls_ns(UNCHANGED), self._walls_ns(arm))

    def _dose_response(self) -> DoseResponse | None:
        """Over the blocks in which every dose was given."""
        arms = [arm for arm in self._treated.values() if arm.treatment.dose_ns is not None]
        arms.sort(key=lambda arm: arm.treatment.dose_ns or 0)
        if not arms:
            return None
        whole = [block for block in self._done if all(arm.id in block.runs for arm in arms)]
        return dose_response(
            arms[0].kind,
            [arm.treatment.dose_ns or 0 for arm in arms],
            [[block.runs[arm.id].wall_ns for arm in arms] for block in whole],
        )

    def _title(self, name: str) -> str:
        arm = self._treated.get(name)
        return arm.title if arm else name.replace("_", " ")

    def _tell(self) -> None:
        for name, arm in self._treated.items():
            if estimate := self._estimate(name):
                self._progress.found(arm, estimate)

    def _is_settled(self, name: str) -> bool:
        return is_settled(self._estimate(name), self._base_ns(), self._least())

    def _base_ns(self) -> int:
        return median_ns([block.control_ns for block in self._done])

    def _least(self) -> int:
        return least_pairs(self._base_ns(), self._observed_ns)

    def _result(self, stopped: str) -> Trial:
        return Trial(
            arms=tuple(self._arm(name) for name in self._variants if self._walls_ns(name)),
            experiments=(*(self._measured(name) for name in self._treated), *self._dropped),
            same_against_same=self._against_unchanged(AGAIN),
            placebo=self._against_unchanged(PLACEBO),
            stopped=stopped,
            dose_response=self._dose_response(),
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
        is_cured = 0 not in ours and theirs == [0]
        if ours != theirs and not is_cured:
            why = f"it ended with exit code {theirs}, the unchanged command with {ours}"
            return Experiment(id=name, outcome="failed", why=why, command=shown)
        return Experiment(
            id=name,
            outcome="measured",
            why="the unchanged command fails, and this one succeeds" if is_cured else "",
            command=shown,
            estimate=estimate,
            dose_ns=self._treated[name].treatment.dose_ns,
        )
