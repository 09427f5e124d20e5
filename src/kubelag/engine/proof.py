"""Pure: what a judgement and a trial make together.

Proven means all of: the 95 % interval of the saving excludes zero; the saving is at least 20 % of
the unchanged wall time; the same wrapper with nothing removed (placebo) explains none of it; and
the saving lies within what was predicted from the observed run, give or take this machine's noise
and what was seen to move elsewhere. What an arm takes away besides the cause's own factors (an
address in place of a name saves looking it up, too) is not counted to the cause.

What cannot be removed is dosed (see `proof_by_doses`).
"""

from dataclasses import replace

from kubelag.engine.expecting import (
    NOISE_FLOOR_RATIO,
    base_of,
    is_below_prediction,
    noise_of,
    scaled,
    tolerance_of,
)
from kubelag.engine.proof_by_doses import rule_by_doses
from kubelag.engine.ruling import (
    NOT_REPRODUCED_RATIO,
    PROVEN_RATIO,
    Ruling,
    arms_shown,
    if_reproduced,
    proof_of,
)
from kubelag.experiments.statistics import least_pairs, pairs_needed
from kubelag.model.experiment import DoseResponse, Estimate, Experiment, Trial, is_arm_of
from kubelag.model.units import seconds
from kubelag.model.verdict import Judgement, VerdictValue
from kubelag.timeline.factors import title

# Under this share a suspected factor only contributes (as PROVEN_RATIO, for the same reason).
MAIN_RATIO = 0.20
# Where they lack most of what a cause had cost, they did not meet it. Arbitrary.
_MOST_RATIO = 0.50


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
        return rule_by_doses(deciding, judgement, trial, wall_ns)
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
    is_another_run = lacking_ns > NOT_REPRODUCED_RATIO * base_ns
    has_saved = estimate.saving_ns >= PROVEN_RATIO * base_ns
    return is_another_run and not has_saved and lacking_ns >= _MOST_RATIO * critical_ns > 0


def deciding_of(judgement: Judgement, trial: Trial) -> Experiment | None:
    """The measured arm that decides on a cause; None where doses do, or nothing."""
    deciding = _deciding(judgement, trial)
    return deciding if isinstance(deciding, Experiment) else None


def _deciding(judgement: Judgement, trial: Trial) -> Experiment | DoseResponse | None:
    """What decides on a cause.

    Best first: a later one, which removes more, decides only where no better one was measured; of
    several arms that one name means it is the first. Doses never decide by what they save, nor do
    arms that others are only compared with.
    """
    response = trial.dose_response
    for name in judgement.experiments:
        arms = trial.named(name)
        has_failed = any(one.outcome == "failed" for one in arms)
        if response and judgement.dose_ns and is_arm_of(name, response.kind) and not has_failed:
            return response
        for one in arms:
            is_arm = one.dose_ns is None and not one.is_control
            if one.outcome == "measured" and one.estimate and is_arm:
                return one
    return None


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
    proof = proof_of(experiment, estimate, trial, base_ns, arms_shown(judgement, trial, wall_ns))
    if experiment.besides_ns(judgement.factors) > NOISE_FLOOR_RATIO * base_ns:
        besides = _what_besides(experiment, judgement)
        proof = replace(proof, sentence=f"{proof.sentence}; up to {besides} may be in that")
    return if_reproduced(Ruling(verdict=verdict, proof=proof, reason=reason), base_ns, wall_ns)


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
        return "likely", _why_underpowered(experiment, trial, noise_of(trial, base_ns, wall_ns))
    if estimate.saving_ns < PROVEN_RATIO * base_ns:
        return "contributing", f"{saving}, under {PROVEN_RATIO:.0%}"
    doubt = _doubt(judgement, experiment, estimate, trial, wall_ns)
    return ("likely", f"{saving}, {doubt}") if doubt else ("proven", "")


def _doubt(
    judgement: Judgement,
    experiment: Experiment,
    estimate: Estimate,
    trial: Trial,
    wall_ns: int,
) -> str:
    """Why a large saving may not be the cause's own; empty where it is."""
    base_ns = base_of(trial, wall_ns)
    tolerance_ns = tolerance_of(trial, base_ns, wall_ns)
    own = _less(estimate, experiment.besides_ns(judgement.factors))
    if is_below_prediction(judgement, estimate, tolerance_ns + experiment.knock_on_ns):
        return f"less than the {seconds(judgement.low_ns)} predicted"
    if own.low_ns > judgement.high_ns + tolerance_ns:
        return f"more than the {seconds(judgement.high_ns)} predicted"
    if own.low_ns <= noise_of(trial, base_ns, wall_ns) or own.saving_ns < PROVEN_RATIO * base_ns:
        return f"but {_what_besides(experiment, judgement)} may be in that"
    return ""


def _less(estimate: Estimate, besides_ns: int) -> Estimate:
    """What is left where all of that was saved besides; how much of it was, nobody measured."""
    return replace(
        estimate,
        saving_ns=estimate.saving_ns - besides_ns,
        low_ns=estimate.low_ns - besides_ns,
    )


def _what_besides(experiment: Experiment, judgement: Judgement) -> str:
    """`0.50 s of looking up names`."""
    others = ((what, ns) for what, ns in experiment.besides if what not in judgement.factors)
    return " and ".join(f"{seconds(ns)} of {title(what)}" for what, ns in others)


def _placebo_explains(trial: Trial, estimate: Estimate) -> bool:
    placebo = trial.placebo
    return placebo is not None and placebo.low_ns > 0 and placebo.high_ns >= estimate.saving_ns > 0


def _why_underpowered(experiment: Experiment, trial: Trial, noise_ns: int) -> str:
    treated = trial.arm(experiment.id)
    runs = min(len(trial.control_walls_ns), len(treated.walls_ns)) if treated else 0
    if treated is None or not runs:
        return "underpowered: too few runs"
    needed = pairs_needed(trial.control_walls_ns[:runs], treated.walls_ns[:runs])
    if needed is None:
        return "underpowered: no difference was seen"
    if needed > runs:
        return f"underpowered: about {needed:,} runs of each kind needed"
    return f"not proven: the unchanged runs differ by {seconds(noise_ns)} among themselves"
