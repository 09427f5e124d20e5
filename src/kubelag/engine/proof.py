"""Pure: what a judgement and a trial make together.

Proven means all of: the 95 % interval of the saving excludes zero; the saving is at least 20 % of
the unchanged wall time; the same wrapper with nothing removed (placebo) explains none of it; and
the saving lies within what was predicted from the observed run, give or take this machine's noise
and what was seen to move elsewhere.

What cannot be removed is dosed: a round trip can only be made longer. There the number of round
trips that are waited for (the slope) times what one costs now takes the place of the saving. Its
interval's lower end must be at least 20 % of the wall time, and each dose must add the same.
"""

from dataclasses import dataclass, replace

from kubelag.experiments.statistics import least_pairs, median_ns, pairs_needed
from kubelag.model.experiment import (
    CONTROLS,
    OBSERVED,
    Arm,
    DoseResponse,
    Estimate,
    Experiment,
    Trial,
    is_arm_of,
)
from kubelag.model.report import Proof, ProofArm
from kubelag.model.units import counted, seconds
from kubelag.model.verdict import Judgement, VerdictValue

# design.md section 3 (a proposal of diagnosis.md section 4, not calibrated beyond the lab).
PROVEN_RATIO = 0.20
# Under this share a suspected factor only contributes (the same threshold, for the same reason).
MAIN_RATIO = 0.20
# Two runs of an idle machine differ by this much at the least (own A/A arms: 1 to 3 %), and a
# prediction that is off by more than this share of the wall time is wrong, however noisy it is.
_NOISE_FLOOR_RATIO = 0.03
_TOLERANCE_CAP_RATIO = 0.10
# An observed run that took so much longer or shorter than the timed ones was another run: what was
# seen in it is not what was measured. Arbitrary; a narrow watch costs a fifth at most, on a run of
# 0.1 s (docs/performance.md).
_NOT_REPRODUCED_RATIO = 0.50
# Where they lack most of what a cause had cost, they did not meet it. Arbitrary.
_MOST_RATIO = 0.50
# A bend of the response by less than this share of what the doses added is none. Arbitrary.
_BEND_RATIO = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """A verdict with the proof that decided it."""

    verdict: VerdictValue
    proof: Proof | None
    reason: str = ""
    """Why it is no more than that."""


def rule(judgement: Judgement, trial: Trial, wall_ns: int, critical_ns: int) -> Ruling:
    """The verdict on a suspected cause.

    Args:
        judgement: A suspicion, with what it predicts.
        trial: Everything that was measured; may be empty.
        wall_ns: Wall time of the observed run.
        critical_ns: The cause's part of the observed run's critical path.
    """
    deciding = _deciding(judgement, trial)
    if isinstance(deciding, DoseResponse):
        return _rule_by_doses(deciding, judgement, trial, wall_ns)
    if deciding is None or deciding.estimate is None:
        return _unproven(critical_ns, wall_ns, _why_unmeasured(judgement, trial))
    base_ns = base_of(trial, wall_ns)
    if _has_stayed_away(deciding.estimate, base_ns, wall_ns, critical_ns):
        reason = f"not proven; the timed runs took {seconds(base_ns)}: they did not meet it"
        return _unproven(critical_ns, wall_ns, reason)
    return _rule_by(deciding, deciding.estimate, judgement, trial, wall_ns)


def _unproven(critical_ns: int, wall_ns: int, reason: str) -> Ruling:
    """What the observed run alone says."""
    is_main = critical_ns >= MAIN_RATIO * wall_ns
    return Ruling(verdict="likely" if is_main else "contributing", proof=None, reason=reason)


def _has_stayed_away(estimate: Estimate, base_ns: int, wall_ns: int, critical_ns: int) -> bool:
    """Whether nothing could be removed, since what the observed run met did not come again.

    One bad server behind a balancer is met by every n-th run only. Then most timed runs lack what
    the cause had cost, and that removing it saves nothing of theirs says nothing about it; the few
    that did meet it make the interval wide, and no median.
    """
    lacking_ns = wall_ns - base_ns
    is_another_run = lacking_ns > _NOT_REPRODUCED_RATIO * base_ns
    has_saved = estimate.saving_ns >= PROVEN_RATIO * base_ns
    return is_another_run and not has_saved and lacking_ns >= _MOST_RATIO * critical_ns > 0


