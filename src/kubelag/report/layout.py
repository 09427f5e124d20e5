"""Blocks of a report made into lines of a given width: the one layout of all text formats."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from kubelag.report.blocks import Bar, Bars, Block, Grid, Link, Paragraph, Piece, Tone, Verbatim
from kubelag.report.clean import clean, clean_url, width

# The widths are arbitrary: below 40 columns nothing stands beside anything, and above 120 the
# eye loses the line.
NARROWEST, WIDEST = 40, 120
_GUTTER = "  "
_LABEL_RATIO = 0.42
"""Arbitrary: no label takes more of the line than this, so that the bars keep some room."""
_SHORTEST_BAR = 8
_LONGEST_BAR = 40
_WHOLE, _HALF, _REST = "━", "╸", "╍"
_BREAK = re.compile(r" +(?!(?<=\d )(?:ms|s|%|x|×)(?!\w))")  # noqa: RUF001 - the sign of times
"""A space where a line may break: not between a figure and its unit."""


@dataclass(frozen=True, slots=True)
class Span:
    """Clean text of one tone within one line."""

    text: str
    tone: Tone = "plain"
    url: str = ""
    """Where it leads when clicked, for formats that can."""


Line = tuple[Span, ...]


def lay_out(blocks: Iterable[Block], columns: int, *, hyperlinks: bool) -> Iterator[Line]:
    """The lines of a document, without trailing white space.

    Args:
        blocks: What to show, in order.
        columns: Width of the paper; text meant to be copied may overrun it.
        hyperlinks: True where a title can be clicked, so that its address need not be shown.
    """
    room = min(max(columns, NARROWEST), WIDEST)
    for block in blocks:
        for line in _lines(block, room, hyperlinks=hyperlinks):
            yield _trimmed(line)


def _lines(block: Block, room: int, *, hyperlinks: bool) -> Iterator[Line]:
    match block:
        case Paragraph():
            first, rest = " " * block.indent, " " * (block.indent + block.hanging)
            yield from _flow(block.pieces, room, first=(Span(first),), rest=(Span(rest),))
        case Grid():
            yield from _grid(block, room)
        case Bars():
            yield from _bars(block.rows, room)
        case Verbatim():
            label = f"{clean(block.label)} " if block.label else ""
            yield (
                Span(" " * block.indent),
                Span(label, "muted"),
                Span(clean(block.text), block.tone),
            )
        case Link():
            yield from _link(block, room, hyperlinks=hyperlinks)
        case _:
            yield ()


def _flow(pieces: Iterable[Piece], room: int, *, first: Line, rest: Line) -> Iterator[Line]:
    """Words broken into lines; a word longer than a line overruns it, so that it can be copied."""
    line, begun = list(first), False
    used = _line_width(first)
    for word in _words(pieces):
        needed = _line_width(word) + begun
        if begun and used + needed > room:
            yield tuple(line)
            line, begun, used = list(rest), False, _line_width(rest)
            needed = _line_width(word)
        if begun:
            line.append(Span(" ", word[0].tone))
        line.extend(word)
        used, begun = used + needed, True
    yield tuple(line)


def _words(pieces: Iterable[Piece]) -> Iterator[list[Span]]:
    """Runs of text without a place to break; one may be made of several pieces."""
    word: list[Span] = []
    for piece in pieces:
        for at, part in enumerate(_BREAK.split(clean(piece.text))):
            if at and word:
                yield word
                word = []
            if part:
                word.append(Span(part, piece.tone))
    if word:
        yield word


def _grid(grid: Grid, room: int) -> Iterator[Line]:
    """Columns as wide as their widest cell, the last one flowing below itself."""
    widths = [
        max(width(clean(cell.text)) for cell in column if cell)
        for column in zip_longest(*(row[:-1] for row in grid.rows))
    ]
    for row in grid.rows:
        first = [Span(" " * grid.indent)]
        for cell, wide in zip(row[:-1], widths, strict=False):
            text = clean(cell.text)
            first.append(Span(text + " " * (wide - width(text)) + _GUTTER, cell.tone))
        rest = (Span(" " * _line_width(first)),)
        yield from _flow(row[-1:], room, first=tuple(first), rest=rest)


def _link(link: Link, room: int, *, hyperlinks: bool) -> Iterator[Line]:
    url = clean_url(link.url)
    margin = (Span(" " * link.indent),)
    if hyperlinks and url:
        for line in _flow((Piece(link.title),), room, first=margin, rest=margin):
            yield margin + tuple(Span(span.text, span.tone, url) for span in line[1:])
        return
    yield from _flow((Piece(link.title),), room, first=margin, rest=margin)
    yield Span(" " * (link.indent + 2)), Span(clean(link.url), "muted")


def _bars(rows: Sequence[Bar], room: int) -> Iterator[Line]:
    labels = [clean(row.label) for row in rows]
    label_width = min(max(map(width, labels)), int(room * _LABEL_RATIO))
    columns = [
        max(map(width, column)) for column in zip(*(row.figures for row in rows), strict=True)
    ]
    used = len(_GUTTER) * (len(columns) + 2) + label_width + sum(columns)
    aside = max(width(clean(row.aside)) for row in rows)
    has_aside = aside > 0 and room - used - aside - len(_GUTTER) >= _SHORTEST_BAR * 2
    length = min(room - used - (aside + len(_GUTTER) if has_aside else 0), _LONGEST_BAR)
    for row in rows:
        yield from _bar_row(row, label_width, columns, length, has_aside=has_aside)


def _bar_row(
    row: Bar, label_width: int, columns: Sequence[int], length: int, *, has_aside: bool
) -> Iterator[Line]:
    """The figures stand beside the label's first line."""
    margin = (Span(_GUTTER),)
    label = (Piece(row.label, row.label_tone),)
    first, *more = _flow(label, len(_GUTTER) + label_width, first=margin, rest=margin)
    pad = " " * (len(_GUTTER) + label_width - _line_width(first))
    figures = "".join(
        _GUTTER + " " * (wide - width(figure)) + figure
        for figure, wide in zip(row.figures, columns, strict=True)
    )
    bar = _bar(row, length) if length >= _SHORTEST_BAR and row.fraction is not None else ""
    aside = " " * (max(length, 0) - width(bar)) + _GUTTER + clean(row.aside) if has_aside else ""
    yield (
        *first,
        Span(pad + figures + _GUTTER, row.label_tone),
        Span(bar, row.tone),
        Span(aside, "muted"),
    )
    yield from more


def _bar(row: Bar, length: int) -> str:
    """A line with a resolution of half a column; what is there at all shows as that half."""
    fraction = min(max(row.fraction or 0.0, 0.0), 1.0)
    if row.tone == "rest":
        return _REST * max(round(fraction * length), 1 if fraction else 0)
    whole, half = divmod(max(round(fraction * length * 2), 1 if fraction else 0), 2)
    return _WHOLE * whole + _HALF * half


def _line_width(line: Iterable[Span]) -> int:
    return sum(width(span.text) for span in line)


def _trimmed(line: Line) -> Line:
    """The line without empty spans and without white space at its end."""
    spans = list(line)
    while spans and not spans[-1].text.strip():
        spans.pop()
    if spans:
        last = spans[-1]
        spans[-1] = Span(last.text.rstrip(), last.tone, last.url)
    return tuple(span for span in spans if span.text)
