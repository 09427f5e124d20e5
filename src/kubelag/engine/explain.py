"""The whole loop for one command: observe, judge, prove; the report is made of what it returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from kubelag.causes.catalogue import all_causes
from kubelag.engine.captures import Files, with_captures
from kubelag.engine.observing import (
    Manner,
    is_slow_server,
    needs_depth,
    observe,
    target_of,
    with_own_request,
    without_own_request,
)
from kubelag.engine.proving import Bench, prove
from kubelag.engine.reporting import Judged, judge
from kubelag.engine.road import (
    Hints,
    Road,
    road_to,
    with_path,
    with_server_probes,
    without_path,
)
from kubelag.engine.setting import Setting, look_at, refuse_unsafe
from kubelag.errors import CaptureError, RefusedError
from kubelag.experiments.contract import NotApplicableError
from kubelag.experiments.scratch import Scratch
from kubelag.experiments.trial import INTERRUPTED, Progress
from kubelag.launch.child import Child
from kubelag.model.evidence import Evidence, Look
from kubelag.model.experiment import Trial
from kubelag.observe.network_watch import NetworkWatch

# Three blocks take three times the observed run and the treatments; both figures are arbitrary.
_LEAST_BUDGET_S, _BUDGET_RATIO = 120.0, 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user asked for."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    cold: bool = False
    once: bool = False
    """Watch one run of a command that may change something."""
    prove: bool = True
    experiments: tuple[str, ...] = ()
    """What to try besides what suspected causes ask for: ids of arms, or of experiments."""
    hints: Hints = field(default_factory=Hints)
    """What is known of the way to the server."""
    captures: Files = field(default_factory=Files)
    """Packet captures that the user brings; read after the run."""
    budget_s: float | None = None
    """Begin no round of experiments that would end later; None gives a slow command its time."""
    show_output: bool = False
    cgroup_procs: tuple[str, ...] = ()
    """Control groups that every run of the command joins: the lab's faults need it."""

    def budget_for(self, evidence: Evidence) -> float:
        """Enough for three blocks of what was observed, with room for a few more of quick ones."""
        if self.budget_s is not None:
            return self.budget_s
        return max(_LEAST_BUDGET_S, _BUDGET_RATIO * evidence.run.wall_ns / 1e9)

    def child(self) -> Child | None:
        """How the observed command is started."""
        if not self.cgroup_procs:
            return None
        return Child(cgroup_procs=self.cgroup_procs, dies_with_us=False)


class Teller(Progress, Protocol):
    """Who is told how the explanation goes."""

    def stage(self, text: str) -> None:
        """What begins now."""

    def watching(self, elapsed_s: float) -> None:
        """The observed run goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """What a bundle keeps: the report is made from this alone."""

    judged: Judged
    trial: Trial

    @property
    def is_interrupted(self) -> bool:
        """Whether somebody ended it early: then it holds what was found until then."""
        return self.judged.case.evidence.run.interrupted or self.trial.stopped == INTERRUPTED


def explain(wish: Wish, teller: Teller) -> Explained:
    """Explain one command.

    Raises:
        KubelagError: With one clear sentence, before anything is run that must not be.
    """
    setting = look_at(wish.argv, wish.env, wish.child())
    refuse_unsafe(setting, cold=wish.cold, once=wish.once)
    if setting.repeatable.is_repeatable:  # what may change something is not cut short for us
        setting = replace(setting, child=Child(cgroup_procs=wish.cgroup_procs))
    road = road_to(setting, wish.hints)
    with Scratch(setting.cache) as scratch:
        teller.stage("watching one run")
        why_not_again = _keep_state(wish, setting, scratch)
        network = NetworkWatch(road.scope)
        evidence = _observe_first(wish, setting, scratch, network, teller)
        evidence = _with_captures(wish, evidence, network)
        try:
            evidence = _probe_the_way(wish, road, teller, evidence)
            is_joined = wish.captures != Files()  # the captures are of this run, and of no other
            if needs_depth(evidence) and not why_not_again and not is_joined:
                evidence = _look_deeper(setting, scratch, road, teller, evidence)
            evidence = _ask_by_own_client(wish, setting, teller, evidence)
        except KeyboardInterrupt:
            judged, trial = judge(evidence, all_causes()), Trial(stopped=INTERRUPTED)
            return Explained(judged=judged, trial=trial)
        judged = judge(evidence, all_causes())
        trial = Trial()
        if wish.prove and _may_prove(evidence) and (judged.suspected or wish.experiments):
            child = Child(cgroup_procs=wish.cgroup_procs)
            bench = Bench(setting=setting, child=child, scratch=scratch)
            trial = _refused(why_not_again) or prove(
                judged, bench, teller, wish.budget_for(evidence), wish.experiments
            )
        return Explained(judged=judged, trial=trial)


def _refused(why_not: str) -> Trial | None:
    return Trial(stopped=f"none, since {why_not}") if why_not else None


def _observe_first(
    wish: Wish, setting: Setting, scratch: Scratch, network: NetworkWatch, teller: Teller
) -> Evidence:
    """The run that is explained; cold only where the cache could have been warm."""
    first = _with_cold_cache(setting, scratch) if wish.cold else setting
    is_cold = first is not setting
    if is_cold:  # what earlier runs left unwritten is not this one's to pay for
        scratch.settle(scratch.same_file_system())
    manner = Manner(network=network, show_output=wish.show_output, tick=teller.watching)
    return observe(first, manner, shown=wish.argv, cold=is_cold)


def _with_captures(wish: Wish, evidence: Evidence, network: NetworkWatch) -> Evidence:
    """What the user's captures tell; one that is no use is told of and loses nothing else."""
    try:
        return with_captures(evidence, wish.captures, network.captured)
    except CaptureError as error:
        look = Look(observer="captures", state="could_not_look", how=str(error))
        return replace(evidence, looks=(*evidence.looks, look))


