"""Pure: the verdict on what cannot be removed, only made longer.

The number of round trips that are waited for (the slope) times what one costs now takes the place
of the saving. It is the least that they cost: a relay delays neither the looking up of names nor
the acknowledgements for which TCP's window waits. Its interval's lower end must be at least 20 % of
the wall time, and each dose must add the same.
"""

from dataclasses import replace

from kubelag.engine.expecting import base_of, is_below_prediction, scaled, tolerance_of
from kubelag.engine.ruling import PROVEN_RATIO, Ruling, arms_shown, if_reproduced, proof_of
from kubelag.model.experiment import DoseResponse, Estimate, Experiment, Trial
from kubelag.model.units import counted, seconds
from kubelag.model.verdict import Judgement, VerdictValue

# A bend of the response by less than this share of what the doses added is none. Arbitrary.
_BEND_RATIO = 0.10


def rule_by_doses(
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
    arms = arms_shown(judgement, trial, wall_ns)
    proof = replace(
        proof_of(given, contribution, trial, base_ns, arms),
        sentence=_dose_sentence(response, contribution, judgement.dose_ns, base_ns),
    )
    return if_reproduced(Ruling(verdict=verdict, proof=proof, reason=reason), base_ns, wall_ns)


def _decide_by_doses(
    judgement: Judgement,
    response: DoseResponse,
    contribution: Estimate,
    trial: Trial,
    wall_ns: int,
) -> tuple[VerdictValue, str]:
    base_ns = base_of(trial, wall_ns)
    tolerance_ns = tolerance_of(trial, base_ns, wall_ns)
    least = f"{seconds(contribution.saving_ns)} of {seconds(base_ns)}"
    cost = f"by dose and response it costs at least {least}"
    if contribution.high_ns < PROVEN_RATIO * base_ns:
        if judgement.low_ns > PROVEN_RATIO * base_ns:
            return (
                "unknown",
                f"{cost}, far less than predicted: it is out of their reach, or not there",
            )
        return "contributing", f"{cost}, under {PROVEN_RATIO:.0%}"
    if contribution.low_ns < PROVEN_RATIO * base_ns:
        interval = f"{seconds(contribution.low_ns)} to {seconds(contribution.high_ns)}"
        return "likely", f"{cost}, but the 95 % interval is {interval}"
    if not _is_linear(response):
        side = "more" if response.bend_ns > 0 else "less"
        bend = f"{seconds(abs(response.bend_ns))} {side} than the smallest foretold"
        return "likely", f"{cost}, but the largest dose added {bend}: not the delay alone counts"
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
        f"{seconds(dose_ns)} are waited for one after the other: at least {whole}"
    )
