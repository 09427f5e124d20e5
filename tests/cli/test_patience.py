"""Whoever waits at a terminal is told for what; nobody else is."""

import sys

import pytest

from kubelag.cli.patience import Patience, told
from kubelag.kube.transport.events import Phase, Waiting

WAITING = Waiting(server="api:6443", waited_s=2.0, answers=3)
ANSWER = Phase(kind="server", began_ns=0, ended_ns=1)


@pytest.mark.parametrize(
    ("answers", "line"),
    [
        (0, "kubelag: waiting for a connection of api:6443, 2 s"),
        (1, "kubelag: waiting for an answer of api:6443, 2 s"),
        (3, "kubelag: waiting for 3 answers of api:6443, 2 s"),
    ],
)
def test_the_line_says_for_what_and_how_long(answers: int, line: str) -> None:
    assert told(WAITING.but(answers=answers)) == line


def test_the_line_goes_away_when_something_comes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    patience = Patience()
    for event in (ANSWER, WAITING, ANSWER, ANSWER):
        patience(event)
    assert capsys.readouterr().err == f"\r\x1b[K{told(WAITING)}\r\x1b[K"


def test_where_nobody_looks_nothing_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Patience()(WAITING)
    assert capsys.readouterr().err == ""
