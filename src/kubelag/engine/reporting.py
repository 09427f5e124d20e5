"""Pure: evidence and trial to report. Runs on a saved bundle exactly as on a fresh run."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from kubelag import __version__
from kubelag.causes.contract import Case, Cause
from kubelag.engine.expecting import base_of, in_proportion
from kubelag.engine.proof import rule
from kubelag.engine.ruling import Ruling
from kubelag.engine.silences import silences
from kubelag.engine.way import way
from kubelag.experiments.statistics import median_ns
from kubelag.model.attribution import Attribution
from kubelag.model.evidence import CacheDirectory, Evidence
from kubelag.model.experiment import Experiment, Trial, is_arm_of
from kubelag.model.remedy import Advice
from kubelag.model.report import (
    CacheLine,
    CommandLine,
    CouldNotLook,
    FactorLine,
    ObserverLine,
    Report,
    RuledOut,
    VerdictLine,
)
from kubelag.model.units import seconds
from kubelag.model.verdict import Fact, Judgement, VerdictValue
from kubelag.timeline.attribute import attribute
from kubelag.timeline.factors import title

Adviser = Callable[[str, Evidence], Advice]
"""Gives a remedy's exact commands for this machine, by the remedy's id."""

# Arms that do less or more, or are another program: what this one should take they do not say.
_NOT_ALIKE = ("request_bare", "own_client", "delay_response", "small_segments", "discovery_stubbed")
_ORDER: tuple[VerdictValue, ...] = ("proven", "likely", "contributing", "unknown", "ruled_out")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """All causes' opinions over one run."""

    case: Case
    judgements: tuple[Judgement, ...]
    errors: tuple[str, ...]
    """Causes that crashed: they are told, never skipped."""

    @property
    def suspected(self) -> tuple[Judgement, ...]:
        """Those that deserve a proof, the costliest first."""
        suspects = (one for one in self.judgements if one.standing == "suspected")
        return tuple(sorted(suspects, key=lambda one: -one.high_ns))


def judge(evidence: Evidence, causes: Sequence[Cause]) -> Judged:
    """Ask every cause; a crash of one is caught here, and only here."""
    case = Case(evidence=evidence, attribution=attribute(evidence))
    judgements, errors = [], []
    for cause in causes:
        try:
            judgements.append(cause.judge(case))
        except Exception as error:  # noqa: BLE001 - the one runner of causes; told in the report
            errors.append(f"cause {cause.id} crashed: {type(error).__name__}: {error}")
    return Judged(case=case, judgements=tuple(judgements), errors=tuple(errors))


def report_on(judged: Judged, trial: Trial, advise: Adviser) -> Report:
    """The whole report."""
    case, evidence = judged.case, judged.case.evidence
    verdicts = _verdicts(judged, trial)
    expected_s, expected_why = _expected(trial)
    wall_s = case.attribution.wall_ns / 1e9
    return Report(
        kubelag_version=__version__,
        started_at=_iso(evidence.run.start_ns),
        host=evidence.machine.hostname,
        command=_command(case),
        wall_s=wall_s,
        expected_s=expected_s,
        expected_why=expected_why,
        headline=_headline(case, verdicts),
        factors=_factors(case.attribution),
        unexplained_s=case.attribution.unexplained_ns / 1e9,
        unexplained_share=_share(case.attribution.unexplained_ns, case.attribution),
        incomplete=case.is_incomplete,
        verdicts=verdicts,
        ruled_out=_ruled_out(judged.judgements),
        could_not_look=_could_not_look(evidence),
        remedies=_remedies(judged, verdicts, advise),
        observer=_observer(evidence, trial, wall_s),
        cache=_cache(evidence),
        way=tuple(way(evidence)),
        silences=tuple(silences(evidence)),
        notes=tuple(_notes(case, trial)),
        errors=judged.errors,
    )


def _verdicts(judged: Judged, trial: Trial) -> tuple[VerdictLine, ...]:
    lines = [_suspected(judged.case, one, trial) for one in judged.suspected]
    lines += [_unknown(one) for one in judged.judgements if one.standing == "unknown"]
    return tuple(sorted(lines, key=_rank))


def _rank(line: VerdictLine) -> tuple[int, float, int]:
    """What costs most comes first, proven or likely: a proven trifle must not hide it."""
    accuses = line.verdict in {"proven", "likely"}
    place = _ORDER.index(line.verdict)
    return (0 if accuses else place, -line.predicted_saving_s[1] if accuses else 0.0, place)


