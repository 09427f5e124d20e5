"""Every real kubectl must be content with both servers, and send as many requests as it should."""

import re
from typing import TYPE_CHECKING

import pytest

from kubelag.lab.control_plane.handle import ControlPlane

if TYPE_CHECKING:
    import subprocess

    from conftest import Kubectl, StartServer

pytestmark = pytest.mark.real

GROUP_VERSIONS = 77
LEGACY_REQUESTS = GROUP_VERSIONS + 3
"""/api, /apis, every group-version, and the list itself."""
AGGREGATED_REQUESTS = 3
FALLBACK_MINOR = 31
REQUEST = re.compile(r'GET https|verb="GET"')


def requests(done: "subprocess.CompletedProcess[str]") -> int:
    assert done.returncode == 0, done.stderr
    return len(REQUEST.findall(done.stderr))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("get", "nodes"), r"node1 +Ready +master +\w+ +v1\.20\.2"),
        (("get", "nodes", "--chunk-size=2"), r"node3 +Ready"),
        (("get", "pods", "-A"), r"kube-system +pod2 +1/1 +Running"),
        (("get", "things0"), r"thing0-1 +\w+"),
        (("get", "things0.g0.example.com", "thing0-2", "-o", "yaml"), r"kind: Thing0"),
        (("get", "node", "node2", "-o", "json"), r'"name": "node2"'),
        (("get", "nodes", "--show-labels", "--sort-by=.metadata.name"), r"hostname=node3"),
        (("describe", "node", "node1"), r"pod1 "),
        (("api-resources",), r"things2 "),
        (("api-versions",), r"g39\.example\.com/v1"),
        (("version",), r"Server Version"),
        (("get", "--raw", "/livez"), r"^ok$"),
        (("get", "deployments"), r""),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_kubectl_is_content(
    control_plane: ControlPlane, kubectl: "Kubectl", arguments: tuple[str, ...], expected: str
) -> None:
    done = kubectl.run(control_plane.kubeconfig(), *arguments)
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr.lower()
    assert re.search(expected, done.stdout, re.MULTILINE)


def test_a_cold_run_asks_for_every_group_version_and_a_warm_one_for_none(
    control_plane: ControlPlane, kubectl: "Kubectl"
) -> None:
    cold = kubectl.run(control_plane.kubeconfig(), "-v=6", "get", "nodes")
    warm = kubectl.run(control_plane.kubeconfig(), "-v=6", "get", "nodes")
    assert (requests(cold), requests(warm)) == (LEGACY_REQUESTS, 1)


def test_chunks_are_fetched_one_after_another(
    control_plane: ControlPlane, kubectl: "Kubectl"
) -> None:
    kubectl.run(control_plane.kubeconfig(), "get", "nodes")
    done = kubectl.run(control_plane.kubeconfig(), "-v=6", "get", "nodes", "--chunk-size=2")
    assert requests(done) == 2


@pytest.mark.parametrize("user", ["token", "forbidden", "anonymous"])
def test_every_user_is_told_what_is_theirs(
    control_plane: ControlPlane, kubectl: "Kubectl", user: str
) -> None:
    done = kubectl.run(control_plane.kubeconfig(user), "get", "nodes")
    if user == "token":
        assert done.returncode == 0, done.stderr
        return
    assert (done.returncode, done.stdout) == (1, "")
    # who may not even discover is told so by new versions only
    assert re.search(r"[Ff]orbidden|doesn't have a resource type", done.stderr)


AGGREGATING_FROM = {"v2beta1": 26, "v2": 30, "both": 26}
"""The first minor version of kubectl that uses each format; causes of skew between them."""


@pytest.fixture(scope="module", params=sorted(AGGREGATING_FROM))
def aggregating(
    request: pytest.FixtureRequest, start_server: "StartServer"
) -> tuple[ControlPlane, int]:
    """A server with aggregated discovery, and the first kubectl that can use it."""
    server = start_server(aggregated=request.param)
    return server, AGGREGATING_FROM[request.param]


def test_aggregated_discovery_takes_three_requests_where_the_versions_meet(
    aggregating: tuple[ControlPlane, int], kubectl: "Kubectl"
) -> None:
    server, first_minor = aggregating
    is_aggregated = kubectl.minor >= first_minor
    cold = kubectl.run(server.kubeconfig(), "-v=6", "get", "nodes")
    assert requests(cold) == (AGGREGATED_REQUESTS if is_aggregated else LEGACY_REQUESTS)
    things = kubectl.run(server.kubeconfig(), "get", "things0")
    assert "thing0-1" in things.stdout


def test_of_what_has_expired_only_aggregated_documents_are_not_sent_again(
    start_server: "StartServer", kubectl: "Kubectl"
) -> None:
    server = start_server(aggregated="both")
    kubectl.run(server.kubeconfig(), "get", "nodes")
    for file in (kubectl.home / ".kube" / "cache" / "discovery").rglob("*.json"):
        file.unlink()
    done = kubectl.run(server.kubeconfig(), "-v=8", "api-resources")
    assert done.returncode == 0, done.stderr
    # /api and /apis; the others carry no ETag to be known again by
    known = 2 if kubectl.minor >= AGGREGATING_FROM["both"] else 0
    assert done.stderr.count("X-From-Cache: 1") == known


def test_a_group_whose_server_is_down_costs_requests_in_every_run(
    start_server: "StartServer", kubectl: "Kubectl"
) -> None:
    name = "metrics.example.com/v1beta1"
    server = start_server(unavailable_group_versions=(name,))
    kubectl.run(server.kubeconfig(), "get", "nodes")
    warm = kubectl.run(server.kubeconfig(), "-v=6", "get", "nodes")
    assert "503 Service Unavailable" in warm.stderr
    assert requests(warm) > 1


def test_a_refused_websocket_makes_new_kubectls_fall_back(
    start_server: "StartServer", kubectl: "Kubectl"
) -> None:
    """Source of the versions: WebSocket is the default from 1.31 on."""
    server = start_server(is_websocket_refused=True)
    done = kubectl.run(server.kubeconfig("token"), "exec", "-v=4", "pod1", "--", "true")
    assert done.returncode == 1
    assert ("RemoteCommand fallback: " in done.stderr) == (kubectl.minor >= FALLBACK_MINOR)
    assert "the lab runs nothing in its pods" in done.stderr


def test_kubectl_repeats_what_was_told_429(start_server: "StartServer", kubectl: "Kubectl") -> None:
    server = start_server(reject_429_every=40, retry_after_s=1)
    done = kubectl.run(server.kubeconfig(), "-v=8", "get", "nodes")
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"429 Too Many Requests|status=\"429", done.stderr)) == 2
