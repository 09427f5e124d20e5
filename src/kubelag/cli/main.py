"""The command line: finds the one command's file, runs it, turns errors into exit codes."""

import os
import sys

from kubelag import __version__
from kubelag.errors import KubelagError, UsageError
from kubelag.kube.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any, NoReturn, Protocol

    class CommandModule(Protocol):
        """What `kubelag.cli.<name>` offers."""

        DESCRIPTION: str

        def configure(self, parser: argparse.ArgumentParser) -> None:
            """Add the command's own arguments."""

        def run(self, args: Any) -> int:  # noqa: ANN401 - Options, or argparse's Namespace
            """Do it, and return the exit code."""


# As a shell tells of a signal; `signal` itself takes 4 ms to load.
_SIGNALLED, _SIGINT, _SIGPIPE = 128, 2, 13
# No space, too large, over quota: what a write to a stream can fail with.
_FULL = frozenset({28, 27, 122})


class Command(Record):
    """A command's name and one-line summary, so that `--help` loads no command."""

    name: str
    summary: str


COMMANDS = tuple(
    Command(name=name, summary=summary)
    for name, summary in (
        ("explain", "say why a command is slow here, and prove it"),
        ("compare", "put the same command on several machines side by side"),
        ("fix", "plan, apply, verify or undo a remedy"),
        ("run", "run one command with its disk syncs turned into no-ops"),
        ("get", "show objects as kubectl does, never waiting for the disk"),
        ("api-resources", "list the resources that the server offers"),
        ("api-versions", "list the group-versions that the server offers"),
        ("version", "tell this client's version and the server's"),
        ("cache", "verify, repair, warm or clear the discovery cache"),
        ("lab", "bring up a real place to be slow in, and take it down"),
        ("completion", "print shell completions"),
    )
)


def command_module(name: str) -> "CommandModule":
    """The module of one command, imported only now: start-up is part of what we sell."""
    path = f"kubelag.cli.{name.replace('-', '_')}"
    # What `importlib.import_module` does, which is not loaded yet.
    __import__(path)
    return sys.modules[path]


def build_parser(*wanted: str) -> "argparse.ArgumentParser":
    """The parser with every command named, and the wanted ones filled in."""
    import argparse  # noqa: PLC0415 -- plain command lines need it not

    parser = argparse.ArgumentParser(
        prog="kubelag",
        description="Why is this Kubernetes command slow on this machine?",
        epilog="Start with: kubelag explain kubectl get nodes",
    )
    parser.add_argument("--version", action="version", version=f"kubelag {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        module = command_module(command.name) if command.name in wanted else None
        sub = commands.add_parser(
            command.name,
            help=command.summary,
            description=module.DESCRIPTION if module else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            add_help=module is not None,
        )
        if module:
            module.configure(sub)
    return parser


def main(argv: "Sequence[str] | None" = None) -> int:
    """Run one command; the only place where errors become exit codes."""
    words = _command_first(list(sys.argv[1:] if argv is None else argv))
    if words == ["--version"]:
        print(f"kubelag {__version__}")
        return 0
    try:
        _refuse_lost_directory()
        command, args = _plain(words) or _parsed(words)
        return int(command_module(command).run(args))
    except KubelagError as error:
        print(f"kubelag: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("kubelag: interrupted", file=sys.stderr)
        return _SIGNALLED + _SIGINT
    except BrokenPipeError:
        discard_output()
        return _SIGNALLED + _SIGPIPE
    except OSError as error:
        if error.filename is not None or error.errno not in _FULL:
            raise
        discard_output()
        said = (error.strerror or str(error)).lower()
        print(f"kubelag: standard output cannot be written: {said}; make room", file=sys.stderr)
        return 1


def program() -> "NoReturn":
    """What the script runs: `main`, with neither garbage collection nor a slow farewell.

    A client's command lives for some 40 ms, of which collecting took 2 and taking the interpreter
    down 5. Whatever runs longer goes through argparse, which turns collection on again.
    """
    import gc  # noqa: PLC0415 -- only here

    gc.disable()
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 -- for the life of the process
    code = main()
    if "threading" in sys.modules:  # somebody may have to be waited for
        sys.exit(code)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = code or 1
    os._exit(code)


def _plain(words: list[str]) -> "tuple[str, Any] | None":
    """The command and its options, where it lists them in a table and they are plain."""
    if not words or words[0] not in {command.name for command in COMMANDS}:
        return None
    options = getattr(command_module(words[0]), "OPTIONS", None)
    if options is None:
        return None
    from kubelag.cli.flags import parse_plain  # noqa: PLC0415 -- the table's module has loaded it

    args = parse_plain(options, words[1:])
    return None if args is None or (args.words and not _takes_words(words[0])) else (words[0], args)


def _takes_words(name: str) -> bool:
    return bool(getattr(command_module(name), "TAKES_WORDS", False))


def _parsed(words: list[str]) -> "tuple[str, Any]":
    """The same by argparse; words may stand between options (`get pods -n shop pod1`)."""
    import gc  # noqa: PLC0415 -- only here

    gc.enable()
    parser = build_parser(next((word for word in words if not word.startswith("-")), ""))
    args, rest = parser.parse_known_args(words)
    if rest and (not hasattr(args, "words") or any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        args.words += rest
    return args.command, args


def _command_first(words: list[str]) -> list[str]:
    """Options before the command come behind it, as kubectl's may (`--context x get pods`)."""
    if not words or not words[0].startswith("-") or words[0] in {"-h", "--help", "--version"}:
        return words
    from kubelag.kube.command import parse_command  # noqa: PLC0415 -- a rare order

    at = parse_command(["kubelag", *words]).verb_at - 1
    is_ours = at > 0 and words[at] in {command.name for command in COMMANDS}
    return [words[at], *words[:at], *words[at + 1 :]] if is_ours else words


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


def split_plugin_words(words: "Sequence[str]") -> tuple[list[str], list[str]]:
    """The options of `explain` that come first, and the kubectl command behind them."""
    import argparse  # noqa: PLC0415 -- only the plugin

    parser = argparse.ArgumentParser(add_help=True)
    command_module("explain").configure(parser)
    known = parser._option_string_actions  # noqa: SLF001 - argparse has no public list of flags
    at = 0
    while at < len(words) and (action := known.get(words[at].partition("=")[0])):
        takes_next = action.nargs != 0 and "=" not in words[at]
        at += 2 if takes_next else 1
    return list(words[:at]), list(words[at:])
