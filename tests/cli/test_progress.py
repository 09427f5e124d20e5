"""Progress: a live line on a terminal, a few plain lines elsewhere, silence where asked for."""

import io
import sys
import threading
from collections.abc import Callable

import pytest

from evidence import MS, S
from kubelag.cli.progress import LineTeller, LiveTeller, QuietTeller, teller_for
from kubelag.experiments.cache_warm import CacheWarm
from kubelag.model.experiment import Estimate

FOUND = Estimate(saving_ns=9 * S, low_ns=8 * S, high_ns=9500 * MS, pairs=2)


class Terminal(io.StringIO):
    """Says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "quiet", "kind"),
    [
        (io.StringIO(), False, LineTeller),
        (Terminal(), False, LiveTeller),
        (io.StringIO(), True, QuietTeller),
        (Terminal(), True, QuietTeller),
    ],
)
def test_the_one_that_suits_the_stream_is_taken(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, kind: type, *, quiet: bool
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    assert type(teller_for(quiet=quiet, budget_s=10)) is kind


def play(teller: QuietTeller) -> None:
    """A whole explanation."""
    teller.stage("watching one run")
    teller.watching(0.5)
    teller.running("warming up", 0, 0.0)
    for block in (1, 1, 2):
        teller.running("unchanged", block, 0.0)
        teller.running("unchanged", block, 1.5)
    teller.found(CacheWarm(), FOUND)
    teller.running("placebo", 3, 0.5)
    teller.close()


def test_elsewhere_each_stage_block_and_finding_is_a_line() -> None:
    stream = io.StringIO()
    play(LineTeller(stream))
    assert stream.getvalue().splitlines() == [
        "kubelag: watching one run",
        "kubelag: experiments, block 1",
        "kubelag: experiments, block 2",
        "kubelag:   with a filled, writable cache: saves 9.00 s (8.00 s to 9.50 s)",
        "kubelag: experiments, block 3",
    ]


def test_nothing_is_said_where_nothing_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    play(QuietTeller())
    assert capsys.readouterr() == ("", "")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Terminal]:
    """Puts a terminal in the place of standard error, from within the test."""

    def put() -> Terminal:
        stream = Terminal()
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("COLUMNS", "200")
        return stream

    return put


def test_on_a_terminal_a_line_says_what_runs_for_how_long_and_what_was_found(
    terminal: Callable[[], Terminal],
) -> None:
    seen = terminal()
    play(LiveTeller(budget_s=10))
    shown = seen.getvalue()
    for text in (
        "watching one run",
        "0.5 s",
        "proving, block 2",
        "unchanged 1.5 s",
        "saves 9.00 s",
    ):
        assert text in shown


def test_the_line_is_taken_away_and_the_cursor_given_back(terminal: Callable[[], Terminal]) -> None:
    seen = terminal()
    play(LiveTeller(budget_s=10))
    shown = seen.getvalue()
    assert shown.rindex("\x1b[2K") > shown.rindex("block 3")
    assert shown.count("\x1b[?25h") == shown.count("\x1b[?25l") > 0


def test_closing_twice_or_before_anything_was_said_is_harmless(
    terminal: Callable[[], Terminal],
) -> None:
    seen = terminal()
    teller = LiveTeller(budget_s=10)
    teller.close()
    teller.watching(1.0)
    assert seen.getvalue() == ""
    teller.stage("watching one run")
    teller.close()
    teller.close()


@pytest.mark.usefixtures("terminal")
def test_no_thread_is_started_since_timed_runs_fork() -> None:
    before = threading.active_count()
    teller = LiveTeller(budget_s=10)
    teller.stage("watching one run")
    assert threading.active_count() == before
    teller.close()


@pytest.mark.usefixtures("terminal")
def test_the_bar_fills_as_the_budget_is_spent_and_no_further() -> None:
    teller = LiveTeller(budget_s=10)
    teller.stage("proving")
    filled = []
    for elapsed_s in (0.0, 4.0, 0.0, 3.0, 0.0, 9.0):
        teller.running("unchanged", 1, elapsed_s)
        filled.append(teller._bar.tasks[0].completed)
    teller.close()
    assert filled == [0.0, 4.0, 4.0, 7.0, 7.0, 10.0]
