"""What a counterfactual measured: interleaved runs with one factor removed, and without."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

CONTROLS = ("unchanged", "unchanged_again", "placebo")
"""Arms in which nothing is removed; each block has one of them."""

OBSERVED = "observed"
"""The run that was watched; in a proof it stands in for an unchanged run that was not repeated."""

Outcome = Literal["measured", "not_applicable", "failed", "out_of_budget"]


def arm_name(kind: str, label: str) -> str:
    """`direct_backend:master1`; without a label the kind alone."""
    return f"{kind}:{label}" if label else kind


def is_arm_of(arm: str, name: str) -> bool:
    """Whether a name means this arm: its own, or its kind's, which means all arms of the kind."""
    return arm == name or arm.partition(":")[0] == name


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way of running the command, timed unobserved."""

    name: str
    """`unchanged`, `unchanged_again`, `placebo`, or the experiment's id, with its label if any."""
    walls_ns: tuple[int, ...]
    """One wall time a block, in the order of the blocks."""
    exit_codes: tuple[int, ...] = ()
    """One a block; an arm whose exit codes differ from the unchanged arm's proves nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A paired difference: how much time was saved."""

    saving_ns: int
    """Median of the paired differences; negative where the arm was slower."""
    low_ns: int
    high_ns: int
    """95 % interval."""
    pairs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One factor removed, and what it saved."""

    id: str
    """For example `fsync_suppressed`, or `direct_backend:master1` for one arm of several."""
    outcome: Outcome
    why: str = ""
    """Why it was not run or failed, or what the arm was."""
    command: str = ""
    """How a user can repeat the treated arm by hand."""
    estimate: Estimate | None = None
    knock_on_ns: int = 0
    """Time that moved to other disk factors once this one was gone, seen in an observed run."""
    knock_on_what: str = ""
    """Where it moved to."""
    dose_ns: int | None = None
    """Delay added to each round trip; None where nothing was dosed."""
    is_control: bool = False
    """Whether other arms are compared with it: what it saves by itself decides nothing."""
    besides: tuple[tuple[str, int], ...] = ()
    """Factors that it takes away although it need not, each with how long (ns) it was in the way of
    the observed run at all."""

    def besides_ns(self, factors: Collection[str]) -> int:
        """How much of what it saved may be something else than these factors."""
        return sum(ns for factor, ns in self.besides if factor not in factors)


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseResponse:
    """How much longer the command takes for each round trip that is made longer."""

    kind: str
    """The experiment that gave the doses, `delay_response`."""
    doses_ns: tuple[int, ...]
    """Delay added to each round trip, from none upwards."""
    slope: float
    """Added wall seconds for each added second of delay: the number of round trips that are waited
    for one after the other. Median over the blocks."""
    low: float
    high: float
    """95 % interval of the slope."""
    bend_ns: int
    """How much longer the largest dose made it than the smallest foretold; median over the blocks.
    Nothing, where each dose adds the same."""
    bend_low_ns: int
    bend_high_ns: int
    """95 % interval of the bend."""
    blocks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """All experiments on one command, made of shared random blocks."""

    arms: tuple[Arm, ...] = ()
    experiments: tuple[Experiment, ...] = ()
    same_against_same: Estimate | None = None
    """Unchanged against unchanged: what this machine's noise alone looks like."""
    placebo: Estimate | None = None
    """Unchanged against the same wrapper with nothing removed."""
    stopped: str = ""
    """Which rule ended the blocks."""
    dose_response: DoseResponse | None = None
    """None where no doses were given, or not all of them."""
    asked: tuple[str, ...] = ()
    """Arms and experiments that the user named, whoever is suspected."""

    def experiment(self, name: str) -> Experiment | None:
        """The named experiment, None where it was not considered."""
        return next((one for one in self.experiments if one.id == name), None)

    def named(self, name: str) -> tuple[Experiment, ...]:
        """What a cause means by a name: one arm, or all of one kind in their order."""
        return tuple(one for one in self.experiments if is_arm_of(one.id, name))

    @property
    def control_walls_ns(self) -> tuple[int, ...]:
        """Every run in which nothing was removed."""
        return tuple(wall for arm in self.arms if arm.name in CONTROLS for wall in arm.walls_ns)

    def arm(self, name: str) -> Arm | None:
        """The named arm, None where it did not run."""
        return next((arm for arm in self.arms if arm.name == name), None)
