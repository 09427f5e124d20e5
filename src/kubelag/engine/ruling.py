"""Pure: a verdict with its proof, in the form and the words in which a report shows them."""

from dataclasses import dataclass, replace

from kubelag.engine.expecting import stand_in
from kubelag.experiments.statistics import median_ns
from kubelag.model.experiment import CONTROLS, Arm, Estimate, Experiment, Trial, is_arm_of
from kubelag.model.report import Proof, ProofArm
from kubelag.model.units import seconds
from kubelag.model.verdict import Judgement, VerdictValue

# design.md section 3 (a proposal of diagnosis.md section 4, not calibrated beyond the lab).
PROVEN_RATIO = 0.20
# An observed run that took so much longer or shorter than the timed ones was another run: what was
# seen in it is not what was measured. Arbitrary; a narrow watch costs a fifth at most, on a run of
# 0.1 s (docs/performance.md).
NOT_REPRODUCED_RATIO = 0.50


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """A verdict with the proof that decided it."""

    verdict: VerdictValue
    proof: Proof | None
    reason: str = ""
    """Why it is no more than that."""


def if_reproduced(ruling: Ruling, base_ns: int, wall_ns: int) -> Ruling:
    """The ruling, where the timed runs took about as long as the one that it is about."""
    if ruling.verdict != "proven" or abs(wall_ns - base_ns) <= NOT_REPRODUCED_RATIO * base_ns:
        return ruling
    reason = f"the observed run took {seconds(wall_ns)}, the others {seconds(base_ns)}"
    return replace(ruling, verdict="likely", reason=reason)


def arms_shown(judgement: Judgement, trial: Trial, wall_ns: int) -> tuple[Arm, ...]:
    """The controls, then the arms that the cause names, in its order."""
    named = (*CONTROLS, *judgement.experiments, *judgement.supporting)
    found = (arm for name in named for arm in trial.arms if is_arm_of(arm.name, name))
    return (*stand_in(trial, wall_ns), *dict.fromkeys(found))


def proof_of(
    experiment: Experiment,
    estimate: Estimate,
    trial: Trial,
    base_ns: int,
    arms: tuple[Arm, ...],
) -> Proof:
    """What was measured, as a report shows it."""
    return Proof(
        experiment=experiment.id,
        saving_s=estimate.saving_ns / 1e9,
        ci95_s=(estimate.low_ns / 1e9, estimate.high_ns / 1e9),
        pairs=estimate.pairs,
        arms=tuple(map(_arm, arms)),
        same_against_same_s=_interval_s(trial.same_against_same),
        placebo_s=_interval_s(trial.placebo),
        knock_on_s=experiment.knock_on_ns / 1e9,
        sentence=_sentence(experiment, estimate, base_ns),
    )


def _sentence(experiment: Experiment, estimate: Estimate, base_ns: int) -> str:
    said = (
        f"{experiment.id} saved {seconds(estimate.saving_ns)} of {seconds(base_ns)} "
        f"(95 % interval {seconds(estimate.low_ns)} to {seconds(estimate.high_ns)}, "
        f"{estimate.pairs} pairs)"
    )
    if experiment.knock_on_ns:
        moved = f"{seconds(experiment.knock_on_ns)} moved to {experiment.knock_on_what}"
        return f"{said}; {moved}"
    return said


def _arm(arm: Arm) -> ProofArm:
    return ProofArm(
        name=arm.name,
        median_s=median_ns(arm.walls_ns) / 1e9,
        walls_s=tuple(wall / 1e9 for wall in arm.walls_ns),
    )


def _interval_s(estimate: Estimate | None) -> tuple[float, float] | None:
    return None if estimate is None else (estimate.low_ns / 1e9, estimate.high_ns / 1e9)
