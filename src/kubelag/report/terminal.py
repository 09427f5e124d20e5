"""The report in colour, with links to click, for a person at a terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TextIO

from kubelag.model.report import Report
from kubelag.report import plain
from kubelag.report.blocks import Block, Tone
from kubelag.report.content import document
from kubelag.report.layout import Line, lay_out

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

# Middle tones of the 256-colour palette that stand out on white and on black alike (contrast of
# 3:1 or more on both); rich picks the nearest where there are only 16 colours.
_RED, _GREEN, _AMBER, _BLUE = "color(167)", "color(65)", "color(136)", "color(67)"

STYLES: Final[dict[Tone, str]] = {
    "plain": "",
    "strong": "bold",
    "muted": "dim",
    "slow": f"bold {_RED}",
    "fast": f"bold {_GREEN}",
    "proven": f"bold {_RED}",
    "likely": f"bold {_AMBER}",
    "contributing": f"bold {_AMBER}",
    "unknown": "italic",
    "warning": f"bold {_AMBER}",
    "bar": _BLUE,
    "rest": "dim",
    "command": _BLUE,
}


def write(report: Report, stream: TextIO) -> None:
    """Write it as the stream allows: no colour asked for or none possible means plain text."""
    write_blocks(document(report), stream)


def write_blocks(blocks: Sequence[Block], stream: TextIO) -> None:
    """Write any document as `write` does."""
    from rich.console import Console  # noqa: PLC0415 - 40 ms that only a terminal pays

    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    if not console.is_terminal or console.is_dumb_terminal or console.no_color:
        columns = console.width if console.is_terminal else plain.DEFAULT_COLUMNS
        plain.write_blocks(blocks, stream, columns=columns)
        return
    _draw(blocks, console)


def draw(report: Report, console: "Console") -> None:
    """Draw it on a console of any width."""
    _draw(document(report), console)


def _draw(blocks: Sequence[Block], console: "Console") -> None:
    for line in lay_out(blocks, console.width, hyperlinks=True):
        console.print(_text(line), soft_wrap=True)


def _text(line: Line) -> "Text":
    from rich.style import Style  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    text = Text()
    for span in line:
        style = Style.parse(STYLES[span.tone])
        link = Style(link=span.url, underline=True) if span.url else Style.null()
        text.append(span.text, style + link)
    return text