def _keep_state(wish: Wish, setting: Setting, scratch: Scratch) -> str:
    """Keep a copy of the cache as it is.

    Returns:
        Why the command cannot be run again as it was; empty where it can.
    """
    if not setting.repeatable.is_repeatable:
        return ""
    try:
        scratch.snapshot(cold=wish.cold)
    except NotApplicableError as why:
        return str(why)
    return ""


def _may_prove(evidence: Evidence) -> bool:
    """Only what is known to change nothing is repeated, and only what ended by itself."""
    return evidence.repeatable and not evidence.run.interrupted and evidence.run.signal is None


def _look_deeper(
    setting: Setting, scratch: Scratch, road: Road, teller: Teller, evidence: Evidence
) -> Evidence:
    """A second run in the same cache state, with every file call watched.

    Raises:
        KeyboardInterrupt: It was interrupted: then nothing more is to be run.
    """
    teller.stage("watching every file call of a second run")
    try:
        again = _with_cold_cache(setting, scratch)
    except RefusedError:
        return evidence
    manner = Manner(depth="files", network=NetworkWatch(road.scope), tick=teller.watching)
    deeper = observe(again, manner, shown=evidence.command, cold=evidence.cold)
    if deeper.run.interrupted:
        raise KeyboardInterrupt
    # A run that ended otherwise is another run: it explains nothing about the first.
    same_end = deeper.run.exit_code == evidence.run.exit_code
    if not same_end or not deeper.has_looked("syscalls"):
        return evidence
    # The way is the same, and was probed after the first run already.
    probed = tuple(look for look in evidence.looks if look.observer == "path")
    return replace(deeper, path=evidence.path, looks=(*deeper.looks, *probed))


def _probe_the_way(wish: Wish, road: Road, teller: Teller, evidence: Evidence) -> Evidence:
    """Connections of our own to the same server, without credentials."""
    if not wish.prove:
        return without_path(evidence, "nothing is to be run again")
    if evidence.run.interrupted:
        return without_path(evidence, "the command was ended early")
    if road.asked is not None:
        teller.stage("looking at the way to the server")
    return with_path(evidence, road)


def _ask_by_own_client(
    wish: Wish, setting: Setting, teller: Teller, evidence: Evidence
) -> Evidence:
    """One of the requests once more, where anything may be run again at all.

    Raises:
        KeyboardInterrupt: It was interrupted: then nothing more is to be run.
    """
    if why_not := _why_not_once_more(wish, setting, evidence):
        return without_own_request(evidence, why_not)
    request = target_of(evidence)
    if request is None:
        return without_own_request(evidence, "the client's log names no request for an object")
    if wish.budget_s is not None and request.end_ns - request.start_ns > wish.budget_s * 1e9:
        return without_own_request(evidence, "it would take longer than the budget")
    teller.stage("watching one request by kubelag's own client")
    evidence = with_own_request(setting, evidence, request)
    if is_slow_server(evidence):
        teller.stage("finding out which part of the server is slow")
        evidence = with_server_probes(evidence, setting, request)
    return evidence


def _why_not_once_more(wish: Wish, setting: Setting, evidence: Evidence) -> str:
    """Why no request of the command may be sent again; empty where it may."""
    if not wish.prove:
        return "nothing is to be run again"
    if not evidence.repeatable:
        return f"nothing is run again, since {evidence.repeatable_why}"
    if not _may_prove(evidence):
        return "the command was ended early"
    return "" if setting.kubeconfig else "the command talks to no server"


def _with_cold_cache(setting: Setting, scratch: Scratch) -> Setting:
    """The command with a private cache in the state to be explained."""
    if setting.cache is None or setting.cache.state in {"unwritable", "dangling_link"}:
        return setting
    try:
        directory = scratch.place("as_observed")
    except NotApplicableError as error:
        message = f"no fresh cache directory could be made beside {setting.cache.root}: {error}"
        raise RefusedError(message, "explain the command without --cold") from error
    return setting if directory is None else setting.with_cache(str(directory))
