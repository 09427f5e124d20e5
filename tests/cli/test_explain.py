"""`kubelag explain` as a command line: what it takes, where it writes, how it ends."""

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evidence import S, evidence, incident
from kubelag.bundle import save
from kubelag.causes.catalogue import all_causes
from kubelag.cli import explain as command
from kubelag.cli.main import main
from kubelag.engine import explain as engine
from kubelag.engine.captures import Files
from kubelag.engine.explain import Explained, Teller, Wish
from kubelag.engine.reporting import judge
from kubelag.engine.road import Hints
from kubelag.errors import KubelagError
from kubelag.experiments.catalogue import EXPERIMENTS
from kubelag.model.evidence import Run
from kubelag.model.experiment import Trial


class Engine:
    """Takes a wish and gives back what it was given."""

    def __init__(self, **run: Any) -> None:
        self.wish: Wish | None = None
        self.trial = Trial()
        self.found = incident()
        self.found = replace(self.found, run=replace(self.found.run, **run))

    def __call__(self, wish: Wish, teller: Teller) -> Explained:
        assert teller
        self.wish = wish
        return Explained(judged=judge(self.found, all_causes()), trial=self.trial)


def install(monkeypatch: pytest.MonkeyPatch, **run: Any) -> Engine:
    made = Engine(**run)
    monkeypatch.setattr(engine, "explain", made)
    return made


def test_options_become_a_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    made = install(monkeypatch)
    words = "explain -q --cold --once --no-proof --budget 7.5 --show-output -- kubectl -n x get po"
    assert main(words.split()) == 0
    assert made.wish is not None
    assert made.wish.argv == ("kubectl", "-n", "x", "get", "po")
    assert (made.wish.cold, made.wish.once, made.wish.prove) == (True, True, False)
    assert (made.wish.budget_s, made.wish.show_output) == (7.5, True)


def test_experiments_by_name_become_part_of_the_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    made = install(monkeypatch)
    words = "explain -q --try http1_only --try direct_backend:master1 kubectl get nodes"
    assert main(words.split()) == 0
    assert made.wish is not None
    assert made.wish.experiments == ("http1_only", "direct_backend:master1")


def test_the_experiments_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--try", "help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "bypass_vip         to the balancer's own address" in lines
    assert len(lines) == len(EXPERIMENTS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--try nonsense kubectl get nodes", "There is no experiment 'nonsense'"),
        ("--try http1_only --no-proof kubectl get nodes", "--no-proof forbids it"),
        ("--try http1_only --once kubectl get nodes", "--once forbids it"),
        ("--try http1_only", "--try needs a command"),
    ],
)
def test_an_experiment_that_cannot_be_tried_is_refused(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", *words.split()]) == 2
    assert said in capsys.readouterr().err


def test_what_is_known_of_the_way_becomes_part_of_the_wish(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = install(monkeypatch)
    words = "explain -q --backend 10.0.0.1:6443 --backend 10.0.0.2:6443 --haproxy /run/stats"
    more = "--no-capture --pcap near --peer-pcap far kubectl get nodes --pcap theirs"
    assert main([*words.split(), *more.split()]) == 0
    assert made.wish is not None
    assert made.wish.hints == Hints(
        backends=("10.0.0.1:6443", "10.0.0.2:6443"), haproxy=Path("/run/stats"), captures=False
    )
    assert made.wish.captures == Files(near=Path("near"), far=Path("far"))
    assert made.wish.argv == ("kubectl", "get", "nodes", "--pcap", "theirs")


def test_without_options_packets_may_be_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    made = install(monkeypatch)
    assert main(["explain", "-q", "kubectl", "get", "nodes"]) == 0
    assert made.wish is not None
    assert (made.wish.hints, made.wish.captures) == (Hints(), Files())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--backend", "10.0.0.1"), "'10.0.0.1' is no address with a port"),
        (
            ("--haproxy", "none.cfg"),
            "--haproxy none.cfg cannot be read (no such file or directory)",
        ),
    ],
)
def test_a_hint_that_is_no_use_is_refused_before_the_command_runs(
    tmp_path: Path,
    words: tuple[str, ...],
    told: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["explain", "-q", "--once", *words, "touch", "was-run"]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "was-run").exists()


