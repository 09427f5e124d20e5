"""`kubelag lab run`: play a fault, explain it, and say whether the right cause came out."""

import argparse
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from kubelag.cli.ending import INTERRUPTED
from kubelag.lab.faults.registry import FAULTS, Listed, find_fault, find_ha_fault, find_listed
from kubelag.model.report import Report

if TYPE_CHECKING:
    from kubelag.engine.explain import Explained

# The verdicts that accuse a cause.
_ACCUSING = frozenset({"proven", "likely"})
_WRONG = 1


def list_faults() -> int:
    """Every fault with what it needs, where it plays, and how to see it act."""
    for listed in FAULTS:
        names = " | ".join((listed.id, *listed.aliases))
        where = ", topology ha" if listed.topology == "ha" else ""
        print(f"{names}\n    {listed.summary} (needs {listed.needs}{where})")
        if listed.topology == "ha":
            print(f"    see it: {find_ha_fault(listed.id).how_to_see}")
    return 0


def run_fault(args: argparse.Namespace) -> int:
    """Exit code 0 where the expected cause came out first, or nothing where nothing is wrong.

    Ctrl-C ends the run or the experiments; what was seen until then is reported.
    """
    listed = find_listed(args.fault, args.topology)
    return _run_ha(listed, args) if listed.topology == "ha" else _run_single(listed, args)


def _run_single(listed: Listed, args: argparse.Namespace) -> int:
    from kubelag.bundle import check_place  # noqa: PLC0415 - heavy
    from kubelag.cli.progress import teller_for  # noqa: PLC0415 - the same
    from kubelag.lab.rehearsal import rehearsed  # noqa: PLC0415 - the same

    fault = find_fault(listed.id)
    place = Path(args.save) if args.save else None
    if place:
        check_place(place)
    with (
        closing(teller_for(quiet=False, budget_s=args.budget)) as teller,
        rehearsed(fault, os.environ, teller, args.budget) as found,
    ):
        teller.close()  # which draws where the report comes
        report = _tell(found.explained, place, args.format)
        if found.explained.is_interrupted:
            return INTERRUPTED
        return _say_outcome(fault.expected, (), report, found.scene.describe)


def _tell(explained: "Explained", place: Path | None, wanted: str | None) -> Report:
    """Save what was seen, where a place is named, and print the report."""
    from kubelag.bundle import save  # noqa: PLC0415 - heavy
    from kubelag.engine.reporting import report_on  # noqa: PLC0415 - the same
    from kubelag.remedies.catalogue import advise  # noqa: PLC0415 - the same
    from kubelag.report.formats import default_format, writer  # noqa: PLC0415 - the same

    if place:
        save(place, explained.judged.case.evidence, explained.trial)
    report = report_on(explained.judged, explained.trial, advise)
    writer(wanted or default_format(sys.stdout))(report, sys.stdout)
    sys.stdout.flush()
    return report


def _run_ha(listed: Listed, args: argparse.Namespace) -> int:
    from kubelag.bundle import check_place  # noqa: PLC0415 - heavy
    from kubelag.lab.ha.rehearsal import Wish, rehearsed_ha  # noqa: PLC0415 - the same

    fault = find_ha_fault(listed.id)
    place = Path(args.save) if args.save else None
    if place:
        check_place(place)
    options = (
        *(("--format", args.format) if args.format else ()),
        *(("--budget", str(args.budget)) if args.budget else ()),
    )
    sys.stdout.flush()
    wish = Wish(save=place, options=options)
    with rehearsed_ha(fault, os.environ, wish, _say) as found:
        if found.exit_code == INTERRUPTED:
            return INTERRUPTED
        return _say_outcome(fault.expected, found.component, found.report, found.scene.describe)


def _say(text: str) -> None:
    print(f"kubelag: {text}", file=sys.stderr, flush=True)


def _say_outcome(
    expected: tuple[str, ...], component: tuple[str, ...], report: Report, scene: str
) -> int:
    accused = [line.cause for line in report.verdicts if line.verdict in _ACCUSING]
    first = next(iter(accused), "nothing")
    is_right = first in expected if expected else not accused
    is_named = not component or any(name in report.headline for name in component)
    wanted = " or ".join(expected) or "nothing"
    verdict = "as expected" if is_right else f"expected {wanted}"
    if is_right and not is_named:
        verdict = f"as expected, but the headline names none of {', '.join(component)}"
    _say(f"{scene} Accused: {first} ({verdict}).")
    return 0 if is_right and is_named else _WRONG
