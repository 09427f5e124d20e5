"""Says whether a command may be run again: only what is known to change nothing is.

The table names what kubectl's verbs do; a verb that is missing here is not repeated. Flags that
make a verb wait, follow, read standard input or write a file take it out again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kubelag.kube.command import CommandLine, parse_command


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeatable:
    """Whether a command may be run again, and why."""

    is_repeatable: bool
    why: str
    """A clause for the report: `get only reads`."""


# Verbs that only read or print, whatever words follow.
_READING_VERBS = frozenset(
    {
        "api-resources",
        "api-versions",
        "completion",
        "describe",
        "events",
        "explain",
        "get",
        "help",
        "log",
        "logs",
        "options",
        "top",
        "version",
    }
)
# Verbs of which only some subcommands read.
_READING_SUBVERBS: Mapping[str, frozenset[str]] = {
    "auth": frozenset({"can-i", "whoami"}),
    "config": frozenset(
        {"current-context", "get-clusters", "get-contexts", "get-users", "view"},
    ),
    "plugin": frozenset({"list"}),
    "rollout": frozenset({"history"}),
}
# Why a well-known verb is not repeated.
_REFUSALS: Mapping[str, str] = {
    "attach": "talks to a running container",
    "cp": "writes files",
    "debug": "creates a container",
    "diff": "sends dry-run writes and runs the program named by KUBECTL_EXTERNAL_DIFF",
    "exec": "runs a program in a container",
    "kustomize": "may fetch sources and write files",
    "port-forward": "runs until it is stopped",
    "proxy": "runs until it is stopped",
    "wait": "waits by design",
}
# Verbs that change the cluster; named only so that the reason can be given.
_CHANGING_VERBS = frozenset(
    {
        "annotate",
        "apply",
        "autoscale",
        "certificate",
        "cordon",
        "create",
        "delete",
        "drain",
        "edit",
        "expose",
        "label",
        "patch",
        "replace",
        "rolling-update",
        "run",
        "scale",
        "set",
        "taint",
        "uncordon",
    }
)
# Marks of a `get --raw` that does not end by itself.
_ENDLESS_PATHS = ("watch=1", "watch=true", "follow=1", "follow=true", "/watch/")

BUILTIN_VERBS = (
    _READING_VERBS
    | _CHANGING_VERBS
    | frozenset(_READING_SUBVERBS)
    | frozenset(_REFUSALS)
    | {"alpha", "cluster-info", "convert", "kuberc"}
)
"""Every verb that is kubectl's own; flags before any other verb break a plugin."""


def classify(argv: Sequence[str], client_kind: str) -> Repeatable:
    """Whether this command is known to change nothing, so that it may be run again.

    Args:
        argv: The whole command line.
        client_kind: `Client.kind`; only `kubectl` is known.
    """
    if client_kind != "kubectl":
        return _no("the program is not kubectl, so what it does is not known")
    command = parse_command(argv)
    refusal = _refused_verb(command) or _refused_flags(command)
    if refusal:
        return _no(refusal)
    return Repeatable(is_repeatable=True, why=f"{_title(command)} only reads")


def is_builtin(argv: Sequence[str]) -> bool:
    """Whether the verb is kubectl's own; a plugin must not be given flags before its name."""
    return parse_command(argv).verb in BUILTIN_VERBS


def _no(why: str) -> Repeatable:
    return Repeatable(is_repeatable=False, why=why)


def _title(command: CommandLine) -> str:
    if not command.verb:
        return "printing help"
    has_subverbs = command.verb in _READING_SUBVERBS or command.verb == "rollout"
    return " ".join([command.verb, *command.words[:1]] if has_subverbs else [command.verb])


def _refused_verb(command: CommandLine) -> str:
    """Why the verb is not repeated, empty where it may be."""
    verb = command.verb
    if not verb:
        return "" if command.has("help") else "there is no verb"
    if verb in _READING_VERBS:
        return ""
    if verb == "cluster-info":
        return _refused_cluster_info(command)
    if verb in _READING_SUBVERBS:
        return _refused_subverb(command)
    reason = "may change the cluster" if verb in _CHANGING_VERBS else _REFUSALS.get(verb)
    return f"{verb} {reason or 'is a plugin or unknown, so what it does is not known'}"


def _refused_subverb(command: CommandLine) -> str:
    # The subcommand must come first: a word after a local flag might be that flag's value.
    after = command.argv[command.verb_at + 1 :]
    sub = after[0] if after else ""
    if sub in _READING_SUBVERBS[command.verb]:
        return ""
    if (command.verb, sub) == ("rollout", "status"):
        is_once = any(flag.name == "watch" and flag.value == "false" for flag in command.flags)
        return "" if is_once else "rollout status waits by design"
    return f"{command.verb} {sub}".rstrip() + " is not known to only read"


def _refused_cluster_info(command: CommandLine) -> str:
    if "dump" not in command.words:
        return ""
    writes = command.has("output-directory") and command.value("output-directory") != "-"
    return "cluster-info dump writes files" if writes else ""


def _refused_flags(command: CommandLine) -> str:
    """Why a flag takes the repeatability away, empty where none does."""
    follows = {"follow", "f"} if command.verb in {"logs", "log"} else set()
    if command.verb != "rollout" and command.has("w", "watch", "watch-only", *follows):
        return f"{command.verb} waits for changes when told to watch or follow"
    if any(mark in word for word in command.argv for mark in _ENDLESS_PATHS):
        return "the raw request waits for changes"
    if _reads_stdin(command):
        return "it reads standard input, which cannot be read twice"
    if command.has("log-file", "log-dir"):
        return "it writes a log file"
    if command.value("profile") not in {None, "none"}:
        return "it writes a profile"
    return ""


def _reads_stdin(command: CommandLine) -> bool:
    return any(
        word in {"-f-", "--filename=-", "-f=-"} or (word in {"-f", "--filename"} and after == "-")
        for word, after in zip(command.argv, [*command.argv[1:], ""], strict=True)
    )
