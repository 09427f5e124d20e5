"""Pure: what removing a factor should save in the timed runs, and how far those differ anyway."""

from dataclasses import replace

from kubelag.experiments.statistics import median_ns
from kubelag.model.experiment import CONTROLS, OBSERVED, Arm, Estimate, Trial
from kubelag.model.units import seconds
from kubelag.model.verdict import Judgement

# Two runs of an idle machine differ by this much at the least (own A/A arms: 1 to 3 %), and a
# prediction that is off by more than this share of the wall time is wrong, however noisy it is.
NOISE_FLOOR_RATIO = 0.03
_TOLERANCE_CAP_RATIO = 0.10


def base_of(trial: Trial, wall_ns: int) -> int:
    """The median wall time of the runs in which nothing was removed."""
    return median_ns(trial.control_walls_ns) if trial.control_walls_ns else wall_ns


def noise_of(trial: Trial, base_ns: int, wall_ns: int) -> int:
    """How far two equal runs lie apart here: the spread of those in which nothing was removed.

    Where the unchanged command was not timed again, the observed run stands in for that; watching
    made it longer, so that the noise is rather put too high.
    """
    arms = (*trial.arms, *stand_in(trial, wall_ns))
    walls_ns = [wall for arm in arms if arm.name in (OBSERVED, *CONTROLS) for wall in arm.walls_ns]
    spread_ns = max(walls_ns) - min(walls_ns) if walls_ns else 0
    return round(max(NOISE_FLOOR_RATIO * base_ns, spread_ns))


def stand_in(trial: Trial, wall_ns: int) -> tuple[Arm, ...]:
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
    if abs(base_ns - wall_ns) > NOISE_FLOOR_RATIO * base_ns:
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
