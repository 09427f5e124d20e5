"""`kubelag fix`: plan, apply, verify, undo a remedy, and say how each stands."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kubelag.errors import KubelagError, UsageError
from kubelag.model.remedy import Plan, Status

if TYPE_CHECKING:
    from kubelag.remedies import contract

DESCRIPTION = """\
Remedies that print what they would change, change nothing without `apply`, and restore the exact
former state on `undo`, also after a crash in the middle.

  kubelag fix                           what there is, and how each stands here
  kubelag fix plan cache-in-memory      what it would change; changes nothing
  kubelag fix apply cache-in-memory     change it, and verify
  kubelag fix verify cache-in-memory    use it, and see whether it works
  kubelag fix undo cache-in-memory      as it was before
  kubelag fix status cache-in-memory    how it stands; for scripts

Exit codes: 0 done, or applied; 1 failed, refused, broken or interrupted; 2 usage;
3 (`status` only) not applied.
"""
_ACTIONS = ("list", "plan", "apply", "verify", "undo", "status")
# As systemctl says of a unit that is not running.
_NOT_APPLIED = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `fix`."""
    parser.add_argument(
        "action",
        nargs="?",
        default="list",
        choices=_ACTIONS,
        metavar="ACTION",
        help=f"one of: {', '.join(_ACTIONS)}",
    )
    parser.add_argument("remedy", nargs="?", metavar="REMEDY", help="as `kubelag fix` lists them")
    parser.add_argument(
        "--cache-dir",
        metavar="DIR",
        help="work on this cache instead of the one that kubectl uses by itself",
    )
    parser.add_argument(
        "--scope",
        choices=("whole", "http"),
        help="cache-in-memory: link the whole cache, or only its HTTP part"
        " (default: the most that is safe here)",
    )
    parser.add_argument(
        "--until-reboot",
        action="store_true",
        help="cache-in-memory: accept that the link dangles after a reboot, which"
        " makes kubectl slower than ever",
    )
    parser.add_argument(
        "--format",
        choices=("text", "json"),
        default="text",
        help="for list, plan and status (default: text)",
    )


def run(args: argparse.Namespace) -> int:
    """Do what is asked, and return the exit code."""
    if args.action == "list" or (args.action == "status" and args.remedy is None):
        return _list(args)
    if args.remedy is None:
        raise UsageError(f"`kubelag fix {args.action}` needs a remedy", "`kubelag fix` lists them")
    if args.action == "plan":
        return _plan(args)
    return _act(args)


def _list(args: argparse.Namespace) -> int:
    from kubelag.cli import fix_text  # noqa: PLC0415 -- `--help` needs none of it
    from kubelag.remedies import catalogue, contract, runner  # noqa: PLC0415 -- the same

    context = contract.current_context(_options(args), os.environ)
    found = []
    for entry in catalogue.entries():
        try:
            remedy = catalogue.find_remedy(entry.id)
            status = runner.run_step(remedy, remedy.status, context)
            found.append((status, remedy.summary))
        except KubelagError as error:
            failed = Status(
                remedy=entry.id, state="broken", detail=error.message, next_step=error.next_step
            )
            found.append((failed, ""))
    if args.format == "json":
        print(fix_text.as_json([status for status, _ in found]))
    else:
        print(fix_text.listing(found, fix_text.painter(sys.stdout, os.environ)))
    return 0


def _plan(args: argparse.Namespace) -> int:
    from kubelag.cli import fix_text  # noqa: PLC0415 -- `--help` needs none of it
    from kubelag.remedies import catalogue, contract, runner  # noqa: PLC0415 -- the same

    remedy = catalogue.find_remedy(args.remedy)
    context = contract.current_context(_options(args), os.environ)
    plan: Plan = runner.run_step(remedy, remedy.plan, context)
    if args.format == "json":
        print(fix_text.as_json(plan))
    else:
        paint = fix_text.painter(sys.stdout, os.environ)
        print(fix_text.plan(plan, f"kubelag fix apply {args.remedy}{_given(args)}", paint))
    return 1 if plan.obstacle else 0


def _act(args: argparse.Namespace) -> int:
    from kubelag.cli import fix_text  # noqa: PLC0415 -- `--help` needs none of it
    from kubelag.remedies import catalogue, contract, runner  # noqa: PLC0415 -- the same

    remedy = catalogue.find_remedy(args.remedy)
    context = contract.current_context(_options(args), os.environ)
    steps = {
        "apply": remedy.apply,
        "verify": remedy.verify,
        "undo": remedy.undo,
        "status": remedy.status,
    }
    status = runner.run_step(remedy, steps[args.action], context)
    if args.format == "json":
        print(fix_text.as_json(status))
    else:
        print(fix_text.status(status, fix_text.painter(sys.stdout, os.environ)))
    return _exit_code(args.action, status)


def _exit_code(action: str, status: Status) -> int:
    if action == "undo":
        return 0 if status.state == "not_applied" else 1
    if action == "status" and status.state == "not_applied":
        return _NOT_APPLIED
    return 0 if status.state == "applied" else 1


def _options(args: argparse.Namespace) -> "contract.Options":
    from kubelag.remedies import contract  # noqa: PLC0415 -- `--help` needs none of it

    cache_dir = None if args.cache_dir is None else str(Path(args.cache_dir).absolute())
    return contract.Options(cache_dir=cache_dir, scope=args.scope, until_reboot=args.until_reboot)


def _given(args: argparse.Namespace) -> str:
    """The options again, for the next command."""
    import shlex  # noqa: PLC0415 -- needed here only

    words = []
    if args.cache_dir is not None:
        words += ["--cache-dir", args.cache_dir]
    if args.scope:
        words += ["--scope", args.scope]
    if args.until_reboot:
        words += ["--until-reboot"]
    return f" {shlex.join(words)}" if words else ""
