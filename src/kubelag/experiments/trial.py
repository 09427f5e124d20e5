"""Runs all wanted experiments on one command in shared random blocks.

Each block holds, in random order, every treatment and one control. The controls take turns: the
command unchanged, unchanged again (their difference is this machine's noise), and in the same
wrappers with nothing removed (placebo). So a slow command runs slowly once a block, a drift of the
machine hits all arms alike, and a difference is always taken within one block. No trial is settled
before every control has had its turn; but where a slow command took as long as when it was
observed, that run is the unchanged one again, and two blocks may settle it.

Arms are admitted best first, while as many blocks as a large effect needs still fit the budget. One
that fails or does not end drops out with that as its result, and the others go on.
"""

import random
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from kubelag.experiments.admission import admit, placebo
from kubelag.experiments.blocks import (
    Block,
    Treated,
    arm_of,
    between,
    doses,
    estimate,
    measured,
    walls_ns,
)
from kubelag.experiments.contract import Experiment as Titled
from kubelag.experiments.contract import (
    Kind,
    NotApplicableError,
    NotAtAnEndError,
    Situation,
    Variant,
)
from kubelag.experiments.scratch import Scratch
from kubelag.experiments.statistics import MAX_PAIRS, is_settled, least_pairs, median_ns
from kubelag.experiments.timing import Timed, run_timed
from kubelag.launch import seccomp
from kubelag.model.experiment import (
    Estimate,
    Experiment,
    Outcome,
    Trial,
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
        self._done: list[Block] = []
        admitted = admit(kinds, situation, wanted)
        self._treated = {arm.id: arm for arm in admitted.treated}
        self._dropped = list(admitted.refused)
        self._compared_with = {arm.against for arm in admitted.treated if arm.against}
        unchanged = situation.unchanged
        self._observed_ns = situation.evidence.run.wall_ns
        self._is_healthy = situation.evidence.run.exit_code == 0
        self._warmed_s = self._observed_ns / 1e9
        self._limit_s = max(_LEAST_LIMIT_S, _LIMIT_RATIO * self._observed_ns / 1e9)
        self._variants: dict[str, Variant] = {UNCHANGED: unchanged, AGAIN: unchanged}
        self._may_filter = seccomp.probe() is None
        if self._may_filter:
            self._variants[PLACEBO] = placebo(situation, admitted.treated)
        self._first_controls = (UNCHANGED, PLACEBO if self._may_filter else AGAIN)
        self._controls = tuple(self._variants)
        self._variants |= {arm.id: arm.treatment.variant for arm in admitted.treated}

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

    def _warm_up_one(self, arm: Treated) -> None:
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
            if number >= self._least() and all(map(self._is_settled, self._treated.values())):
                return f"settled after {counted(number, 'block')}"
        return f"{MAX_PAIRS} blocks were run, which is the most"

    def _control_order(self) -> Iterator[str]:
        """Every control once in random order, the unchanged one again last, and so on."""
        first = random.sample(self._first_controls, len(self._first_controls))
        yield from (*first, *(name for name in self._controls if name not in first))
        while True:
            yield from random.sample(self._controls, len(self._controls))

    def _block(self, number: int, control: str) -> Block:
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
        return Block(control=control, runs=runs)

    def _title(self, name: str) -> str:
        arm = self._treated.get(name)
        return arm.title if arm else name.replace("_", " ")

    def _tell(self) -> None:
        for arm in self._treated.values():
            if found := estimate(self._done, arm):
                self._progress.found(arm, found)

    def _is_settled(self, arm: Treated) -> bool:
        """Whether no more blocks are needed for it, or it decides nothing by itself."""
        found = estimate(self._done, arm)
        is_control = arm.id in self._compared_with
        return is_control or is_settled(found, self._base_ns(), self._least())

    def _base_ns(self) -> int:
        return median_ns([block.control_ns for block in self._done])

    def _least(self) -> int:
        return least_pairs(self._base_ns(), self._observed_ns)

    def _result(self, stopped: str) -> Trial:
        done, arms = self._done, self._treated.values()
        found = [measured(done, arm, is_healthy=self._is_healthy) for arm in arms]
        return Trial(
            arms=tuple(arm_of(done, name) for name in self._variants if walls_ns(done, name)),
            experiments=(*map(self._told, found), *self._dropped),
            same_against_same=between(done, UNCHANGED, AGAIN),
            placebo=between(done, UNCHANGED, PLACEBO),
            stopped=stopped,
            dose_response=doses(done, arms),
        )

    def _told(self, experiment: Experiment) -> Experiment:
        """What others are compared with is no more than that, also where they dropped out."""
        return replace(experiment, is_control=experiment.id in self._compared_with)
