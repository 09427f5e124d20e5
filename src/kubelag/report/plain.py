"""The report as plain text: for pipes, files and terminals that show nothing else."""

from collections.abc import Iterable
from typing import TextIO

from kubelag.model.report import Report
from kubelag.report.blocks import Block
from kubelag.report.content import document
from kubelag.report.layout import Line, lay_out

DEFAULT_COLUMNS = 80
_ASCII = str.maketrans(
    {
        "━": "=",
        "╸": "-",
        "╍": ".",
        "–": "-",  # noqa: RUF001 - the en dash of ranges
        "×": "x",  # noqa: RUF001 - the sign of times
        "·": ",",
        "…": "...",
    }
)


def write(report: Report, stream: TextIO, *, columns: int = DEFAULT_COLUMNS) -> None:
    """Write it, in ASCII where the stream's encoding has no more."""
    write_blocks(document(report), stream, columns=columns)


def write_blocks(
    blocks: Iterable[Block], stream: TextIO, *, columns: int = DEFAULT_COLUMNS
) -> None:
    """Write any document as `write` does."""
    lines = lay_out(blocks, columns, hyperlinks=False)
    stream.write(_encodable(_text(lines), stream.encoding or "utf-8"))


def _text(lines: Iterable[Line]) -> str:
    return "".join("".join(span.text for span in line) + "\n" for line in lines)


def _encodable(text: str, encoding: str) -> str:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(encoding, errors="replace").decode(encoding)
    return text
