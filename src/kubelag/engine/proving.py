"""Chooses experiments, runs them, and follows time that moved elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kubelag.engine.observing import Manner, observe
from kubelag.engine.proof import base_of, is_below_prediction, scaled, tolerance_of
from kubelag.engine.reporting import Judged
from kubelag.engine.setting import Setting, look_at
from kubelag.experiments.catalogue import EXPERIMENTS
from kubelag.experiments.contract import Experiment as Kind
from kubelag.experiments.contract import Situation, Variant
from kubelag.experiments.scratch import Scratch
from kubelag.experiments.timing import argv_in_place
from kubelag.experiments.trial import (
    CANNOT_RUN,
    INTERRUPTED,
    Progress,
    TrialRunner,
)
from kubelag.launch.child import Child
from kubelag.model.attribution import Attribution
from kubelag.model.experiment import Experiment, Trial
from kubelag.model.units import seconds
from kubelag.model.verdict import Judgement
from kubelag.timeline.attribute import attribute
from kubelag.timeline.factors import CACHE_FILES, CACHE_FSYNC, OTHER_FILES, OTHER_FSYNC, title

# The user's own cache is used where it cannot be written anyway: nothing is changed there.
_OWN_STATES = frozenset({"unwritable", "dangling_link"})
_DISK = (CACHE_FSYNC, CACHE_FILES, OTHER_FSYNC, OTHER_FILES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where and how the command is run again."""

    setting: Setting
    child: Child
    scratch: Scratch


def prove(judged: Judged, bench: Bench, progress: Progress, budget_s: float) -> Trial:
    """Run every experiment that some suspected cause asks for."""
    setting, scratch = bench.setting, bench.scratch
    kinds = wanted(judged.suspected)
    if not kinds:
        return Trial()
    evidence = judged.case.evidence
    cache = evidence.cache
    own = cache is None or cache.state in _OWN_STATES
    unchanged = Variant(
        argv=setting.argv,
        env=setting.env,
        cache="own" if own else "as_observed",
        child=bench.child,
        shown=" ".join(evidence.command),
    )
    situation = Situation(evidence=evidence, unchanged=unchanged, kubeconfig=setting.kubeconfig)
    trial = Trial()
    try:
        # Some experiments take their time to prepare: a credential plugin is run here.
        runner = TrialRunner(situation, kinds, scratch, progress, budget_s=budget_s)
        trial = runner.run()
        followed = [_follow(one, judged, runner, scratch, trial) for one in trial.experiments]
    except KeyboardInterrupt:
        return replace(trial, stopped=INTERRUPTED)
    return replace(trial, experiments=tuple(followed))


def wanted(suspected: Sequence[Judgement]) -> tuple[Kind, ...]:
    """The experiments that suspected causes ask for, in the catalogue's order."""
    names = {name for one in suspected for name in (*one.experiments, *one.supporting)}
    return tuple(kind for kind in EXPERIMENTS if kind.id in names)


def _follow(
    experiment: Experiment, judged: Judged, runner: TrialRunner, scratch: Scratch, trial: Trial
) -> Experiment:
    """Where less was saved than predicted, look at one treated run: what took the time over?"""
    suspect = _main_suspect(experiment, judged)
    if suspect is None or trial.stopped == INTERRUPTED:
        return experiment
    wall_ns = judged.case.attribution.wall_ns
    base_ns = base_of(trial, wall_ns)
    predicted = scaled(suspect, base_ns, wall_ns)
    estimate = experiment.estimate
    if estimate is None or not is_below_prediction(
        predicted, estimate, tolerance_of(trial, base_ns, wall_ns)
    ):
        return experiment
    try:
        treated = _observe_treated(runner.variant(experiment.id), scratch, judged)
    except CANNOT_RUN:
        return experiment
    return _with_knock_on(experiment, judged.case.attribution, treated, suspect)


def _main_suspect(experiment: Experiment, judged: Judged) -> Judgement | None:
    """The costliest cause that this experiment stands for first of all."""
    named = (one for one in judged.suspected if one.experiments[:1] == (experiment.id,))
    return next(named, None) if experiment.outcome == "measured" else None


def _observe_treated(variant: Variant, scratch: Scratch, judged: Judged) -> Attribution:
    argv = argv_in_place(variant, scratch)
    evidence = observe(
        look_at(argv, variant.env, variant.child),
        Manner(pass_fds=variant.pass_fds),
        shown=judged.case.evidence.command,
        cold=judged.case.evidence.cold,
    )
    if evidence.run.interrupted:
        raise KeyboardInterrupt
    return attribute(evidence)


def _with_knock_on(
    experiment: Experiment, before: Attribution, after: Attribution, suspect: Judgement
) -> Experiment:
    grown = {
        factor: after.share(factor).union_ns - before.share(factor).union_ns
        for factor in _DISK
        if factor not in suspect.factors
    }
    moved = {factor: ns for factor, ns in grown.items() if ns > 0}
    if not moved:
        return experiment
    what = ", ".join(f"{title(factor)} ({seconds(ns)})" for factor, ns in moved.items())
    return replace(experiment, knock_on_ns=sum(moved.values()), knock_on_what=what)