def deciding_of(judgement: Judgement, trial: Trial) -> Experiment | None:
    """The measured arm that decides on a cause; None where doses do, or nothing."""
    deciding = _deciding(judgement, trial)
    return deciding if isinstance(deciding, Experiment) else None


def _deciding(judgement: Judgement, trial: Trial) -> Experiment | DoseResponse | None:
    """What decides on a cause.

    Best first: a later one, which removes more, decides only where no better one was measured; of
    several arms that one name means it is the first. Doses never decide by what they save.
    """
    response = trial.dose_response
    for name in judgement.experiments:
        if response and judgement.dose_ns and is_arm_of(name, response.kind):
            return response
        for one in trial.named(name):
            if one.outcome == "measured" and one.estimate and one.dose_ns is None:
                return one
    return None


def base_of(trial: Trial, wall_ns: int) -> int:
    """The median wall time of the runs in which nothing was removed."""
    return median_ns(trial.control_walls_ns) if trial.control_walls_ns else wall_ns


def noise_of(trial: Trial, base_ns: int, wall_ns: int) -> int:
    """How far two equal runs lie apart here: the spread of those in which nothing was removed.

    Where the unchanged command was not timed again, the observed run stands in for that; watching
    made it longer, so that the noise is rather put too high.
    """
    arms = (*trial.arms, *_stand_in(trial, wall_ns))
    walls_ns = [wall for arm in arms if arm.name in (OBSERVED, *CONTROLS) for wall in arm.walls_ns]
    spread_ns = max(walls_ns) - min(walls_ns) if walls_ns else 0
    return round(max(_NOISE_FLOOR_RATIO * base_ns, spread_ns))


def _stand_in(trial: Trial, wall_ns: int) -> tuple[Arm, ...]:
    """The observed run, where the unchanged command was not timed again."""
    if not trial.control_walls_ns or trial.arm("unchanged_again"):
        return ()
    return (Arm(name=OBSERVED, walls_ns=(wall_ns,)),)


def tolerance_of(trial: Trial, base_ns: int, wall_ns: int) -> int:
    """How far a saving may lie from its prediction: the noise, and never more than a tenth."""
    return round(min(noise_of(trial, base_ns, wall_ns), _TOLERANCE_CAP_RATIO * base_ns))


def in_proportion(judgement: Judgement, base_ns: int, wall_ns: int) -> Judgement:
    """The prediction for runs as long as the timed ones, of which the factor has its share.

    Runs differ, and watching makes one longer; the share of the wall time says most of the others.
    """
    if wall_ns <= 0:
        return judgement
    arithmetic = judgement.arithmetic
    if abs(base_ns - wall_ns) > _NOISE_FLOOR_RATIO * base_ns:
        arithmetic += f" of {seconds(wall_ns)}; the timed runs took {seconds(base_ns)}"
    return replace(
        judgement,
        low_ns=judgement.low_ns * base_ns // wall_ns,
        high_ns=judgement.high_ns * base_ns // wall_ns,
        arithmetic=arithmetic,
    )


def scaled(judgement: Judgement, base_ns: int, wall_ns: int) -> Judgement:
    """What agrees with the prediction: nobody knows whether it was the factor that differed.

    Syncs take longer in one run than in another, a plugin that sleeps does not, so the interval
    holds both the factor's share and the factor as it was seen.
    """
    shared = in_proportion(judgement, base_ns, wall_ns)
    return replace(
        judgement,
        low_ns=min(judgement.low_ns, shared.low_ns),
        high_ns=max(judgement.high_ns, shared.high_ns),
    )


def is_below_prediction(judgement: Judgement, estimate: Estimate, noise_ns: int) -> bool:
    """Whether so little was saved that the time may have moved elsewhere."""
    return estimate.high_ns < judgement.low_ns - noise_ns


