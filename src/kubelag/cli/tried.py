"""`kubelag explain --try`: the experiments by name."""

import argparse

from kubelag.errors import UsageError
from kubelag.experiments.catalogue import EXPERIMENTS
from kubelag.model.experiment import is_arm_of


def describe() -> str:
    """All experiments, one line each."""
    widest = max(len(kind.id) for kind in EXPERIMENTS)
    return "\n".join(f"{kind.id.ljust(widest)}  {kind.title}" for kind in EXPERIMENTS)


def check(args: argparse.Namespace) -> None:
    """Refuse names that mean nothing, and what forbids to run the command again.

    Raises:
        UsageError: With the next step.
    """
    for name in args.tried:
        if not any(is_arm_of(name, kind.id) for kind in EXPERIMENTS):
            raise UsageError(
                f"There is no experiment {name!r}", "kubelag explain --try help lists them"
            )
    if args.no_proof or args.once:
        flag = "--no-proof" if args.no_proof else "--once"
        raise UsageError(f"--try runs the command again, and {flag} forbids it", "leave out one")
    if not args.argv:
        raise UsageError("--try needs a command to run", "kubelag explain --try NAME COMMAND...")
