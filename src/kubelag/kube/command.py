"""Understands a kubectl command line well enough to repeat it safely and to add flags to it.

There is no full flag table here: kubectl has hundreds of flags, and they change. Known are the
global flags, and of the verbs that may be repeated the few flags that would make them wait or
write. Whatever is not known is not repeated.

Source for finding the verb: cobra's `stripFlags`, which takes the word after an unknown flag for
its value. Source for the global flags: `kubectl options` of 1.20, 1.27 and 1.33.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Global flags that take a value, of every kubectl from 1.19 on.
VALUE_FLAGS = frozenset(
    {
        "as",
        "as-group",
        "as-uid",
        "as-user-extra",
        "cache-dir",
        "certificate-authority",
        "client-certificate",
        "client-key",
        "cluster",
        "context",
        "kubeconfig",
        "kuberc",
        "log-backtrace-at",
        "log-dir",
        "log-file",
        "log-file-max-size",
        "log-flush-frequency",
        "namespace",
        "password",
        "profile",
        "profile-output",
        "request-timeout",
        "server",
        "stderrthreshold",
        "tls-server-name",
        "token",
        "user",
        "username",
        "v",
        "vmodule",
    }
)
# Global flags that stand alone.
SWITCHES = frozenset(
    {
        "add-dir-header",
        "alsologtostderr",
        "disable-compression",
        "help",
        "insecure-skip-tls-verify",
        "logtostderr",
        "match-server-version",
        "one-output",
        "skip-headers",
        "skip-log-headers",
        "version",
        "warnings-as-errors",
    }
)
SHORTHANDS: Mapping[str, str] = {"n": "namespace", "s": "server", "v": "v", "h": "help"}

# Shorthands after the verb that take a value, in the verbs that may be repeated. `-f` is a file
# name everywhere but in `logs`, where it means to follow.
_LOCAL_VALUE_SHORTHANDS = frozenset("oclLkfnsv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One flag as it was given."""

    name: str
    """Long name with dashes; a shorthand that is not global stays one letter."""
    value: str | None
    """None for a switch, or for a local flag whose value (if any) is not known."""
    start: int
    """Index of its word in the argv."""
    words: int
    """1, or 2 where the value is a word of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """A command line, taken apart."""

    argv: tuple[str, ...]
    verb: str
    """The first word that is neither flag nor value; empty where there is none."""
    verb_at: int
    """Index of the verb in the argv; 0 where there is none."""
    words: tuple[str, ...]
    """The words after the verb that look like no flag; a local flag's value may be among them."""
    flags: tuple[Flag, ...]

    def value(self, name: str) -> str | None:
        """The flag's last value, as kubectl takes it; None where it was not given."""
        found = [flag.value for flag in self.flags if flag.name == name]
        return found[-1] if found else None

    def has(self, *names: str) -> bool:
        """Whether any of these flags was given and is not `=false`."""
        return any(flag.name in names and flag.value != "false" for flag in self.flags)


def parse_command(argv: Sequence[str]) -> CommandLine:
    """Take a kubectl command line apart; never fails, since kubectl will complain itself."""
    flags: list[Flag] = []
    words: list[str] = []
    verb_at = 0
    at = 1
    while at < len(argv) and argv[at] != "--":
        word = argv[at]
        following = argv[at + 1] if at + 1 < len(argv) else None
        if word.startswith("-") and len(word) > 1:
            read = _long if word.startswith("--") else _short
            found = read(word, following, at, words)
            flags += found
            at += found[-1].words
        else:
            verb_at = verb_at or at
            words.append(word)
            at += 1
    return CommandLine(
        argv=tuple(argv),
        verb=words[0] if words else "",
        verb_at=verb_at,
        words=tuple(words[1:]),
        flags=tuple(flags),
    )


def _long(word: str, following: str | None, at: int, words: Sequence[str]) -> list[Flag]:
    name, equals, value = word[2:].partition("=")
    name = name.replace("_", "-")
    if equals:
        return [Flag(name=name, value=value, start=at, words=1)]
    # Before the verb, cobra takes the word after any flag that is no known switch.
    takes_word = name in VALUE_FLAGS or (not words and name not in SWITCHES)
    return [_with_word(name, following if takes_word else None, at)]


def _short(word: str, following: str | None, at: int, words: Sequence[str]) -> list[Flag]:
    """Shorthands, which may be bundled: `-v6`, `-n=x`, `-Aw`, `-wo wide`."""
    flags: list[Flag] = []
    for index, letter in enumerate(word[1:], start=1):
        name = SHORTHANDS.get(letter, letter)
        rest = word[index + 1 :]
        if rest.startswith("="):
            return [*flags, Flag(name=name, value=rest[1:], start=at, words=1)]
        if name in VALUE_FLAGS and rest:
            return [*flags, Flag(name=name, value=rest, start=at, words=1)]
        takes_word = name in VALUE_FLAGS or (not words and name not in SWITCHES)
        if takes_word and not rest:
            return [*flags, _with_word(name, following, at)]
        if _takes_value_here(letter, words):
            value = rest or None
            return [*flags, Flag(name=name, value=value, start=at, words=1)]
        flags.append(Flag(name=name, value=None, start=at, words=1))
    return flags


def _takes_value_here(letter: str, words: Sequence[str]) -> bool:
    is_follow = letter == "f" and words[:1] in (["logs"], ["log"])
    return letter in _LOCAL_VALUE_SHORTHANDS and not is_follow


def _with_word(name: str, following: str | None, at: int) -> Flag:
    return Flag(name=name, value=following, start=at, words=1 if following is None else 2)


def flag_value(argv: Sequence[str], name: str) -> str | None:
    """The last value of a global flag, by its long name without dashes."""
    return parse_command(argv).value(name)


def without_flag(argv: Sequence[str], name: str) -> tuple[str, ...]:
    """The command line without a global flag that takes a value, however it was spelled."""
    words = list(argv)
    for flag in reversed(parse_command(argv).flags):
        if flag.name == name:
            kept = _bundle_before(words[flag.start], flag)
            words[flag.start : flag.start + flag.words] = kept
    return tuple(words)


def _bundle_before(word: str, flag: Flag) -> list[str]:
    """What stays of a bundle of shorthands (`-Av6`) when its last flag goes."""
    if word.startswith("--"):
        return []
    glued = flag.value if flag.words == 1 and flag.value is not None else ""
    head = word.removesuffix(glued).removesuffix("=")[:-1]
    return [head] if len(head) > 1 else []


def with_global_flags(argv: Sequence[str], flags: Mapping[str, str]) -> tuple[str, ...]:
    """The command line with these flags set, each once, right behind the program.

    Args:
        argv: The command line.
        flags: By name as typed, for example `--cache-dir` or `-v`.
    """
    words = tuple(argv)
    for name in flags:
        bare = name.lstrip("-")
        words = without_flag(words, SHORTHANDS.get(bare, bare))
    added = (f"{name}={value}" for name, value in flags.items())
    return (*words[:1], *added, *words[1:])
