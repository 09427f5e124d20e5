"""`kubelag compare`: the same command on several machines side by side."""

import argparse
import sys
from pathlib import Path

from kubelag.errors import BundleError, UsageError

DESCRIPTION = """\
Put the same command on two or more machines side by side, from the bundles that
`kubelag explain --save` wrote on each, and print what differs in the order of what it costs.

  on each:  kubelag explain --cold --save /tmp/$(hostname) kubectl get nodes
  here:     kubelag compare master1/ master2/ master3/

With three or more it says which one is the outlier. Nothing is run."""

_LEAST = 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `kubelag compare`."""
    parser.add_argument("bundles", nargs="+", metavar="BUNDLE", help="a directory of --save")
    parser.add_argument("--format", metavar="NAME", help="terminal, plain or json")


def run(args: argparse.Namespace) -> int:
    """Compare them."""
    from kubelag.bundle import load  # noqa: PLC0415 - start-up is part of what we sell
    from kubelag.causes.catalogue import all_causes  # noqa: PLC0415 - the same
    from kubelag.engine.comparing import side_by_side  # noqa: PLC0415 - the same
    from kubelag.report.formats import default_format  # noqa: PLC0415 - the same
    from kubelag.report.side_by_side import NAMES, write  # noqa: PLC0415 - the same

    if len(args.bundles) < _LEAST:
        raise UsageError("one bundle compares with nothing", "give two or more bundles")
    seen: set[Path] = set()
    for place in args.bundles:
        if (real := Path(place).resolve()) in seen:
            raise UsageError(f"{place} is given twice", "give each bundle once")
        seen.add(real)
    name = args.format or default_format(sys.stdout)
    if name not in NAMES:
        raise UsageError(f"there is no format {name!r}", f"use one of {', '.join(NAMES)}")
    bundles = [(place, load(Path(place))) for place in args.bundles]
    try:
        compared = side_by_side(bundles, all_causes())
    except (ValueError, OverflowError) as error:
        message = f"one of the bundles holds a figure that cannot be ({error})"
        raise BundleError(message, "save them again") from error
    write(compared, sys.stdout, name)
    return 0
