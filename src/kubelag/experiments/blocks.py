"""What the finished blocks of a trial say of each arm. Pure.

A difference is always taken within one block. It is a measurement only where both runs did the
same: a command that fails is often quicker than one that does not, and one that fails otherwise is
another command.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from kubelag.experiments.contract import Treatment
from kubelag.experiments.dose import dose_response
from kubelag.experiments.statistics import paired
from kubelag.experiments.timing import Timed
from kubelag.model.experiment import Arm, DoseResponse, Estimate, Experiment, arm_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Treated:
    """One arm with a factor removed."""

    id: str
    title: str
    kind: str
    treatment: Treatment
    besides: tuple[tuple[str, int], ...] = ()
    """As in the model's `Experiment`."""

    @property
    def against(self) -> str:
        """The arm that it is compared with; empty for the block's control."""
        label = self.treatment.against
        return arm_name(self.kind, label) if label else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One finished block: its control and every treatment, each run once."""

    control: str
    runs: Mapping[str, Timed]

    @property
    def control_ns(self) -> int:
        """How long the command took with nothing removed."""
        return self.runs[self.control].wall_ns

    @property
    def took_s(self) -> float:
        """All its runs."""
        return sum(timed.wall_ns for timed in self.runs.values()) / 1e9


def walls_ns(blocks: Sequence[Block], arm: str) -> tuple[int, ...]:
    """The arm's wall times, in the order of the blocks."""
    return tuple(block.runs[arm].wall_ns for block in blocks if arm in block.runs)


def arm_of(blocks: Sequence[Block], name: str) -> Arm:
    """All runs of the arm."""
    runs = [block.runs[name] for block in blocks if name in block.runs]
    return Arm(
        name=name,
        walls_ns=tuple(timed.wall_ns for timed in runs),
        exit_codes=tuple(timed.exit_code for timed in runs),
    )


def between(blocks: Sequence[Block], one: str, other: str) -> Estimate | None:
    """One control against another: what noise, or the wrapper alone, looks like."""
    return paired(walls_ns(blocks, one), walls_ns(blocks, other))


def estimate(blocks: Sequence[Block], arm: Treated) -> Estimate | None:
    """How much it saved against the same block's control, or the arm that it names."""
    pairs = _pairs(blocks, arm)
    return paired([ours.wall_ns for ours, _ in pairs], [theirs.wall_ns for _, theirs in pairs])


def measured(blocks: Sequence[Block], arm: Treated, *, is_healthy: bool) -> Experiment:
    """What came of the arm.

    Args:
        blocks: The finished ones.
        arm: One that has not dropped out.
        is_healthy: Whether the observed command succeeded.
    """
    shown = arm.treatment.variant.shown
    found = estimate(blocks, arm)
    if found is None:
        return Experiment(id=arm.id, outcome="out_of_budget", why="too few runs", command=shown)
    pairs = _pairs(blocks, arm)
    ours, theirs = [one for one, _ in pairs], [other for _, other in pairs]
    is_cured = not is_healthy and all(one.exit_code for one in ours) and _codes(theirs) == [0]
    why_not = "" if is_cured else _why_not_alike(ours, theirs, is_healthy=is_healthy)
    if why_not:
        return Experiment(id=arm.id, outcome="failed", why=why_not, command=shown)
    return Experiment(
        id=arm.id,
        outcome="measured",
        why="the unchanged command fails, and this one succeeds" if is_cured else "",
        command=shown,
        estimate=found,
        dose_ns=arm.treatment.dose_ns,
        besides=arm.besides,
    )


def doses(blocks: Sequence[Block], arms: Collection[Treated]) -> DoseResponse | None:
    """The response over the blocks in which every dose was given; None where there is none."""
    dosed = [arm for arm in arms if arm.treatment.dose_ns is not None]
    dosed.sort(key=lambda arm: arm.treatment.dose_ns or 0)
    if not dosed:
        return None
    whole = [block for block in blocks if all(arm.id in block.runs for arm in dosed)]
    return dose_response(
        dosed[0].kind,
        [arm.treatment.dose_ns or 0 for arm in dosed],
        [[block.runs[arm.id].wall_ns for arm in dosed] for block in whole],
    )


def _pairs(blocks: Sequence[Block], arm: Treated) -> list[tuple[Timed, Timed]]:
    """Each run of the arm behind the one that it is compared with."""
    return [
        (block.runs[arm.against or block.control], block.runs[arm.id])
        for block in blocks
        if arm.id in block.runs and (arm.against or block.control) in block.runs
    ]


def _why_not_alike(ours: Sequence[Timed], theirs: Sequence[Timed], *, is_healthy: bool) -> str:
    """Why the two did not do the same; empty where they did."""
    if _codes(ours) != _codes(theirs):
        return (
            f"it ended with exit code {_codes(theirs)}, what it is compared with with "
            f"{_codes(ours)}"
        )
    if _codes(ours) == [0]:
        return ""
    if is_healthy:
        return "the command failed meanwhile, and had succeeded when it was observed"
    if len(_codes(ours)) > 1:
        return f"the command ended now so and now so, with exit code {_codes(ours)}"
    complaints = {one.complaint for one in (*ours, *theirs)}
    return "" if len(complaints) == 1 else "both failed, and not with the same message"


def _codes(runs: Sequence[Timed]) -> list[int]:
    return sorted({one.exit_code for one in runs})
