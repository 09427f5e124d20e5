import io
import re

import pytest
from rich.console import Console

from kubelag.model.report import Report
from kubelag.report import plain, terminal
from kubelag.report.content import document
from kubelag.report.layout import lay_out

LINK = re.compile(r"\x1b]8;[^;]*;([^\x1b]*)\x1b\\")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def plain_text(report: Report, columns: int = plain.DEFAULT_COLUMNS) -> str:
    stream = io.StringIO()
    plain.write(report, stream, columns=columns)
    return stream.getvalue()


@pytest.fixture(autouse=True)
def _colourful(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's own environment must not decide."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")


@pytest.mark.parametrize("columns", [40, 80, 120, 200])
def test_colours_and_links_are_all_that_a_terminal_adds(sample: Report, columns: int) -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=columns, color_system="256")
    terminal.draw(sample, console)
    shown = COLOUR.sub("", LINK.sub("", stream.getvalue()))
    lines = lay_out(document(sample), columns, hyperlinks=True)
    assert shown == "".join("".join(span.text for span in line) + "\n" for line in lines)


def test_sources_can_be_clicked(incident: Report) -> None:
    stream = Screen()
    terminal.write(incident, stream)
    assert "https://github.com/kubernetes/kubernetes/pull/110851" in LINK.findall(stream.getvalue())


def test_a_proven_cause_looks_unlike_a_likely_one() -> None:
    assert terminal.STYLES["proven"] != terminal.STYLES["likely"]


def test_a_pipe_gets_plain_text(incident: Report) -> None:
    stream = io.StringIO()
    terminal.write(incident, stream)
    assert stream.getvalue() == plain_text(incident)


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_that_wants_no_colour_gets_plain_text(
    incident: Report, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    stream = Screen()
    terminal.write(incident, stream)
    columns = 80 if name == "TERM" else 100  # rich trusts a dumb terminal with no other width
    assert stream.getvalue() == plain_text(incident, columns)
