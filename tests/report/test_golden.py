"""Every sample in every format, as a reader gets it.

Write them anew with KUBELAG_WRITE_GOLDEN=1 and read the difference before you commit it.
"""

import io
import os
from pathlib import Path

import pytest

from kubelag.model.report import Report
from kubelag.report import json_format, plain
from kubelag.report.clean import width

GOLDEN = Path(__file__).with_name("golden")
UNBREAKABLE = ("http", "kubelag ", "undo:")


def compare(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("KUBELAG_WRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("columns", [80, 120])
def test_plain_text_reads_as_agreed(sample_name: str, sample: Report, columns: int) -> None:
    stream = io.StringIO()
    plain.write(sample, stream, columns=columns)
    compare(f"{sample_name}.{columns}.txt", stream.getvalue())


def test_json_reads_as_agreed(sample_name: str, sample: Report) -> None:
    stream = io.StringIO()
    json_format.write(sample, stream)
    compare(f"{sample_name}.json", stream.getvalue())


@pytest.mark.parametrize("columns", [80, 120])
def test_only_what_is_copied_overruns_the_page(sample: Report, columns: int) -> None:
    stream = io.StringIO()
    plain.write(sample, stream, columns=columns)
    for line in stream.getvalue().splitlines():
        assert width(line) <= columns or line.lstrip().startswith(UNBREAKABLE)
