"""kubelag's cache and the real kubectl's, each read by the other."""

import http.client
import os
import re
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cache_snapshots import from_server
from kubelag.kube.cache.pack import decode_index
from kubelag.kube.cache.repair import repair
from kubelag.kube.cache.store import Store
from kubelag.kube.cache.verify import verify
from kubelag.kube.transport.messages import Response

pytest.importorskip("hypercorn", reason="the lab's packages are not installed")

from kubelag.lab.control_plane.certificates import Certificates
from kubelag.lab.control_plane.embedded import start_embedded
from kubelag.lab.control_plane.handle import ControlPlane
from kubelag.lab.control_plane.options import Aggregated, ControlPlaneOptions

pytestmark = pytest.mark.real

GROUP_VERSIONS = 38
POLICIES = ("checksummed", "synced")
_REQUEST = re.compile(r'(?:\] GET |verb="GET" url=")(https://[^" ]+)')
_ACCEPT = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
)


@dataclass(frozen=True)
class Server:
    """A control plane, and one's own connection to it."""

    control_plane: ControlPlane

    @property
    def url(self) -> str:
        return self.control_plane.url

    def ask(self, path: str, accept: str = "application/json") -> Response:
        """One document."""
        certificates = Certificates.below(self.control_plane.directory)
        context = ssl.create_default_context(cafile=str(certificates.ca))
        context.load_cert_chain(certificates.client_certificate, certificates.client_key)
        parts = urlsplit(self.url)
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port, context=context, timeout=30
        )
        try:
            connection.request("GET", path, headers={"Accept": accept})
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Response(status=answer.status, headers=headers, body=answer.read())
        finally:
            connection.close()


@dataclass(frozen=True)
class Run:
    """What one kubectl did."""

    output: str
    log: str

    @property
    def paths(self) -> list[str]:
        """Of its requests."""
        return [urlsplit(url).path for url in _REQUEST.findall(self.log)]


Kubectl = Callable[..., Run]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Aggregated], Server]]:
    """Starts a server that serves discovery in this format, once."""
    started: dict[str, Server] = {}

    def run(aggregated: Aggregated) -> Server:
        if aggregated not in started:
            options = ControlPlaneOptions(group_versions=GROUP_VERSIONS, aggregated=aggregated)
            directory = tmp_path_factory.mktemp("server") / "lab"
            started[aggregated] = Server(start_embedded(directory, options))
        return started[aggregated]

    yield run
    for server in started.values():
        server.control_plane.stop()


@pytest.fixture(scope="module")
def server(start: Callable[[Aggregated], Server]) -> Server:
    """One that serves discovery as 1.20 does."""
    return start("none")


