"""One door: words to a command, errors to exit codes, and never a trace."""

import argparse
import signal
import sys
from types import SimpleNamespace

import pytest

from kubelag import __version__
from kubelag.cli import main as door
from kubelag.cli.main import COMMANDS, build_parser, command_module, main
from kubelag.errors import CommandNotFoundError, KubelagError, UsageError


def stand_in(monkeypatch: pytest.MonkeyPatch, outcome: int | BaseException) -> None:
    """Every command does the same."""

    def run(_args: argparse.Namespace) -> int:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    module = SimpleNamespace(DESCRIPTION="d", configure=lambda _parser: None, run=run)
    monkeypatch.setattr(door, "command_module", lambda _name: module)


@pytest.mark.parametrize(
    ("outcome", "code", "said"),
    [
        (0, 0, ""),
        (7, 7, ""),
        (KubelagError("no", "do this"), 1, "kubelag: no; do this\n"),
        (UsageError("no"), 2, "kubelag: no\n"),
        (CommandNotFoundError("no"), 127, "kubelag: no\n"),
        (KeyboardInterrupt(), 128 + signal.SIGINT, "kubelag: interrupted\n"),
    ],
)
def test_an_outcome_becomes_an_exit_code_and_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    outcome: int | BaseException,
    code: int,
    said: str,
) -> None:
    stand_in(monkeypatch, outcome)
    assert main(["fix"]) == code
    assert capsys.readouterr() == ("", said)


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        main(["fix"])


def test_its_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"kubelag {__version__}\n"


@pytest.mark.parametrize("words", [[], ["no-such-command"], ["--no-such-option"], ["fix", "-x"]])
def test_words_that_cannot_be_meant_are_told_with_the_usage(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: kubelag")


def test_help_names_every_command_with_its_summary(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert all(one.name in out and one.summary in out for one in COMMANDS)
    assert "kubelag explain kubectl get nodes" in out


@pytest.mark.parametrize("name", [command.name for command in COMMANDS])
def test_every_command_has_help_with_an_example(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert "kubelag" in command_module(name).DESCRIPTION
    assert capsys.readouterr().out.startswith("usage: kubelag")


def test_words_come_from_the_command_line_where_none_are_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand_in(monkeypatch, 5)
    monkeypatch.setattr(sys, "argv", ["kubelag", "fix"])
    assert main() == 5


def test_only_the_wanted_command_is_filled_in() -> None:
    parser = build_parser("completion")
    assert parser.parse_args(["completion", "zsh"]).shell == "zsh"
    with pytest.raises(SystemExit):
        parser.parse_args(["run", "--no-sync"])
