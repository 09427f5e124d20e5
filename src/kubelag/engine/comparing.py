"""Pure: puts the same command on several machines side by side; from bundles alone."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from statistics import median
from urllib.parse import urlsplit

from kubelag import __version__
from kubelag.bundle import Bundle
from kubelag.causes.contract import NOTABLE_NS, NOTABLE_RATIO, Cause
from kubelag.engine.reporting import judge, report_on
from kubelag.engine.traits import NOT_KNOWN, TRAITS, Trait, values_of
from kubelag.model.attribution import Attribution, Factor
from kubelag.model.evidence import Evidence
from kubelag.model.remedy import Advice
from kubelag.model.side_by_side import FactorDifference, Machine, SideBySide, TraitDifference
from kubelag.model.units import duration, seconds
from kubelag.timeline.factors import title

# An outlier lies at least this many times as far from the others as they lie from one another, and
# takes this much longer than they do. Both are arbitrary: machines of the lab differ by a tenth.
_FAR_RATIO, _LONGER_RATIO = 3.0, 1.2
_LEAST_FOR_OUTLIER = 3
_CERTAIN = frozenset({"proven", "likely"})
# Words of a command that name places rather than what is done.
_PLACES = ("--cache-dir", "--kubeconfig")
_UNEXPLAINED = "unexplained"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """One bundle, judged."""

    machine: Machine
    evidence: Evidence
    attribution: Attribution

    @property
    def wall_ns(self) -> int:
        return self.attribution.wall_ns

    def spent_ns(self, factor: Factor) -> int:
        if factor == _UNEXPLAINED:
            return self.attribution.unexplained_ns
        return self.attribution.share(factor).critical_ns


def side_by_side(bundles: Sequence[tuple[str, Bundle]], causes: Sequence[Cause]) -> SideBySide:
    """What differs between the machines, in the order of what it costs.

    Args:
        bundles: At least two, each with the place that it was read from.
        causes: Who judges each of them.
    """
    names = _names([bundle.evidence for _, bundle in bundles], [place for place, _ in bundles])
    judged = (
        _side(name, place, bundle, causes)
        for name, (place, bundle) in zip(names, bundles, strict=True)
    )
    sides = sorted(judged, key=lambda side: side.wall_ns)
    outlier = _outlier(sides)
    slow = next((one for one in sides if one.machine.name == outlier), sides[-1])
    costs = dict(_costs(sides, slow))
    return SideBySide(
        kubelag_version=__version__,
        machines=tuple(side.machine for side in sides),
        outlier=outlier,
        headline=_headline(sides, slow, outlier, costs),
        factors=tuple(_factors(sides, costs)),
        traits=tuple(_traits(sides, slow, costs)),
        warnings=tuple(_warnings(sides)),
    )


def _names(runs: Sequence[Evidence], places: Sequence[str]) -> list[str]:
    """The host's name where that tells them apart, else the bundle's."""
    hosts = Counter(seen.machine.hostname for seen in runs)
    named = [
        seen.machine.hostname if hosts[seen.machine.hostname] == 1 else PurePath(place).name
        for seen, place in zip(runs, places, strict=True)
    ]
    return named if len(set(named)) == len(named) else list(places)


def _side(name: str, place: str, bundle: Bundle, causes: Sequence[Cause]) -> _Side:
    judged = judge(bundle.evidence, causes)
    report = report_on(judged, bundle.trial, _no_advice)
    first = next(iter(report.verdicts), None)
    is_accused = first is not None and first.verdict in _CERTAIN
    return _Side(
        machine=Machine(
            name=name,
            bundle=place,
            command=bundle.evidence.command,
            wall_s=judged.case.attribution.wall_ns / 1e9,
            verdict=first.verdict if first and is_accused else None,
            cause=first.sentence if first and is_accused else "",
        ),
        evidence=bundle.evidence,
        attribution=judged.case.attribution,
    )


def _no_advice(name: str, _evidence: Evidence) -> Advice:
    """A comparison advises nothing, so no remedy is asked for this machine's commands."""
    return Advice(id=name, summary="", commands=())


def _costs(sides: Sequence[_Side], slow: _Side) -> Iterator[tuple[Factor, int]]:
    """What each factor cost the slow machine more than the others, median of those."""
    known = {share.factor for side in sides for share in side.attribution.shares}
    others = [side for side in sides if side is not slow]
    for factor in (*sorted(known), _UNEXPLAINED):
        usual_ns = round(median(side.spent_ns(factor) for side in others))
        yield factor, slow.spent_ns(factor) - usual_ns


