"""The command line: finds the one command's file, runs it, turns errors into exit codes."""

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NamedTuple, Protocol

from kubelag import __version__
from kubelag.errors import KubelagError, UsageError


class Command(NamedTuple):
    """A command's name and one-line summary, so that `--help` loads no command."""

    name: str
    summary: str


class CommandModule(Protocol):
    """What `kubelag.cli.<name>` offers."""

    DESCRIPTION: str

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's own arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it, and return the exit code."""


COMMANDS = (
    Command("explain", "say why a command is slow here, and prove it"),
    Command("fix", "plan, apply, verify or undo a remedy"),
    Command("run", "run one command with its disk syncs turned into no-ops"),
    Command("lab", "bring up a real place to be slow in, and take it down"),
    Command("completion", "print shell completions"),
)


def command_module(name: str) -> ModuleType:
    """The module of one command, imported only now: start-up is part of what we sell."""
    return importlib.import_module(f"kubelag.cli.{name}")


def build_parser(*wanted: str) -> argparse.ArgumentParser:
    """The parser with every command named, and the wanted ones filled in."""
    parser = argparse.ArgumentParser(
        prog="kubelag",
        description="Why is this Kubernetes command slow on this machine?",
        epilog="Start with: kubelag explain kubectl get nodes",
    )
    parser.add_argument("--version", action="version", version=f"kubelag {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS:
        module = command_module(name) if name in wanted else None
        sub = commands.add_parser(
            name,
            help=summary,
            description=module.DESCRIPTION if module else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            add_help=module is not None,
        )
        if module:
            module.configure(sub)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the only place where errors become exit codes."""
    words = list(sys.argv[1:] if argv is None else argv)
    wanted = next((word for word in words if not word.startswith("-")), "")
    try:
        _refuse_lost_directory()
        args = build_parser(wanted).parse_args(words)
        return int(command_module(args.command).run(args))
    except KubelagError as error:
        print(f"kubelag: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("kubelag: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:
        discard_output()
        return 128 + signal.SIGPIPE


def _refuse_lost_directory() -> None:
    """Everything relative starts there, the client's cache without HOME too."""
    try:
        os.getcwd()  # noqa: PTH109 - only whether it is there
    except FileNotFoundError as error:
        raise UsageError("the working directory no longer exists", "cd to one that does") from error


def discard_output() -> None:
    """What nobody takes is thrown away, or it would be tried again at the very end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def plugin_main() -> int:
    """`kubectl lag --cold get nodes`: the same as `kubelag explain --cold kubectl get nodes`."""
    ours, theirs = split_plugin_words(sys.argv[1:])
    return main(["explain", *ours, *(["kubectl", *theirs] if theirs else [])])


def split_plugin_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The options of `explain` that come first, and the kubectl command behind them."""
    parser = argparse.ArgumentParser(add_help=True)
    command_module("explain").configure(parser)
    known = parser._option_string_actions  # noqa: SLF001 - argparse has no public list of flags
    at = 0
    while at < len(words) and (action := known.get(words[at].partition("=")[0])):
        takes_next = action.nargs != 0 and "=" not in words[at]
        at += 2 if takes_next else 1
    return list(words[:at]), list(words[at:])
