"""Options as a table: read at once where they are plain, by argparse where they are not.

argparse with what it loads costs 8 ms, a fifth of a whole `kubelag get`. So a command that lists
its options here is parsed by twenty lines that know the plain forms; for anything else (`--help`,
a mistake, an abbreviation) the same table makes an argparse parser, which has the last word.
"""

from kubelag.kube.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any, Literal


_SPELLED = {"true": True, "false": False}
"""What may stand behind the `=` of a switch."""


class Option(Record):
    """One option."""

    names: "tuple[str, ...]"
    """As typed: `-n`, `--namespace`; the last one names the field unless `field` does."""
    help: str
    kind: "Literal['text', 'switch', 'number', 'list']" = "text"
    """`list` may come several times."""
    metavar: str = ""
    choices: "tuple[str, ...]" = ()
    default: object = None
    """Where it is not given; a switch is False and a list empty."""
    alone: str = ""
    """Of a text: what it is where no value follows behind a `=`."""
    group: str = ""
    """Its heading in `--help`; empty for the usual one."""
    field: str = ""

    @property
    def dest(self) -> str:
        """Its field in the parsed options."""
        return self.field or self.names[-1].lstrip("-").replace("-", "_")


class Options:
    """The parsed options, a field each; what argparse calls a Namespace."""

    words: "list[str]"

    def __init__(self, values: "dict[str, Any]") -> None:
        self.__dict__.update(values)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> "Any":  # noqa: ANN401 - as argparse's
            ...


def parse_plain(options: "Sequence[Option]", argv: "Sequence[str]") -> Options | None:
    """The options and words of a command line that is plain; None where argparse is to judge."""
    by_name = {name: option for option in options for name in option.names}
    values = {option.dest: _initial(option) for option in options}
    words: list[str] = []
    rest = iter(argv)
    for word in rest:
        if not word.startswith("-"):
            words.append(word)
        elif not _take(word, by_name, values, rest):
            return None
    return Options({**values, "words": words})


def _initial(option: Option) -> object:
    empty: dict[str, object] = {"switch": False, "list": []}
    return empty.get(option.kind, option.default)


def _take(word: str, by_name: "dict[str, Option]", values: "dict[str, Any]", rest: "Any") -> bool:  # noqa: ANN401 - an iterator
    """Take one option; whether that was possible."""
    name, equals, value = word.partition("=")
    option = by_name.get(name)
    if option is None and not equals and len(word) > 2:  # noqa: PLR2004 - `-owide`
        name, value, equals = word[:2], word[2:], "="
        option = by_name.get(name)
        if option is not None and option.kind == "switch":
            return False
    if option is None:
        return False
    if option.kind == "switch" and equals:
        values[option.dest] = _SPELLED.get(value)
        return value in _SPELLED
    if option.kind == "switch" or (option.alone and not equals):
        values[option.dest] = option.alone or True
        return True
    if not equals:
        value = next(rest, "-")
        if value.startswith("-"):
            return False
    return _store(option, value, values)


def _store(option: Option, value: str, values: "dict[str, Any]") -> bool:
    if option.choices and value not in option.choices:
        return False
    if option.kind == "number":
        if not (value.isascii() and value.isdigit()):
            return False
        values[option.dest] = int(value)
    elif option.kind == "list":
        values[option.dest].append(value)
    else:
        values[option.dest] = value
    return True


def add_to(parser: "argparse.ArgumentParser", options: "Sequence[Option]") -> None:
    """The same table as arguments of a parser."""
    groups: dict[str, argparse._ArgumentGroup] = {}
    for option in options:
        if option.group and option.group not in groups:
            groups[option.group] = parser.add_argument_group(option.group)
        target = groups[option.group] if option.group else parser
        target.add_argument(*option.names, **_arguments(option))
        _spell_out(target, option)


def _spell_out(target: "argparse._ActionsContainer", option: Option) -> None:
    """`--no-headers=false`, as pflag has it: never with the value as a word of its own."""
    if option.kind != "switch" and not option.alone:
        return
    from argparse import SUPPRESS  # noqa: PLC0415 -- `parser` is one of its

    values = _SPELLED if option.kind == "switch" else {one: one for one in option.choices}
    for spelled, value in values.items():
        target.add_argument(
            *(f"{name}={spelled}" for name in option.names),
            dest=option.dest,
            action="store_const",
            const=value,
            default=SUPPRESS,
            help=SUPPRESS,
        )


def _arguments(option: Option) -> "dict[str, Any]":
    common = {"dest": option.dest, "help": option.help}
    if option.kind == "switch":
        return {**common, "action": "store_true"}
    if option.alone:
        default = _initial(option)
        return {**common, "action": "store_const", "const": option.alone, "default": default}
    valued = {**common, "default": _initial(option), "metavar": option.metavar or None}
    if option.choices:
        valued = {**valued, "choices": option.choices}
    if option.kind == "number":
        return {**valued, "type": int}
    return {**valued, "action": "append"} if option.kind == "list" else valued