def _factors(sides: Sequence[_Side], costs: dict[Factor, int]) -> Iterator[FactorDifference]:
    least_ns = max(NOTABLE_NS, NOTABLE_RATIO * max(side.wall_ns for side in sides))
    for factor, cost_ns in sorted(costs.items(), key=lambda pair: -abs(pair[1])):
        spent = [side.spent_ns(factor) for side in sides]
        if max(spent) - min(spent) >= least_ns:
            yield FactorDifference(
                factor=factor,
                title=title(factor),
                seconds=tuple(ns / 1e9 for ns in spent),
                cost_s=cost_ns / 1e9,
            )


def _traits(
    sides: Sequence[_Side], slow: _Side, costs: dict[Factor, int]
) -> Iterator[TraitDifference]:
    """The most particular first where two bear on the same: it says more."""
    different = []
    for trait in TRAITS:
        values = values_of(trait, (side.evidence for side in sides))
        if len(set(values) - {NOT_KNOWN}) > 1:
            cost_ns = _trait_cost_ns(trait, values, sides, slow, costs)
            different.append((cost_ns, len(trait.bears_on), trait.name, values))
    for cost_ns, _, name, values in sorted(different, key=lambda one: (-one[0], one[1])):
        yield TraitDifference(trait=name, values=values, cost_s=cost_ns / 1e9)


def _trait_cost_ns(
    trait: Trait,
    values: Sequence[str],
    sides: Sequence[_Side],
    slow: _Side,
    costs: dict[Factor, int],
) -> int:
    """What it costs at the most: no more than it costs any machine that has it like the slow one.

    A client that is quick on another machine is not what makes this one slow.
    """
    mine = values[sides.index(slow)]
    alike = [side for side, value in zip(sides, values, strict=True) if value == mine]
    cost_ns = 0
    for factor in trait.bears_on:
        usual_ns = slow.spent_ns(factor) - costs.get(factor, 0)
        cost_ns += max(0, min(side.spent_ns(factor) for side in alike) - usual_ns)
    return cost_ns


def _outlier(sides: Sequence[_Side]) -> str:
    """Which machine is far from the others, compared with how far they are from one another."""
    if len(sides) < _LEAST_FOR_OUTLIER:
        return ""
    slowest, others = sides[-1], [side.wall_ns for side in sides[:-1]]
    spread_ns = max(others) - min(others)
    away_ns = slowest.wall_ns - median(others)
    is_far = away_ns > _FAR_RATIO * spread_ns and slowest.wall_ns > _LONGER_RATIO * median(others)
    return slowest.machine.name if is_far else ""


def _headline(sides: Sequence[_Side], slow: _Side, outlier: str, costs: dict[Factor, int]) -> str:
    quick, reference = sides[0], slow.machine.name
    more_ns = slow.wall_ns - quick.wall_ns
    if more_ns < max(NOTABLE_NS, (_LONGER_RATIO - 1) * quick.wall_ns):
        least, most = duration(quick.machine.wall_s), duration(slow.machine.wall_s)
        return f"All are alike: {least}{'' if least == most else f' to {most}'}"
    factor, cost_ns = max(costs.items(), key=lambda pair: pair[1])
    stands_out = f"{reference} is the outlier" if outlier else f"{reference} is the slowest"
    return (
        f"{stands_out}: {seconds(slow.wall_ns)} against {seconds(quick.wall_ns)} on "
        f"{quick.machine.name}; {seconds(cost_ns)} of the difference went into {title(factor)}"
    )


def _warnings(sides: Sequence[_Side]) -> Iterator[str]:
    commands = {_what(side.evidence.command) for side in sides}
    if len(commands) > 1:
        shown = "; ".join(sorted(" ".join(words) for words in commands))
        yield f"the commands are not the same: {shown}"
    servers = {side.machine.name: _server(side.evidence) for side in sides}
    if len({server for server in servers.values() if server}) > 1:
        shown = ", ".join(f"{name} asked {server or 'nobody'}" for name, server in servers.items())
        yield f"the API servers are not the same: {shown}"
    if len({side.evidence.cold for side in sides}) > 1:
        yield "some runs were cold (--cold) and others not"
    for side in sides:
        if side.evidence.run.exit_code:
            yield f"on {side.machine.name} it failed with exit code {side.evidence.run.exit_code}"
        if side.evidence.run.interrupted:
            yield f"on {side.machine.name} it was interrupted"


def _server(seen: Evidence) -> str:
    """The name and port that the command asked, as its kubeconfig has it; empty if not known."""
    hosts = Counter(urlsplit(request.url).netloc for request in seen.requests)
    if hosts:
        return hosts.most_common(1)[0][0]
    return f"{seen.path.host}:{seen.path.port}" if seen.path else ""


def _what(command: tuple[str, ...]) -> tuple[str, ...]:
    """A command without the names of places, which differ from machine to machine."""
    words = [PurePath(command[0]).name.partition(".")[0], *command[1:]] if command else []
    return tuple(word for word in words if not word.startswith(_PLACES))
