"""The report as plain text: for pipes, files and terminals that show nothing else."""

from collections.abc import Iterable
from typing import TextIO

from kubelag.model.report import Report
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
    lines = lay_out(document(report), columns, hyperlinks=False)
    stream.write(_encodable(_text(lines), stream.encoding or "utf-8"))


def _text(lines: Iterable[Line]) -> str:
    return "".join("".join(span.text for span in line) + "\n" for line in lines)


def _encodable(text: str, encoding: str) -> str:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(encoding, errors="replace").decode(encoding)
    return text
