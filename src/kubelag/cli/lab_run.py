"""`kubelag lab run`: play a fault, explain it, and say whether the right cause came out."""

import argparse
import os
import sys
from pathlib import Path

from kubelag.cli.ending import INTERRUPTED
from kubelag.lab.faults.registry import FAULTS, find_fault
from kubelag.model.report import Report

# The verdicts that accuse a cause.
_ACCUSING = frozenset({"proven", "likely"})
_WRONG = 1


def list_faults() -> int:
    """Every fault with what it needs."""
    for fault in FAULTS:
        names = " | ".join((fault.id, *fault.aliases))
        print(f"{names}\n    {fault.summary} (needs {fault.needs})")
    return 0


def run_fault(args: argparse.Namespace) -> int:
    """Exit code 0 where the expected cause came out first, or nothing where nothing is wrong.

    Ctrl-C ends the run or the experiments; what was seen until then is reported.
    """
    from kubelag.bundle import check_place, save  # noqa: PLC0415 - heavy
    from kubelag.cli.progress import teller_for  # noqa: PLC0415 - the same
    from kubelag.engine.reporting import report_on  # noqa: PLC0415 - the same
    from kubelag.lab.rehearsal import rehearse  # noqa: PLC0415 - the same
    from kubelag.remedies.catalogue import advise  # noqa: PLC0415 - the same
    from kubelag.report.formats import default_format, writer  # noqa: PLC0415 - the same

    fault = find_fault(args.fault)
    place = Path(args.save) if args.save else None
    if place:
        check_place(place)
    teller = teller_for(quiet=False, budget_s=args.budget)
    try:
        rehearsed = rehearse(fault, os.environ, teller, args.budget)
    finally:
        teller.close()
    explained = rehearsed.explained
    if place:
        save(place, explained.judged.case.evidence, explained.trial)
    report = report_on(explained.judged, explained.trial, advise)
    writer(args.format or default_format(sys.stdout))(report, sys.stdout)
    if explained.is_interrupted:
        return INTERRUPTED
    return _say_outcome(fault.expected, report, rehearsed.scene.describe)


def _say_outcome(expected: tuple[str, ...], report: Report, scene: str) -> int:
    accused = [line.cause for line in report.verdicts if line.verdict in _ACCUSING]
    first = next(iter(accused), "nothing")
    is_right = first in expected if expected else not accused
    wanted = " or ".join(expected) or "nothing"
    verdict = "as expected" if is_right else f"expected {wanted}"
    print(f"kubelag: {scene} Accused: {first} ({verdict}).", file=sys.stderr)
    return 0 if is_right else _WRONG
