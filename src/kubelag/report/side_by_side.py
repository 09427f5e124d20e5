"""The comparison of several machines, for a terminal, as plain text, and as JSON."""

import shlex
from collections.abc import Iterable, Iterator
from typing import TextIO, TypeAlias

from kubelag.errors import UsageError
from kubelag.model import units
from kubelag.model.encoding import encode_indented
from kubelag.model.side_by_side import FactorDifference, SideBySide, TraitDifference
from kubelag.report import plain, terminal
from kubelag.report.blocks import Block, Gap, Grid, Paragraph, Piece, Tone, heading
from kubelag.report.clean import width

NAMES = ("terminal", "plain", "json")
_LAST_COLUMNS = 16
"""The last cell of a row flows in no less than this. Arbitrary."""
_NO_COST = "-"
_Row: TypeAlias = tuple[Piece, ...]


def write(compared: SideBySide, stream: TextIO, name: str) -> None:
    """Write it in one of the formats.

    Raises:
        UsageError: There is no such format.
    """
    if name == "json":
        stream.write(encode_indented(compared).decode())
    elif name == "plain":
        plain.write_blocks(tuple(document(compared)), stream)
    elif name == "terminal":
        terminal.write_blocks(tuple(document(compared, _columns(stream))), stream)
    else:
        raise UsageError(f"there is no format {name!r}", f"use one of {', '.join(NAMES)}")


def document(compared: SideBySide, columns: int = plain.DEFAULT_COLUMNS) -> Iterator[Block]:
    """All blocks: the answer, the machines, what differs.

    Args:
        compared: What is shown.
        columns: Width of the paper; a table that is wider is taken apart, line by line.
    """
    yield Paragraph(pieces=(Piece(shlex.join(compared.machines[0].command), "strong"),), indent=0)
    yield Gap()
    yield Paragraph(pieces=(Piece(compared.headline, "strong"),), indent=0)
    for warning in compared.warnings:
        yield Paragraph(pieces=(Piece("Not alike: ", "warning"), Piece(warning)), indent=0)
    yield from heading("The machines, the quickest first")
    yield Grid(rows=tuple(_machines(compared)))
    if compared.factors:
        yield from heading("Where the difference went, what costs most first")
        yield from _table(_names(compared, "seconds"), map(_factor, compared.factors), columns)
    if compared.traits:
        yield from heading("What is not the same, in the order of what it may cost")
        yield from _table(_names(compared, "may cost"), map(_trait, compared.traits), columns)
    if not compared.factors and not compared.traits:
        yield from heading("Nothing differs that was looked at")


def _table(head: _Row, rows: Iterable[_Row], columns: int) -> Iterator[Block]:
    """What differs in a row each, or, where that does not fit, with its machines below it."""
    table = head, *rows
    widths = [max(width(cell.text) for cell in column) for column in zip(*table, strict=True)]
    if sum(widths[:-1]) + min(widths[-1], _LAST_COLUMNS) + 2 * len(widths) <= columns:
        yield Grid(rows=table)
        return
    for name, cost, *values in table[1:]:
        is_told = cost.text != _NO_COST
        yield Paragraph(pieces=(name, Piece(": "), cost) if is_told else (name,))
        yield Grid(rows=tuple(zip(head[2:], values, strict=True)), indent=4)


def _columns(stream: TextIO) -> int:
    from rich.console import Console  # noqa: PLC0415 - 40 ms that only a terminal pays

    console = Console(file=stream)
    return console.width if console.is_terminal else plain.DEFAULT_COLUMNS


def _machines(compared: SideBySide) -> Iterator[tuple[Piece, ...]]:
    for machine in compared.machines:
        tone: Tone = "slow" if machine.name == compared.outlier else "plain"
        said = f"{machine.verdict}: {machine.cause}" if machine.verdict else "nobody accused"
        yield Piece(machine.name, tone), Piece(units.aligned(machine.wall_s), tone), Piece(said)


def _names(compared: SideBySide, what: str) -> tuple[Piece, ...]:
    names = (Piece(machine.name, "muted") for machine in compared.machines)
    return (Piece(""), Piece(what, "muted"), *names)


def _factor(one: FactorDifference) -> tuple[Piece, ...]:
    spent = (Piece(units.aligned(each)) for each in one.seconds)
    return Piece(one.title), Piece(_signed(one.cost_s), "strong"), *spent


def _trait(one: TraitDifference) -> tuple[Piece, ...]:
    cost = units.aligned(one.cost_s) if one.cost_s > 0 else _NO_COST
    return Piece(one.trait), Piece(cost, "muted"), *(Piece(value) for value in one.values)


def _signed(cost_s: float) -> str:
    return f"{'+' if cost_s >= 0 else '-'}{units.aligned(abs(cost_s))}"
