"""What a report is made of before it has a width: blocks of pieces of text, each with a tone."""

from dataclasses import dataclass
from typing import Literal

Tone = Literal[
    "plain",
    "strong",
    "muted",
    "slow",
    "fast",
    "proven",
    "likely",
    "contributing",
    "unknown",
    "warning",
    "bar",
    "rest",
    "command",
]
"""What a piece means; only the terminal turns it into a colour."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some words with one tone; white space inside is where lines may break."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """Words that flow."""

    pieces: tuple[Piece, ...]
    indent: int = 2
    hanging: int = 0
    """How much further the second and later lines stand in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Rows of cells in aligned columns; only the last cell of a row flows."""

    rows: tuple[tuple[Piece, ...], ...]
    indent: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One row of figures with a bar."""

    label: str
    figures: tuple[str, ...]
    """Right-aligned below each other, as many as in every other row."""
    fraction: float | None
    """Length of the bar, from 0 to 1; None for a row without one."""
    tone: Tone = "bar"
    label_tone: Tone = "plain"
    aside: str = ""
    """Shown after the bar where there is room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Rows of figures with bars on one scale."""

    rows: tuple[Bar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verbatim:
    """Something to be typed or read as it stands: never broken, whatever the width."""

    text: str
    label: str = ""
    tone: Tone = "command"
    indent: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A title and where it leads; how that is shown is for the format to say."""

    title: str
    url: str
    indent: int = 2


@dataclass(frozen=True, slots=True)
class Gap:
    """One empty line."""


Block = Paragraph | Grid | Bars | Verbatim | Link | Gap


def heading(text: str, tone: Tone = "strong") -> tuple[Block, ...]:
    """A section's title with the empty line above it."""
    return (Gap(), Paragraph(pieces=(Piece(text, tone),), indent=0))


def sentence(text: str, tone: Tone = "plain") -> Paragraph:
    """One indented paragraph of one tone."""
    return Paragraph(pieces=(Piece(text, tone),))


def spoken(identifier: str) -> str:
    """An id as words."""
    return identifier.replace("_", " ")
