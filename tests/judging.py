"""Asks causes for their opinion of an observed run."""

from kubelag.causes.catalogue import CAUSES
from kubelag.causes.contract import Case, Cause
from kubelag.model.evidence import Evidence
from kubelag.model.verdict import Judgement
from kubelag.timeline.attribute import attribute


def judged(cause: Cause, seen: Evidence) -> Judgement:
    return cause.judge(Case(evidence=seen, attribution=attribute(seen)))


def suspects(seen: Evidence) -> dict[str, Judgement]:
    """Every suspicion, by its cause."""
    found = (judged(cause, seen) for cause in CAUSES)
    return {one.cause: one for one in found if one.standing == "suspected"}
