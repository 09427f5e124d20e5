"""Which arms of which experiments a trial has, and what it compares them with."""

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from kubelag.experiments.besides import besides
from kubelag.experiments.blocks import Treated
from kubelag.experiments.contract import Kind, NotApplicableError, Situation, Treatment, Variant
from kubelag.experiments.rerouting import in_a_copy
from kubelag.model.experiment import Experiment, arm_name, is_arm_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """What came of the experiments that were wanted."""

    treated: tuple[Treated, ...]
    """Best first."""
    refused: tuple[Experiment, ...]
    """With why they do not apply here."""


def admit(kinds: Sequence[Kind], situation: Situation, wanted: Collection[str]) -> Admitted:
    """Ask each experiment for its arms.

    Args:
        kinds: Best first.
        situation: The observed run and the unchanged command.
        wanted: Ids of arms, or of experiments for all their arms; everything where it is empty.
    """
    treated: list[Treated] = []
    refused: list[Experiment] = []
    for kind in kinds:
        names = [name for name in wanted if is_arm_of(name, kind.id)] or [kind.id]
        try:
            treatments = kind.vary(situation)
        except NotApplicableError as why:
            refused += (_refused(name, str(why)) for name in names)
            continue
        arms = {arm_name(kind.id, one.label): one for one in treatments}
        treated += (
            _treated(name, treatment, kind, situation)
            for name, treatment in arms.items()
            if _is_wanted(name, treatments, kind, wanted)
        )
        for name in names:
            if not any(is_arm_of(arm, name) for arm in arms):
                refused.append(_refused(name, f"there is no such arm, only {', '.join(arms)}"))
    return Admitted(treated=tuple(treated), refused=tuple(refused))


def placebo(situation: Situation, treated: Iterable[Treated]) -> Variant:
    """Every wrapper with nothing removed: the filter, and a copied kubeconfig where arms do.

    A kubeconfig of hundreds of contexts on a slow disk takes longer to read than its copy.
    """
    unchanged = situation.unchanged
    if any(arm.treatment.variant.cache_server for arm in treated):
        with suppress(NotApplicableError):
            unchanged = in_a_copy(situation)
    return unchanged.but(child=unchanged.child.under("placebo"))


def _is_wanted(
    name: str, treatments: Collection[Treatment], kind: Kind, wanted: Collection[str]
) -> bool:
    """Whether it was asked for, or one that was is compared with it."""
    if not wanted or any(is_arm_of(name, one) for one in wanted):
        return True
    return any(
        arm_name(kind.id, one.against) == name and arm_name(kind.id, one.label) in wanted
        for one in treatments
        if one.against
    )


def _treated(name: str, treatment: Treatment, kind: Kind, situation: Situation) -> Treated:
    return Treated(
        id=name,
        title=f"{kind.title} ({treatment.label})" if treatment.label else kind.title,
        kind=kind.id,
        treatment=treatment,
        besides=besides(situation.evidence, treatment.removes),
    )


def _refused(name: str, why: str) -> Experiment:
    return Experiment(id=name, outcome="not_applicable", why=why)
