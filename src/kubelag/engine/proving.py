"""Chooses experiments, runs them, and follows time that moved elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from kubelag.engine.expecting import base_of, is_below_prediction, scaled, tolerance_of
from kubelag.engine.observing import Manner, observe
from kubelag.engine.proof import deciding_of
from kubelag.engine.reporting import Judged
from kubelag.engine.setting import Setting, look_at
from kubelag.experiments.catalogue import EXPERIMENTS
from kubelag.experiments.contract import Kind, Situation, Variant
from kubelag.experiments.scratch import Scratch
from kubelag.experiments.timing import argv_in_place
from kubelag.experiments.trial import (
    CANNOT_RUN,
    INTERRUPTED,
    Progress,
    TrialRunner,
)
from kubelag.experiments.workshop import Workshop
from kubelag.launch.child import Child
from kubelag.model.attribution import Attribution
from kubelag.model.experiment import Experiment, Trial, is_arm_of
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


def prove(
    judged: Judged, bench: Bench, progress: Progress, budget_s: float, asked: tuple[str, ...] = ()
) -> Trial:
    """Run every experiment that some suspected cause asks for, and those that the user does."""
    names = tuple(dict.fromkeys((*wanted(judged.suspected), *asked)))
    kinds = kinds_of(names)
    if not kinds:
        return Trial()
    trial = Trial(asked=asked)
    with Workshop() as workshop:
        situation = _situation(judged, bench, workshop)
        try:
            # Some experiments take their time to prepare: a credential plugin is run here.
            runner = TrialRunner(
                situation, kinds, bench.scratch, progress, budget_s=budget_s, wanted=names
            )
            trial = replace(runner.run(), asked=asked)
            followed = [
                _follow(one, judged, runner, bench.scratch, trial) for one in trial.experiments
            ]
        except KeyboardInterrupt:
            return replace(trial, stopped=INTERRUPTED)
    return replace(trial, experiments=tuple(followed))


def _situation(judged: Judged, bench: Bench, workshop: Workshop) -> Situation:
    setting, evidence = bench.setting, judged.case.evidence
    own = evidence.cache is None or evidence.cache.state in _OWN_STATES
    unchanged = Variant(
        argv=setting.argv,
        env=setting.env,
        cache="own" if own else "as_observed",
        child=bench.child,
        keeps_complaint=evidence.run.exit_code != 0,
        shown=" ".join(evidence.command),
    )
    return Situation(
        evidence=evidence, unchanged=unchanged, kubeconfig=setting.kubeconfig, workshop=workshop
    )


def wanted(suspected: Sequence[Judgement]) -> tuple[str, ...]:
    """The arms and experiments that suspected causes ask for, each once, best first.

    That is: what each cause, the costliest first, thinks best, then what each thinks second best,
    and at the end what decides nothing.
    """
    ranked = zip_longest(*(one.experiments for one in suspected))
    decisive = [name for rank in ranked for name in rank if name]
    supporting = [name for one in suspected for name in one.supporting]
    return tuple(dict.fromkeys((*decisive, *supporting)))


def kinds_of(names: Sequence[str]) -> tuple[Kind, ...]:
    """The experiments of these names, in their order."""
    found = (kind for name in names for kind in EXPERIMENTS if is_arm_of(name, kind.id))
    return tuple({kind.id: kind for kind in found}.values())


def _follow(
    experiment: Experiment, judged: Judged, runner: TrialRunner, scratch: Scratch, trial: Trial
) -> Experiment:
    """Where less was saved than predicted, look at one treated run: what took the time over?"""
    suspect = _main_suspect(experiment, judged, trial)
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


def _main_suspect(experiment: Experiment, judged: Judged, trial: Trial) -> Judgement | None:
    """The costliest cause that this arm decides on, and that thinks no other experiment better."""
    return next(
        (
            one
            for one in judged.suspected
            if (deciding := deciding_of(one, trial)) is not None
            and deciding.id == experiment.id
            and is_arm_of(experiment.id, one.experiments[0])
        ),
        None,
    )


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
