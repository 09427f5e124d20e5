"""The same command by kubelag's own client, on an equally cold cache: this kubectl, or any client?

It writes nothing, since what it writes it leaves to a child that would outlive the timed run.
"""

import os
import sys

from kubelag.experiments.contract import NotApplicableError, Situation, Treatment
from kubelag.kube.command import parse_command, without_flag

FLAGS = frozenset(
    {
        *("all-namespaces", "A", "selector", "l", "field-selector", "output", "o", "chunk-size"),
        *("no-headers", "show-labels", "show-kind", "label-columns", "L", "show-managed-fields"),
        *("ignore-not-found", "kubeconfig", "context", "cluster", "user", "server", "token"),
        *("username", "password", "client-certificate", "client-key", "certificate-authority"),
        *("tls-server-name", "namespace", "as", "as-uid", "as-group", "request-timeout"),
        *("insecure-skip-tls-verify", "disable-compression", "cache-dir"),
    }
)
"""Flags of `kubectl get` that `kubelag get` has too, with the same meaning; shorthands that are not
global as letters."""
_FORMATS = frozenset({"", "wide", "json", "yaml", "name"})


class OwnClientInstead:
    """See the module."""

    id = "own_client"
    title = "with kubelag's own client"

    def vary(self, situation: Situation) -> tuple[Treatment, ...]:
        """`kubelag get`, with the same words and flags."""
        unchanged = situation.unchanged
        command = parse_command(unchanged.argv)
        if situation.evidence.client.kind != "kubectl" or command.verb != "get":
            raise NotApplicableError("kubelag's own client knows only what `kubectl get` does")
        foreign = [flag.name for flag in command.flags if flag.name not in {*FLAGS, "v"}]
        if foreign:
            raise NotApplicableError(f"kubelag's own client has no --{foreign[0]}")
        formats = _formats(unchanged.argv)
        if any(text not in _FORMATS and not text.startswith("jsonpath=") for text in formats):
            raise NotApplicableError("kubelag's own client has no such output format")
        words = without_flag(unchanged.argv, "v")[1:]
        shown = " ".join(situation.evidence.command[1:])
        argv = (own_program(), *words, "--cache-policy=read-only")
        return (Treatment(variant=unchanged.but(argv=argv, shown=f"kubelag {shown}")),)


def own_program() -> str:
    """The script that stands beside this interpreter, else what was started.

    Raises:
        NotApplicableError: Where there is none.
    """
    for path in (os.path.join(os.path.dirname(sys.executable), "kubelag"), sys.argv[0]):  # noqa: PTH118,PTH120 - text
        if os.path.basename(path) == "kubelag" and os.access(path, os.X_OK):  # noqa: PTH119 - the same
            return os.path.abspath(path)  # noqa: PTH100 - the same
    raise NotApplicableError("kubelag's script was not found beside its interpreter")


def _formats(argv: tuple[str, ...]) -> list[str]:
    """What follows `-o` or `--output`, however it is spelled."""
    found = []
    for word, following in zip(argv, [*argv[1:], ""], strict=True):
        if word in {"-o", "--output"}:
            found.append(following)
        elif word.startswith("--output="):
            found.append(word.removeprefix("--output="))
        elif word.startswith("-o"):
            found.append(word[2:].removeprefix("="))
    return found
