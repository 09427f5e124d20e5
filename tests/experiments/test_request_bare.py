"""The last request by itself: same server, same credentials, nothing else."""

import pytest

from evidence import MS, evidence, request
from kubelag.experiments.contract import NotApplicableError, Situation, Variant
from kubelag.experiments.request_bare import RequestBare
from kubelag.experiments.workshop import Workshop
from kubelag.model.evidence import Request

DISCOVERY = (request("/api", 0, MS), request("/apis/apps/v1", 0, MS))
NODES = request("/api/v1/nodes?limit=500", 5 * MS, MS)


def vary(*requests: Request, argv: str = "kubectl get nodes") -> Variant:
    unchanged = Variant(argv=tuple(argv.split()), env={"A": "b"})
    observed = evidence(requests=requests)
    situation = Situation(
        evidence=observed, unchanged=unchanged, kubeconfig=None, workshop=Workshop()
    )
    (treatment,) = RequestBare().vary(situation)
    return treatment.variant


def test_it_asks_for_the_last_object_and_its_query() -> None:
    first = request("/api/v1/namespaces/default", MS, MS)
    varied = vary(*DISCOVERY, first, NODES)
    assert varied.argv == ("kubectl", "get", "--raw", "/api/v1/nodes?limit=500")
    assert varied.shown == "kubectl get --raw '/api/v1/nodes?limit=500'"
    assert varied.env == {"A": "b"}


def test_flags_that_say_where_and_as_whom_stay_and_all_others_go() -> None:
    argv = "kubectl -n kube-system get nodes --context=c --token t -o wide -v=6 --cache-dir=/x -A"
    varied = vary(*DISCOVERY, NODES, argv=argv)
    assert varied.argv[1:] == (
        "--namespace=kube-system",
        "--context=c",
        "--token=t",
        "get",
        "--raw",
        "/api/v1/nodes?limit=500",
    )
    assert "--token" not in varied.shown


@pytest.mark.parametrize(
    ("requests", "why"),
    [
        ((), "names no request for an object"),
        (DISCOVERY, "names no request for an object"),
        ((NODES,), "sent nothing else"),
    ],
)
def test_without_anything_to_compare_it_does_not_apply(
    requests: tuple[Request, ...], why: str
) -> None:
    with pytest.raises(NotApplicableError, match=why):
        vary(*requests)


def test_a_request_that_was_never_answered_is_not_repeated() -> None:
    lost = Request(verb="GET", url=NODES.url, status=None, start_ns=0, end_ns=1)
    with pytest.raises(NotApplicableError):
        vary(*DISCOVERY, lost)


def test_a_request_that_changes_something_is_never_repeated() -> None:
    post = Request(verb="POST", url=NODES.url, status=201, start_ns=0, end_ns=1)
    with pytest.raises(NotApplicableError):
        vary(*DISCOVERY, post)
