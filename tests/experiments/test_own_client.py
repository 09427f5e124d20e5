"""kubelag's own client in the place of kubectl; everything else as it was."""

import dataclasses

import pytest

from evidence import evidence
from kubelag.cli.get import OPTIONS
from kubelag.experiments import own_client
from kubelag.experiments.contract import NotApplicableError, Situation, Variant
from kubelag.experiments.own_client import FLAGS, OwnClientInstead
from kubelag.experiments.workshop import Workshop
from kubelag.kube.command import SHORTHANDS


@pytest.fixture(autouse=True)
def program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose path is of no matter here."""
    monkeypatch.setattr(own_client, "own_program", lambda: "/bin/kubelag")


def vary(*words: str) -> Variant:
    unchanged = Variant(argv=("kubectl", *words), env={"PATH": "/bin"})
    situation = Situation(
        evidence=evidence(), unchanged=unchanged, kubeconfig=None, workshop=Workshop()
    )
    (treatment,) = OwnClientInstead().vary(situation)
    return treatment.variant


def test_the_same_words_go_to_it_and_it_writes_nothing() -> None:
    varied = vary("--token=planted", "get", "pods", "-A", "-o", "wide", "-v6")
    assert varied.argv == (
        *("/bin/kubelag", "--token=planted", "get", "pods", "-A", "-o", "wide"),
        "--cache-policy=read-only",
    )
    assert "planted" not in varied.shown


@pytest.mark.parametrize(
    "words",
    [
        ("describe", "node", "x"),
        ("get", "pods", "--sort-by=.metadata.name"),
        ("get", "pods", "-w"),
        ("get", "pods", "-o", "custom-columns=A:.a"),
        ("get", "pods", "-ogo-template={{.}}"),
        ("get", "pods", "--output=jsonpath-as-json={.a}"),
    ],
    ids=" ".join,
)
def test_what_it_does_not_know_is_not_tried(words: tuple[str, ...]) -> None:
    with pytest.raises(NotApplicableError, match="own client"):
        vary(*words)


def test_another_program_is_not_replaced() -> None:
    found = evidence()
    other = dataclasses.replace(found, client=dataclasses.replace(found.client, kind="helm"))
    unchanged = Variant(argv=("helm", "get", "x"), env={})
    situation = Situation(evidence=other, unchanged=unchanged, kubeconfig=None, workshop=Workshop())
    with pytest.raises(NotApplicableError, match="own client"):
        OwnClientInstead().vary(situation)


def test_every_flag_that_it_lets_pass_is_one_of_kubelag_get() -> None:
    known = {name.lstrip("-") for option in OPTIONS for name in option.names}
    known |= {SHORTHANDS.get(name, name) for name in known}
    assert known >= FLAGS