def _suspected(case: Case, judgement: Judgement, trial: Trial) -> VerdictLine:
    critical_ns = _waited_ns(case, judgement)
    wall_ns = case.attribution.wall_ns
    ruling = rule(judgement, trial, wall_ns, critical_ns)
    if ruling.proof:
        judgement = in_proportion(judgement, base_of(trial, wall_ns), wall_ns)
    return VerdictLine(
        cause=judgement.cause,
        verdict=ruling.verdict,
        sentence=_with_reason(judgement.sentence, ruling),
        predicted_saving_s=(judgement.low_ns / 1e9, judgement.high_ns / 1e9),
        critical_s=min(critical_ns, wall_ns) / 1e9,
        arithmetic=judgement.arithmetic,
        proof=ruling.proof,
        evidence=judgement.facts,
        sources=judgement.sources,
        remedies=(*judgement.remedies, *(advice.id for advice in judgement.advice)),
    )


def _waited_ns(case: Case, judgement: Judgement) -> int:
    """The cause's part of the critical path."""
    if judgement.waited_ns is not None:
        return judgement.waited_ns
    # Some causes cost more than their main factor says: a client that throttles itself, too.
    return max(case.critical_ns(*judgement.factors), judgement.low_ns)


def _with_reason(sentence: str, ruling: Ruling) -> str:
    return f"{sentence} ({ruling.reason})" if ruling.reason else sentence


def _unknown(judgement: Judgement) -> VerdictLine:
    missing = (Fact(text=text, observer=text.partition(":")[0]) for text in judgement.missing)
    return VerdictLine(
        cause=judgement.cause,
        verdict="unknown",
        sentence=judgement.sentence,
        predicted_saving_s=(0.0, 0.0),
        arithmetic="",
        proof=None,
        evidence=tuple(missing),
        sources=judgement.sources,
        remedies=(),
    )


def _expected(trial: Trial) -> tuple[float | None, str]:
    """The fastest way of running the same program that did the same."""
    treated = [
        (median_ns(arm.walls_ns), one)
        for one in trial.experiments
        if _saved_time(one) and _is_alike(one.id) and (arm := trial.arm(one.id))
    ]
    if not treated:
        return None, ""
    wall_ns, fastest = min(treated, key=lambda pair: pair[0])
    return wall_ns / 1e9, f"median with {fastest.id}"


def _is_alike(arm: str) -> bool:
    return not any(is_arm_of(arm, kind) for kind in _NOT_ALIKE)


def _saved_time(experiment: Experiment) -> bool:
    """Whether it was faster for certain; what saved nothing says nothing of what should be."""
    estimate = experiment.estimate
    return experiment.outcome == "measured" and estimate is not None and estimate.low_ns > 0


def _headline(case: Case, verdicts: Iterable[VerdictLine]) -> str:
    first = next(iter(verdicts), None)
    wall = seconds(case.attribution.wall_ns)
    if first and first.verdict != "unknown":
        return first.sentence
    rest_ns = case.attribution.unexplained_ns
    if case.is_incomplete and case.is_notable(rest_ns):
        rest = seconds(rest_ns)
        return f"I can't tell: {rest} of {wall} have no explanation that was looked for"
    if case.evidence.run.exit_code:
        return f"The command failed after {wall}; nothing slow was seen until then"
    if first:
        return "I can't tell for sure: see what could not be looked at"
    return f"Nothing slow was found in these {wall}"


def _factors(attribution: Attribution) -> tuple[FactorLine, ...]:
    return tuple(
        FactorLine(
            id=share.factor,
            title=title(share.factor),
            exclusive_s=share.exclusive_ns / 1e9,
            union_s=share.union_ns / 1e9,
            critical_s=share.critical_ns / 1e9,
            share=_share(share.critical_ns, attribution),
            count=share.count,
        )
        for share in attribution.shares
    )


def _share(part_ns: int, attribution: Attribution) -> float:
    return part_ns / attribution.wall_ns if attribution.wall_ns else 0.0


def _ruled_out(judgements: Iterable[Judgement]) -> tuple[RuledOut, ...]:
    return tuple(
        RuledOut(cause=one.cause, sentence=one.sentence, evidence=one.facts)
        for one in judgements
        if one.standing == "ruled_out"
    )


def _could_not_look(evidence: Evidence) -> tuple[CouldNotLook, ...]:
    return tuple(
        CouldNotLook(observer=look.observer, why=look.how)
        for look in evidence.looks
        if look.state == "could_not_look"
    )