def _rule_by(
    experiment: Experiment,
    estimate: Estimate,
    judgement: Judgement,
    trial: Trial,
    wall_ns: int,
) -> Ruling:
    base_ns = base_of(trial, wall_ns)
    verdict, reason = _decide(
        scaled(judgement, base_ns, wall_ns), experiment, estimate, trial, wall_ns
    )
    proof = _proof(experiment, estimate, trial, base_ns, _arms_shown(judgement, trial, wall_ns))
    return _if_reproduced(Ruling(verdict=verdict, proof=proof, reason=reason), base_ns, wall_ns)


def _if_reproduced(ruling: Ruling, base_ns: int, wall_ns: int) -> Ruling:
    if ruling.verdict != "proven" or abs(wall_ns - base_ns) <= _NOT_REPRODUCED_RATIO * base_ns:
        return ruling
    reason = f"the observed run took {seconds(wall_ns)}, the others {seconds(base_ns)}"
    return replace(ruling, verdict="likely", reason=reason)


def _arms_shown(judgement: Judgement, trial: Trial, wall_ns: int) -> tuple[Arm, ...]:
    """The controls, then the arms that the cause names, in its order."""
    named = (*CONTROLS, *judgement.experiments, *judgement.supporting)
    found = (arm for name in named for arm in trial.arms if is_arm_of(arm.name, name))
    return (*_stand_in(trial, wall_ns), *dict.fromkeys(found))


def _rule_by_doses(
    response: DoseResponse, judgement: Judgement, trial: Trial, wall_ns: int
) -> Ruling:
    """What the round trips that are waited for cost now, in place of a saving."""
    base_ns = base_of(trial, wall_ns)
    contribution = Estimate(
        saving_ns=round(response.slope * judgement.dose_ns),
        low_ns=round(response.low * judgement.dose_ns),
        high_ns=round(response.high * judgement.dose_ns),
        pairs=response.blocks,
    )
    verdict, reason = _decide_by_doses(
        scaled(judgement, base_ns, wall_ns), response, contribution, trial, wall_ns
    )
    given = Experiment(id=response.kind, outcome="measured")
    arms = _arms_shown(judgement, trial, wall_ns)
    proof = replace(
        _proof(given, contribution, trial, base_ns, arms),
        sentence=_dose_sentence(response, contribution, judgement.dose_ns, base_ns),
    )
    return _if_reproduced(Ruling(verdict=verdict, proof=proof, reason=reason), base_ns, wall_ns)


def _decide_by_doses(
    judgement: Judgement,
    response: DoseResponse,
    contribution: Estimate,
    trial: Trial,
    wall_ns: int,
) -> tuple[VerdictValue, str]:
    base_ns = base_of(trial, wall_ns)
    tolerance_ns = tolerance_of(trial, base_ns, wall_ns)
    cost = f"by dose and response it costs {seconds(contribution.saving_ns)} of {seconds(base_ns)}"
    if contribution.high_ns < PROVEN_RATIO * base_ns:
        if judgement.low_ns > PROVEN_RATIO * base_ns:
            return "unknown", f"{cost}, far less than predicted: the model is wrong here"
        return "contributing", f"{cost}, under {PROVEN_RATIO:.0%}"
    if contribution.low_ns < PROVEN_RATIO * base_ns:
        interval = f"{seconds(contribution.low_ns)} to {seconds(contribution.high_ns)}"
        return "likely", f"{cost}, but the 95 % interval is {interval}"
    if not _is_linear(response):
        bend = f"the largest dose added {seconds(response.bend_ns)} more than the smallest foretold"
        return "likely", f"{cost}, but {bend}: more than the delay is waited for"
    if is_below_prediction(judgement, contribution, tolerance_ns):
        return "likely", f"{cost}, less than the {seconds(judgement.low_ns)} predicted"
    if contribution.low_ns > judgement.high_ns + tolerance_ns:
        return "likely", f"{cost}, more than the {seconds(judgement.high_ns)} predicted"
    return "proven", ""


