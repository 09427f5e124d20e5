"""`kubelag run --no-sync -- COMMAND`: become the command, with its disk syncs as no-ops."""

import argparse
import os
import re

from kubelag.errors import RefusedError, UsageError

DESCRIPTION = """\
Run one command, and only that one, with its disk syncs turned into no-ops.

  kubelag run --no-sync -- kubectl get nodes

kubectl 1.24 and older waits for the disk about twice for every answer that it caches; on a slow
disk that is most of its time. --no-sync makes fsync, fdatasync, sync_file_range, syncfs and sync
succeed at once, for this process tree and nobody else. Nothing on the machine is changed, and
there is nothing to undo. Exit code, signals and streams are those of the command.

Only commands known to write nothing but caches are accepted: what is not synced may be lost when
the machine crashes. Without CAP_SYS_ADMIN, setuid programs (sudo) do not work below it.
"""
# kubectl itself and versioned copies beside it; `kubectl-NAME` is a plugin and may do anything.
_KUBECTL = re.compile(r"kubectl(?:\.real|[._-]?v?\d[\w.+-]*)?", re.ASCII)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `run`."""
    parser.usage = "kubelag run --no-sync [--i-know] [--] COMMAND [ARGUMENT ...]"
    parser.add_argument("--no-sync", action="store_true", help="turn disk syncs into no-ops")
    parser.add_argument(
        "--i-know",
        action="store_true",
        help="accept a command that is not known to write nothing but caches",
    )
    parser.add_argument(
        "argv", nargs=argparse.REMAINDER, metavar="COMMAND", help="the command and its arguments"
    )


def run(args: argparse.Namespace) -> int:
    """Replace this process by the command; returns only by raising."""
    argv = args.argv[1:] if args.argv[:1] == ["--"] else args.argv
    if not args.no_sync:
        raise UsageError(
            "`kubelag run` can do one thing, to turn disk syncs into no-ops, and was not told to",
            "type: kubelag run --no-sync -- kubectl get nodes",
        )
    if not argv or argv[0].startswith("-"):
        raise UsageError(
            "there is no command to run", "type: kubelag run --no-sync -- kubectl get nodes"
        )
    if not args.i_know:
        _refuse_unknown(argv)
    from kubelag.launch import no_sync  # noqa: PLC0415 -- a refusal needs no ctypes

    no_sync.exec_no_sync(argv, no_sync.environment_as_started(os.environ))


def _refuse_unknown(argv: list[str]) -> None:
    """Let pass only what is known to write nothing but caches.

    Raises:
        RefusedError: For everything else.
    """
    from kubelag.kube.repeatable import classify  # noqa: PLC0415 -- --i-know needs no table

    name = argv[0].rpartition("/")[2]
    found = classify(argv, "kubectl" if _KUBECTL.fullmatch(name) else "unknown")
    if not found.is_repeatable:
        raise RefusedError(
            f"this command is not known to write nothing but caches: {found.why}",
            "if a crash may cost what it writes, say so with --i-know",
        )