def _remedies(
    judged: Judged, verdicts: Iterable[VerdictLine], advise: Adviser
) -> tuple[Advice, ...]:
    """In the order of the verdicts, each once; nothing for what is unknown."""
    by_cause = {one.cause: one for one in judged.judgements}
    offered: dict[str, Advice] = {}
    for line in verdicts:
        if line.verdict == "unknown":
            continue
        judgement = by_cause[line.cause]
        for name in judgement.remedies:
            offered.setdefault(name, advise(name, judged.case.evidence))
        for advice in judgement.advice:
            offered.setdefault(advice.id, advice)
    return tuple(offered.values())


def _observer(evidence: Evidence, trial: Trial, wall_s: float) -> ObserverLine:
    return ObserverLine(
        kind=_watched_by(evidence),
        events=sum(one.events for one in evidence.looks),
        lost=sum(one.lost for one in evidence.looks),
        overhead_s=_overhead_s(trial, wall_s),
    )


def _watched_by(evidence: Evidence) -> str:
    look = evidence.look("syscalls")
    if look and look.state == "looked":
        return look.how
    if evidence.has_looked("calls_in_flight"):
        return "system calls in flight, sampled"
    return "no system calls watched"


def _overhead_s(trial: Trial, wall_s: float) -> float | None:
    controls_ns = trial.control_walls_ns
    return wall_s - median_ns(controls_ns) / 1e9 if controls_ns else None


def _command(case: Case) -> CommandLine:
    evidence = case.evidence
    return CommandLine(
        argv=evidence.command,
        exit_code=evidence.run.exit_code,
        signal=evidence.run.signal,
        interrupted=evidence.run.interrupted,
        cold=evidence.cold,
        repeatable=evidence.repeatable,
        client=case.client,
        client_path=evidence.client.real_path,
        wrappers=evidence.client.wrappers,
        stderr_tail=evidence.run.stderr_tail,
    )


def _cache(evidence: Evidence) -> CacheLine | None:
    cache = evidence.cache
    if cache is None:
        return None
    return CacheLine(
        root=cache.root,
        rule=cache.rule,
        state=cache.state,
        fresh_until=_iso(cache.fresh_until_ns) if cache.fresh_until_ns else None,
        file_system=cache.file_system,
        device=cache.device,
        sentence=_cold_sentence(cache) if evidence.cold else _cache_sentence(cache),
    )


def _cold_sentence(cache: CacheDirectory) -> str:
    used = "a fresh cache directory beside your own was used, on the same file system"
    return f"{used} ({cache.place})"


def _cache_sentence(cache: CacheDirectory) -> str:
    told = f"{cache.place}, by {cache.rule}" if cache.place else cache.rule
    where = f"{cache.root} ({told})"
    if cache.problem:
        return f"{where}: {cache.problem}"
    if cache.state == "unknown":
        return f"{where}; whether it was warm is not known"
    return f"{where} was {cache.state.replace('_', ' ')}"


def _notes(case: Case, trial: Trial) -> Iterable[str]:
    evidence, cache = case.evidence, case.evidence.cache
    if cache and cache.state == "warm" and not evidence.cold and cache.fresh_until_ns:
        until = datetime.fromtimestamp(cache.fresh_until_ns / 1e9, tz=UTC).astimezone()
        yield (
            f"the discovery cache was warm and stays so until {until:%Y-%m-%d %H:%M:%S %Z}; "
            "--cold explains the run that will hurt"
        )
    own = evidence.own_request
    if own and own.status is not None:
        yield f"the same request by kubelag's own client, {own.verb} {own.url}: {own.outline}"
    if not evidence.repeatable:
        yield f"it was not run again, since {evidence.repeatable_why}"
    yield from _tried(trial)
    if trial.stopped:
        yield f"experiments: {trial.stopped}"


def _tried(trial: Trial) -> Iterator[str]:
    """What the user asked for, also where nobody was suspected of it."""
    for one in (arm for name in trial.asked for arm in trial.named(name)):
        estimate, arm = one.estimate, trial.arm(one.id)
        if one.outcome != "measured" or estimate is None or arm is None:
            yield f"{one.id}, as asked for: {one.why or one.outcome}"
            continue
        interval = f"{seconds(estimate.low_ns)} to {seconds(estimate.high_ns)}"
        yield (
            f"{one.id}, as asked for: {seconds(median_ns(arm.walls_ns))}, so it saves "
            f"{seconds(estimate.saving_ns)} (95 % interval {interval}; less than nothing: it costs)"
        )


def _iso(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, tz=UTC).isoformat(timespec="milliseconds")