@pytest.fixture
def run(tmp_path: Path) -> Kubectl:
    """Runs a kubectl against a server, with the test's own cache."""

    def kubectl(path: Path, server: Server, *arguments: str, verbosity: int = 6) -> Run:
        environment = {"HOME": str(tmp_path), "PATH": os.defpath}
        environment["KUBECONFIG"] = str(server.control_plane.kubeconfig())
        done = subprocess.run(
            [path, *arguments, f"-v={verbosity}"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return Run(done.stdout, done.stderr)

    return kubectl


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The cache of those runs."""
    return tmp_path / ".kube" / "cache"


def save(root: Path, server: Server, policy: str) -> Store:
    store = Store(str(root), server.url, policy=policy)
    store.save(from_server(lambda path: server.ask(path).body, server.url, time.time()))
    store.flush()
    assert store.troubles == []
    return store


@pytest.mark.parametrize("policy", POLICIES)
def test_what_we_write_spares_every_kubectl_its_discovery(
    policy: str, kubectl_path: Path, server: Server, root: Path, run: Kubectl
) -> None:
    save(root, server, policy)
    done = run(kubectl_path, server, "get", "nodes")
    assert done.paths == ["/api/v1/nodes"]
    assert "node1" in done.output


def test_what_kubectl_writes_is_taken_over_whole(
    kubectl_path: Path, server: Server, root: Path, run: Kubectl
) -> None:
    began_s = time.time()
    assert len(run(kubectl_path, server, "get", "nodes").paths) == GROUP_VERSIONS + 3
    store = Store(str(root), server.url)
    assert store.index() is None
    found = store.snapshot()
    assert found is not None
    wanted = from_server(lambda path: server.ask(path).body, server.url, 0.0)
    assert (found.groups, found.group_versions) == (wanted.groups, wanted.group_versions)
    assert began_s - 1 < found.fetched_s < time.time() + 1
    assert verify(str(root)).findings == ()
    store.save(found)
    store.flush()
    assert store.index() is not None
    assert run(kubectl_path, server, "get", "nodes").paths == ["/api/v1/nodes"]


@pytest.mark.parametrize("aggregated", ["v2", "both"])
def test_what_the_newest_writes_from_aggregated_discovery_is_taken_over(
    aggregated: Aggregated,
    start: Callable[[Aggregated], Server],
    new_kubectl: Path,
    root: Path,
    run: Kubectl,
) -> None:
    server = start(aggregated)
    run(new_kubectl, server, "get", "nodes")
    found = Store(str(root), server.url).snapshot()
    assert found is not None
    assert {each.state for each in found.group_versions.values()} == {"ok"}
    assert len(found.group_versions) == GROUP_VERSIONS
    assert verify(str(root)).findings == ()


def test_the_oldest_finds_nothing_wrong_with_what_the_newest_and_we_wrote(
    start: Callable[[Aggregated], Server],
    old_kubectl: Path,
    new_kubectl: Path,
    root: Path,
    run: Kubectl,
) -> None:
    server = start("v2")
    run(new_kubectl, server, "get", "nodes")
    store = Store(str(root), server.url)
    found = store.snapshot()
    assert found is not None
    store.save(found)
    store.flush()
    assert run(old_kubectl, server, "get", "nodes").paths == ["/api/v1/nodes"]
    assert run(new_kubectl, server, "get", "nodes").paths == ["/api/v1/nodes"]
    assert store.index() is not None


def test_after_its_time_the_newest_is_told_that_our_entries_still_hold(
    start: Callable[[Aggregated], Server], new_kubectl: Path, root: Path, run: Kubectl
) -> None:
    server = start("v2")
    store = save(root, server, "checksummed")
    for path in ("/api", "/apis"):
        asked = f"{path}?timeout=32s"
        store.put(f"{server.url}{asked}", server.ask(asked, _ACCEPT), _ACCEPT)
    store.flush()
    old_s = time.time() - 7 * 3600
    for file in (root / "discovery").rglob("server*.json"):
        os.utime(file, (old_s, old_s))
    done = run(new_kubectl, server, "get", "nodes", verbosity=8)
    asked = re.findall(r"GET https://[^/ ]+(/apis?)\?timeout=32s|url=\"[^\"]+?(/apis?)\?", done.log)
    assert {first or second for first, second in asked} == {"/api", "/apis"}
    assert len(re.findall(r"X-From-Cache: 1", done.log)) == 2
    assert "node1" in done.output


def test_an_empty_file_hides_a_group_from_kubectl_and_repair_shows_it_again(
    kubectl_path: Path, server: Server, root: Path, run: Kubectl
) -> None:
    listing = ("api-resources", "--cached", "--api-group=apps", "-o=name")
    assert "deployments.apps" in run(kubectl_path, server, *listing).output
    (path,) = root.glob("discovery/*/apps/v1/serverresources.json")
    os.truncate(path, 0)
    hidden = run(kubectl_path, server, *listing)
    assert (hidden.output, hidden.paths) == ("", [])
    assert path.stat().st_size == 0
    (done,) = repair(str(root))
    assert (done.path, done.problem, done.done) == (str(path), "zero-length", "removed")
    assert "deployments.apps" in run(kubectl_path, server, *listing).output
    assert path.stat().st_size > 0


def test_an_empty_file_of_kubectls_is_no_empty_group_to_us(
    new_kubectl: Path, server: Server, root: Path, run: Kubectl
) -> None:
    run(new_kubectl, server, "get", "nodes")
    (path,) = root.glob("discovery/*/apps/v1/serverresources.json")
    os.truncate(path, 0)
    store = Store(str(root), server.url)
    found = store.snapshot()
    assert found is not None
    assert found.group_versions["apps/v1"].state == "failed"
    assert "zero-length" in found.group_versions["apps/v1"].why
    store.save(found)
    store.flush()
    index = decode_index((Path(store.host) / "kubelag.v1").read_bytes())
    assert index is not None
    assert list(index.not_ok) == ["apps/v1"]
