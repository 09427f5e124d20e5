"""Another kubectl in the place of the first; everything else as it was."""

import pytest

from evidence import evidence
from kubelag.experiments import other_client
from kubelag.experiments.contract import NotApplicableError, Situation, Variant
from kubelag.experiments.other_client import OtherClientInstead
from kubelag.experiments.workshop import Workshop
from kubelag.observe.other_clients import OtherClient

UNCHANGED = Variant(argv=("kubectl", "get", "nodes", "--token=planted"), env={"PATH": "/bin"})


def client(version: str | None, *, is_wrapper: bool = False) -> OtherClient:
    return OtherClient(path=f"/bin/kubectl-{version}", version=version, is_wrapper=is_wrapper)


def vary(monkeypatch: pytest.MonkeyPatch, *found: OtherClient) -> Variant:
    monkeypatch.setattr(other_client, "find_kubectls", lambda _env: found)
    situation = Situation(
        evidence=evidence(), unchanged=UNCHANGED, kubeconfig=None, workshop=Workshop()
    )
    (treatment,) = OtherClientInstead().vary(situation)
    return treatment.variant


def test_the_newest_other_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    found = (client("1.9.1"), client("1.33.4"), client("1.27.2"), client("1.20.2"))
    varied = vary(monkeypatch, *found)
    assert varied.argv == ("/bin/kubectl-1.33.4", "get", "nodes", "--token=planted")
    assert varied.shown == "/bin/kubectl-1.33.4 get nodes  # kubectl 1.33.4"
    assert varied.env == UNCHANGED.env


@pytest.mark.parametrize(
    "found",
    [
        (),
        (client("1.20.2"),),
        (client("1.33.4", is_wrapper=True),),
        (client(None),),
    ],
    ids=["none", "only itself", "only a wrapper", "one that does not say"],
)
def test_without_another_one_it_does_not_apply(
    monkeypatch: pytest.MonkeyPatch, found: tuple[OtherClient, ...]
) -> None:
    with pytest.raises(NotApplicableError, match="no other kubectl"):
        vary(monkeypatch, *found)
