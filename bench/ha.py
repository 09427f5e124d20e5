"""Every fault of the HA lab: is it named first, with its component, and with its true share?

Each round switches each fault on, times the scene's command with it and without it, and has it
explained on the client's node as a user would. The truth is what the command took longer.
"""

import dataclasses
import json
import os
import shutil
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from kubelag.cli.ending import INTERRUPTED
from kubelag.errors import KubelagError
from kubelag.lab import session
from kubelag.lab.faults.contract import HaFault, Scene
from kubelag.lab.faults.registry import FAULTS, find_ha_fault
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.rehearsal import Wish, rehearsed_ha
from kubelag.lab.ha.switches import on_stage, switch_off, switch_on
from kubelag.lab.ha.timing import COLD_CACHE
from kubelag.model.experiment import CONTROLS
from kubelag.model.report import Report, VerdictLine
from measuring import (
    Goal,
    Table,
    code,
    end_cleanly,
    finish,
    ha_lab,
    machine,
    machine_line,
    parser,
    save,
    scratch,
    show,
)

NAMED_GOAL_RATIO = 0.95
SHARE_GOAL_RATIO = 0.10
ACCUSING = frozenset({"proven", "likely"})
PARTIAL = frozenset({"request_bare", "delay_response"})
"""Experiments that by design leave a part of what they remove: one request, as slow as the rest; a
longer way that makes neither the first look-up of a name nor the beginning of long answers slower.
"""
TIMES = 2
"""Timed runs with and without the fault, in turn; the first pair is not counted. Each round has its
own truth, so that one pair is enough."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One explanation of one fault."""

    fault: str
    expected: tuple[str, ...]
    first: str
    """The first cause that was accused, empty where none was."""
    verdict: str
    is_right: bool
    is_component_named: bool
    said_ratio: float | None
    """The first cause's share of the wall time, by its proof, else as it was seen."""
    true_ratio: float
    with_s: float
    without_s: float
    took_s: float
    """The whole explanation."""
    code: str
    """The commit that told it."""
    why: str = ""
    """Where it failed, or what was told instead."""

    @property
    def is_named(self) -> bool:
        """Right mechanism and right component."""
        return self.is_right and self.is_component_named


def main() -> None:
    """Measure, print, and save after each explanation: all of it takes two hours."""
    made = parser(__doc__, rounds=5)
    made.add_argument("--fault", action="append", help="only this one; may be given again")
    made.add_argument("--more", action="store_true", help="add to what the output holds")
    made.add_argument("--keep", type=Path, help="where to keep the bundles of what was not named")
    args = made.parse_args()
    end_cleanly()
    names = args.fault or [one.id for one in FAULTS if one.topology == "ha"]
    facts = machine()
    print(machine_line(facts))
    told = _loaded(args.output) if args.more else []
    for one in _all(names, args.rounds, args.keep):
        told.append(one)
        save(args.output, facts, goals(told), [_table(told)], [dataclasses.asdict(t) for t in told])
    show(_table(told))
    finish(args.output, facts, goals(told), [_table(told)], [dataclasses.asdict(t) for t in told])


def _loaded(output: Path | None) -> list[Told]:
    """What was told before."""
    if output is None or not output.exists():
        return []
    return [Told(**one) for one in json.loads(output.read_text())["raw"]]


def _all(names: Sequence[str], rounds: int, keep: Path | None) -> Iterator[Told]:
    """One lab for all; each fault leaves it as it was."""
    with ha_lab() as environment, scratch() as passing:
        for number in range(rounds):
            for name in names:
                bundle = (keep or passing) / f"{name}-{number + 1}"
                told = _told(environment, name, bundle)
                if told.is_named:
                    shutil.rmtree(bundle, ignore_errors=True)
                print(f"round {number + 1}: {_line(told)}", flush=True)
                yield told


def _told(environment: Mapping[str, str], name: str, bundle: Path) -> Told:
    fault = find_ha_fault(name)
    walls_s = (0.0, 0.0)
    try:
        with session.hold_ha(environment) as ha:
            walls_s = _walls(ha, fault)
        start_s = time.perf_counter()
        wish = Wish(save=bundle, options=("--quiet", "--output", os.devnull))
        with rehearsed_ha(fault, environment, wish, _nothing) as found:
            took_s = time.perf_counter() - start_s
            if found.exit_code == INTERRUPTED:  # it reports what it had seen until then
                raise KeyboardInterrupt
            return _judged(fault, found.report, found.component, (*walls_s, took_s))
    except KubelagError as error:
        return _judged(fault, None, (), (*walls_s, 0.0), str(error))


def _walls(ha: HaLab, fault: HaFault) -> tuple[float, float]:
    """Median seconds of the scene's command with the fault, and on its stage without it."""
    with_s, without_s = [], []
    for _ in range(TIMES):
        switch_on(ha, fault)
        try:
            scene = fault.scene(ha)
            with_s.append(timed(ha, scene))
        finally:
            switch_off(ha, fault)
        with on_stage(ha, fault):
            if not scene.cold:
                timed(ha, scene)  # switching forgets the cache, and this one is to be warm
            without_s.append(timed(ha, scene))
    return statistics.median(with_s[1:]), statistics.median(without_s[1:])