def test_without_options_it_proves_and_takes_its_budget_from_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = install(monkeypatch)
    assert main(["explain", "kubectl", "get", "nodes", "--cold", "-q"]) == 0
    assert made.wish is not None
    assert made.wish.argv == ("kubectl", "get", "nodes", "--cold", "-q")
    assert (made.wish.cold, made.wish.prove, made.wish.budget_s) == (False, True, None)


@pytest.mark.parametrize(
    ("run", "trial", "code"),
    [
        ({"exit_code": 0}, Trial(), 0),
        ({"exit_code": 7}, Trial(), 7),
        ({"exit_code": None, "signal": 9}, Trial(), 137),
        ({"exit_code": None, "signal": 2, "interrupted": True}, Trial(), 130),
        ({"exit_code": 0, "interrupted": True}, Trial(), 130),
        ({"exit_code": 0}, Trial(stopped="interrupted"), 130),
        ({"exit_code": 3}, Trial(stopped="settled after 3 blocks"), 3),
    ],
)
def test_its_code_is_the_commands_or_that_of_an_interruption(
    monkeypatch: pytest.MonkeyPatch, run: dict[str, Any], trial: Trial, code: int
) -> None:
    made = install(monkeypatch, **run)
    made.trial = trial
    assert main(["explain", "-q", "kubectl"]) == code


def test_the_report_goes_to_a_private_file_and_replaces_an_older_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch)
    output = tmp_path / "report"
    for _ in range(2):
        assert main(["explain", "-q", "--output", str(output), "kubectl"]) == 0
    assert output.read_text().startswith("kubectl get nodes\n")
    assert output.read_text().count("How it was watched") == 1
    assert output.stat().st_mode & 0o777 == 0o600
    assert capsys.readouterr() == ("", "")


def test_a_bundle_is_saved_and_gives_the_same_report(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch)
    assert main(["explain", "-q", "--save", str(tmp_path / "bundle"), "kubectl"]) == 0
    fresh = capsys.readouterr().out
    assert main(["explain", "--from", str(tmp_path / "bundle")]) == 0
    assert capsys.readouterr().out == fresh


def test_a_saved_failure_is_no_failure_of_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = replace(evidence(S), run=Run(start_ns=0, end_ns=S, exit_code=7))
    save(tmp_path / "bundle", failed, Trial())
    assert main(["explain", "--from", str(tmp_path / "bundle")]) == 0
    assert "exit code 7" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("place", "why"),
    [
        (".", "it is a directory"),
        ("gone/report", "there is no directory"),
        ("file/report", "there is no directory"),
    ],
)
def test_an_output_that_cannot_be_is_told_before_anything_is_run(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    place: str,
    why: str,
) -> None:
    made = install(monkeypatch)
    (tmp_path / "file").touch()
    assert main(["explain", "--output", str(tmp_path / place), "kubectl"]) == 1
    assert made.wish is None
    assert why in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_that_is_not_ours_is_told_before_anything_is_run(tmp_path: Path) -> None:
    (tmp_path / "report").touch(mode=0o400)
    with pytest.raises(KubelagError, match="not yours to write"):
        command._check_output(tmp_path / "report")


def test_without_a_standard_output_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch)
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["explain", "-q", "kubectl"]) == 1
    assert "standard output (it is closed)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "explain needs a command, --from a bundle, or --pcap a capture"),
        (["--"], "explain needs a command, --from a bundle, or --pcap a capture"),
        (["--peer-pcap", "far"], "explain needs a command, --from a bundle, or --pcap a capture"),
        (["--from", "b", "kubectl"], "explain takes a command or --from a bundle, not both"),
    ],
)
def test_it_needs_either_a_command_or_a_bundle(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", *words]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan", "inf", ""])
def test_a_budget_is_a_number_of_seconds_above_zero(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a number of seconds above zero"):
        command._positive_seconds(text)