def _is_linear(response: DoseResponse) -> bool:
    """Whether each dose added the same, within the noise or nearly."""
    added_ns = response.slope * (response.doses_ns[-1] - response.doses_ns[0])
    is_within_noise = response.bend_low_ns <= 0 <= response.bend_high_ns
    return is_within_noise or abs(response.bend_ns) <= _BEND_RATIO * added_ns


def _dose_sentence(
    response: DoseResponse, contribution: Estimate, dose_ns: int, base_ns: int
) -> str:
    doses = " and ".join(seconds(dose) for dose in response.doses_ns if dose)
    blocks = counted(response.blocks, "block")
    certain = f"95 % interval {response.low:.1f} to {response.high:.1f}, {blocks}"
    whole = f"{seconds(contribution.saving_ns)} of {seconds(base_ns)}"
    return (
        f"by dose and response: {doses} more for each round trip made it longer by "
        f"{response.slope:.1f} times that ({certain}), so that many round trips of "
        f"{seconds(dose_ns)} are waited for one after the other: {whole}"
    )


def _why_unmeasured(judgement: Judgement, trial: Trial) -> str:
    if not judgement.experiments:
        return "this factor cannot be removed from here, so it is not proven"
    tried = [one for name in judgement.experiments for one in trial.named(name)]
    reasons = [f"{one.id}: {one.why or one.outcome}" for one in tried]
    return "not proven; " + ("; ".join(reasons) or trial.stopped or "nothing was run again")


def _decide(
    judgement: Judgement,
    experiment: Experiment,
    estimate: Estimate,
    trial: Trial,
    wall_ns: int,
) -> tuple[VerdictValue, str]:
    base_ns = base_of(trial, wall_ns)
    tolerance_ns = tolerance_of(trial, base_ns, wall_ns)
    saving = f"removing it saved {seconds(estimate.saving_ns)} of {seconds(base_ns)}"
    if _placebo_explains(trial, estimate):
        return "unknown", "the wrapper alone changed the time as much as the removal did"
    if estimate.high_ns < PROVEN_RATIO * base_ns and judgement.low_ns > PROVEN_RATIO * base_ns:
        return "unknown", f"{saving}, far less than predicted: the model is wrong here"
    if estimate.low_ns <= 0 and estimate.high_ns < PROVEN_RATIO * base_ns:
        return "unknown", f"{saving}, which is nothing"
    if estimate.low_ns <= noise_of(trial, base_ns, wall_ns) or estimate.pairs < least_pairs(
        base_ns, wall_ns
    ):
        return "likely", f"underpowered: {_runs_needed(experiment, trial)}"
    if estimate.saving_ns < PROVEN_RATIO * base_ns:
        return "contributing", f"{saving}, under {PROVEN_RATIO:.0%}"
    if is_below_prediction(judgement, estimate, tolerance_ns + experiment.knock_on_ns):
        return "likely", f"{saving}, less than the {seconds(judgement.low_ns)} predicted"
    if estimate.low_ns > judgement.high_ns + tolerance_ns:
        return "likely", f"{saving}, more than the {seconds(judgement.high_ns)} predicted"
    return "proven", ""


def _placebo_explains(trial: Trial, estimate: Estimate) -> bool:
    placebo = trial.placebo
    return placebo is not None and placebo.low_ns > 0 and placebo.high_ns >= estimate.saving_ns > 0


def _runs_needed(experiment: Experiment, trial: Trial) -> str:
    treated = trial.arm(experiment.id)
    runs = min(len(trial.control_walls_ns), len(treated.walls_ns)) if treated else 0
    if treated is None or not runs:
        return "too few runs"
    needed = pairs_needed(trial.control_walls_ns[:runs], treated.walls_ns[:runs])
    return f"about {needed:,} runs of each kind needed" if needed else "no difference was seen"


def _proof(
    experiment: Experiment,
    estimate: Estimate,
    trial: Trial,
    base_ns: int,
    arms: tuple[Arm, ...],
) -> Proof:
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