def timed(ha: HaLab, scene: Scene) -> float:
    """Seconds of one run on the client's node, however it ends."""
    cache = Path(scene.environment["HOME"]) / COLD_CACHE
    extra = (f"--cache-dir={cache}",) if scene.cold else ()
    start_s = time.perf_counter()
    try:
        ha.run(*scene.command, *extra, environment=scene.environment, timeout_s=300.0)
        return time.perf_counter() - start_s
    finally:
        shutil.rmtree(cache, ignore_errors=True)


def _judged(
    fault: HaFault,
    report: Report | None,
    component: tuple[str, ...],
    took_s: tuple[float, float, float],
    why: str = "",
) -> Told:
    """What one explanation said, held against what is known."""
    accused = [line for line in report.verdicts if line.verdict in ACCUSING] if report else []
    first = accused[0] if accused else None
    with_s, without_s, explain_s = took_s
    # One run meets more of what comes by chance than another: what is told of the observed run is
    # held against that run.
    is_of_that_run = report is not None and first is not None and not _is_measured(first)
    whole_s = report.wall_s if report is not None and is_of_that_run else with_s
    is_right = first is not None and first.cause in fault.expected
    headline = report.headline if report else ""
    told = Told(
        fault=fault.id,
        expected=fault.expected,
        first=first.cause if first else "",
        verdict=first.verdict if first else "",
        is_right=report is not None and (is_right if fault.expected else not accused),
        is_component_named=not component or any(name in headline for name in component),
        said_ratio=_said_ratio(report, first) if report and first else None,
        true_ratio=max(0.0, 1 - without_s / whole_s) if whole_s else 0.0,
        with_s=with_s,
        without_s=without_s,
        took_s=explain_s,
        code=code(),
        why=why,
    )
    return told if why or told.is_named else dataclasses.replace(told, why=headline)


def _said_ratio(report: Report, first: VerdictLine) -> float:
    """The first cause's share: what was measured where that settled it, else what was seen."""
    if first.proof and _is_measured(first):
        unchanged = [arm.median_s for arm in first.proof.arms if arm.name in CONTROLS]
        base_s = statistics.median(unchanged) if unchanged else report.wall_s
        return min(1.0, first.proof.saving_s / base_s)
    return first.critical_s / report.wall_s


def _is_measured(first: VerdictLine) -> bool:
    proof = first.proof
    return first.verdict == "proven" and proof is not None and proof.experiment not in PARTIAL


def goals(told: Sequence[Told]) -> list[Goal]:
    """What was promised."""
    faulty = [one for one in told if one.expected]
    clean = [one for one in told if not one.expected]
    off = [abs(one.said_ratio - one.true_ratio) for one in faulty if one.said_ratio is not None]
    return [
        Goal(
            what="faults whose mechanism and component were not named first",
            unit="%",
            limit=round(1 - NAMED_GOAL_RATIO, 2),
            value=_percent([not one.is_named for one in faulty]),
            note=f"{sum(one.is_named for one in faulty)} of {len(faulty)} were",
        ),
        Goal(
            what="runs without a fault in which something was accused",
            unit="",
            limit=0,
            value=float(sum(bool(one.first) for one in clean)) if clean else None,
            note=f"{len(clean)} runs",
        ),
        Goal(
            what="share of the wall time said, off the truth (median)",
            unit="%",
            limit=SHARE_GOAL_RATIO,
            value=statistics.median(off) if off else None,
            note=f"{sum(one <= SHARE_GOAL_RATIO for one in off)} of {len(off)} within the goal",
        ),
    ]


def _percent(wrong: Sequence[bool]) -> float | None:
    return sum(wrong) / len(wrong) if wrong else None


def _table(told: Sequence[Told]) -> Table:
    rows = [_row([one for one in told if one.fault == name]) for name in _names(told)]
    header = ("fault", "named", "accused first", "verdicts", "said", "true", "with", "without")
    return Table(title="Every fault of the HA lab", header=header, rows=tuple(rows))


def _names(told: Sequence[Told]) -> list[str]:
    return list(dict.fromkeys(one.fault for one in told))


def _row(told: Sequence[Told]) -> tuple[str, ...]:
    said = [one.said_ratio for one in told if one.said_ratio is not None]
    return (
        told[0].fault,
        f"{sum(one.is_named for one in told)} of {len(told)}",
        ", ".join(dict.fromkeys(one.first or "nothing" for one in told)),
        ", ".join(dict.fromkeys(one.verdict or "-" for one in told)),
        f"{statistics.median(said):.0%}" if said else "-",
        f"{statistics.median(one.true_ratio for one in told):.0%}",
        f"{statistics.median(one.with_s for one in told):.2f} s",
        f"{statistics.median(one.without_s for one in told):.2f} s",
    )


def _line(one: Told) -> str:
    named = "named" if one.is_named else "component missed" if one.is_right else "MISSED"
    said = "-" if one.said_ratio is None else f"{one.said_ratio:.0%}"
    return (
        f"{one.fault}: {named}, {one.first or 'nothing'} {one.verdict}, said {said}, true "
        f"{one.true_ratio:.0%}, {one.with_s:.2f} s with, {one.without_s:.2f} s without, explained "
        f"in {one.took_s:.0f} s {one.why}"
    )


def _nothing(_text: str) -> None:
    """What the rehearsal says on its way."""


if __name__ == "__main__":
    main()
