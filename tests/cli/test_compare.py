"""`kubelag compare` as a user types it."""

import json
from pathlib import Path

import pytest

from evidence import evidence, incident
from kubelag.bundle import save
from kubelag.cli.main import main
from kubelag.model.experiment import Trial


@pytest.fixture
def bundles(tmp_path: Path) -> tuple[str, str]:
    good, bad = tmp_path / "good", tmp_path / "bad"
    save(good, evidence(500_000_000), Trial())
    save(bad, incident(), Trial())
    return str(good), str(bad)


def test_the_answer_comes_first(
    bundles: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *bundles]) == 0
    told = capsys.readouterr().out
    lines = told.splitlines()
    assert lines[0] == "kubectl get nodes"
    assert lines[2].startswith("bad is the slowest: 10.0 s against 500 ms on good;")
    assert "syncing cache entries to disk" in told


def test_json_has_the_figures(bundles: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--format", "json", *bundles]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "kubelag/compare-1"
    assert [machine["name"] for machine in told["machines"]] == ["good", "bad"]
    assert told["factors"][0]["factor"] == "cache_fsync"


def test_a_bundle_is_not_compared_with_itself(
    bundles: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = bundles
    assert main(["compare", good, bad, f"{good}/../good/"]) != 0
    assert "good/../good/ is given twice; give each bundle once" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["compare", "one"], "one bundle compares with nothing; give two or more bundles"),
        (["compare", "--format", "xml", "a", "b"], "there is no format 'xml'"),
        (["compare", "/nonexistent/a", "/nonexistent/b"], "/nonexistent/a is no bundle"),
    ],
)
def test_what_cannot_be_compared_is_told_in_a_sentence(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) != 0
    assert said in capsys.readouterr().err
