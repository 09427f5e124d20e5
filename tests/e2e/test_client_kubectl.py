"""kubelag's own client beside real kubectls: the same words, the same requests, one cache."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from kubectl_lines import EMPTY, FAILING, LISTED, SHOWN
from kubelag.kube.client import Client, Settings
from kubelag.kube.discovery.resolve import Resource
from program import Program

pytest.importorskip("hypercorn", reason="the lab's packages are not installed")

from kubelag.lab.control_plane.embedded import start_embedded
from kubelag.lab.control_plane.envtest import ASSETS_VARIABLE, start_envtest
from kubelag.lab.control_plane.handle import ControlPlane
from kubelag.lab.control_plane.options import Aggregated, ControlPlaneOptions

pytestmark = pytest.mark.real

GROUP_VERSIONS = 77
TRIES = 6
"""How often two outputs may differ by an age that passed a second between the two runs."""
_REQUEST = re.compile(r'(?:\] GET |verb="GET" url=")(https://[^" ]+)')
_OURS = re.compile(r"^kubelag: GET (\S+) ", re.MULTILINE)
Start = Callable[..., ControlPlane]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts an embedded server with these options, once."""
    started: dict[str, ControlPlane] = {}

    def run(**options: object) -> ControlPlane:
        wanted = ControlPlaneOptions(**options)  # type: ignore[arg-type]
        if repr(wanted) not in started:
            directory = tmp_path_factory.mktemp("embedded") / "lab"
            started[repr(wanted)] = start_embedded(directory, wanted)
        return started[repr(wanted)]

    yield run
    for server in started.values():
        server.stop()


@pytest.fixture(scope="module")
def envtest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The real kube-apiserver."""
    if not os.environ.get(ASSETS_VARIABLE):
        pytest.skip(f"{ASSETS_VARIABLE} is not set: the real kube-apiserver was not compared")
    server = start_envtest(tmp_path_factory.mktemp("envtest") / "lab", ControlPlaneOptions())
    yield server
    server.stop()


@pytest.fixture(scope="module", params=["embedded", "real"])
def server(request: pytest.FixtureRequest, start: Start) -> ControlPlane:
    """The embedded server and the real one."""
    if request.param == "real":
        found: ControlPlane = request.getfixturevalue("envtest")
        return found
    return start()


@pytest.fixture(scope="module", params=["none", "v2", "real"])
def discovered(request: pytest.FixtureRequest, start: Start) -> ControlPlane:
    """Servers with old and new discovery, and the real one."""
    if request.param == "real":
        found: ControlPlane = request.getfixturevalue("envtest")
        return found
    return start(aggregated=request.param)


@dataclass(frozen=True)
class Ran:
    """How a client ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Runner:
    """One client with a home of its own."""

    argv: tuple[str, ...]
    home: Path

    def __call__(self, server: ControlPlane, *words: str) -> Ran:
        environment = {"HOME": str(self.home), "PATH": os.defpath}
        environment["KUBECONFIG"] = str(server.kubeconfig())
        done = subprocess.run(
            [*self.argv, *words],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return Ran(done.returncode, done.stdout, done.stderr)


def kubectl_at(path: Path, home: Path) -> Runner:
    return Runner((str(path),), home)


def kubelag_at(home: Path) -> Runner:
    return Runner((sys.executable, "-m", "kubelag"), home)


@dataclass(frozen=True)
class Pair:
    """Both clients, warm."""

    kubectl: Runner
    kubelag: Runner

    def compare(self, server: ControlPlane, words: Sequence[str]) -> tuple[Ran, Ran]:
        """What both say, tried again while ages may be what differs."""
        for _ in range(TRIES):
            theirs, ours = self.kubectl(server, *words), self.kubelag(server, *words)
            if theirs.out == ours.out:
                break
        return theirs, ours


@pytest.fixture(scope="module")
def pair(new_kubectl: Path, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The newest kubectl and kubelag, each with a cache of its own."""
    theirs, ours = tmp_path_factory.mktemp("theirs"), tmp_path_factory.mktemp("ours")
    return Pair(kubectl_at(new_kubectl, theirs), kubelag_at(ours))


def words_of(line: str) -> list[str]:
    """A plus stands for a space inside of a word."""
    return [word.replace("+", " ") for word in line.split(" ")]


def told(ran: Ran) -> list[str]:
    """Standard error without the server's warnings, which only kubectl repeats."""
    return [line for line in ran.err.splitlines() if not line.startswith("Warning: ")]


@pytest.mark.parametrize("line", [*SHOWN, *EMPTY])
def test_the_output_is_the_newest_kubectls_to_the_byte(
    line: str, server: ControlPlane, pair: Pair
) -> None:
    theirs, ours = pair.compare(server, words_of(line))
    assert (ours.out, told(ours), ours.code) == (theirs.out, told(theirs), 0)
    assert theirs.code == 0


@pytest.mark.parametrize("line", LISTED)
def test_what_there_is_is_listed_to_the_byte(
    line: str, discovered: ControlPlane, pair: Pair
) -> None:
    theirs, ours = pair.compare(discovered, words_of(line))
    assert (ours.out, told(ours), ours.code) == (theirs.out, told(theirs), 0)


@pytest.mark.parametrize("line", FAILING)
def test_what_could_be_had_is_shown_beside_what_could_not(
    line: str, server: ControlPlane, pair: Pair
) -> None:
    theirs, ours = pair.compare(server, words_of(line))
    assert (ours.out, ours.code) == (theirs.out, 1)
    assert theirs.code == 1
    assert all(text.startswith("kubelag: ") for text in ours.err.splitlines())


@pytest.mark.parametrize(
    "line",
    [
        "get nodes",
        "get nodes -o wide",
        "get po -A",
        "get po -n kube-system --show-labels",
        "get nodes,pods",
        "get ns,pods,nodes -A",
        "get things0",
        "get nodes -o name",
        "get nodes -o jsonpath={.items[*].metadata.name}",
        "get pods -n nowhere",
        "get nodes zzz",
        "api-versions",
        "api-resources --api-group=apps -o name",
    ],
)
def test_the_output_is_every_kubectls(
    line: str, kubectl_path: Path, start: Start, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = (
        tmp_path_factory.getbasetemp() / f"home-of-{kubectl_path.parent.name}-{kubectl_path.name}"
    )
    home.mkdir(exist_ok=True)
    both = Pair(kubectl_at(kubectl_path, home), kubelag_at(home))
    theirs, ours = both.compare(start(group_versions=38), words_of(line))
    assert (ours.out, ours.code) == (theirs.out, theirs.code)


def spellings(resource: Resource) -> list[str]:
    """Every way to name it."""
    group, version = resource.group, resource.version
    bare = [resource.name, resource.kind, resource.kind.lower(), resource.name.upper()]
    bare += [resource.singular] if resource.singular else []
    grouped = [f"{one}.{group}" for one in (*bare[:2], *resource.short_names)] if group else []
    # Not short names: from 1.28 on kubectl loses their version (`csr.v1beta1.certificates.k8s.io`).
    full = [f"{one}.{version}.{group}" for one in bare[:2]]
    return [*bare, *resource.short_names, *grouped, *full]


def client_of(server: ControlPlane, cache: Path) -> Client:
    env = {"KUBECONFIG": str(server.kubeconfig()), "HOME": str(cache)}
    return Client(settings=Settings(cache="memory"), env=env)


def test_every_name_of_everything_means_what_it_means_to_kubectl(
    discovered: ControlPlane, pair: Pair, tmp_path: Path
) -> None:
    client = client_of(discovered, tmp_path)
    known = client.discovery.resources()
    names = list(dict.fromkeys(name for one in known for name in spellings(one)))
    assert len(names) > 300
    ours = [client.discovery.resolve(name).path("default", "x") for name in names]
    client.forget_connections()
    done = pair.kubectl(discovered, "get", "-v=6", *(f"{name}/x" for name in names))
    asked = [urlsplit(url).path for url in _REQUEST.findall(done.err)]
    theirs = [path for path in asked if path.endswith("/x")]
    assert dict(zip(names, ours, strict=True)) == dict(zip(names, theirs, strict=True))


NAMES = (
    *("po", "Pod", "pods.v1.", "deploy", "deploy.v1.apps", "Deployment.apps", "csr", "cj", "ing"),
    *("csr.v1beta1.certificates.k8s.io", "ing.networking", "ing.v1beta1.extensions", "thing0"),
)


def test_some_names_mean_what_they_mean_to_the_oldest(
    old_kubectl: Path, start: Start, tmp_path: Path
) -> None:
    server = start()
    client = client_of(server, tmp_path)
    ours = [client.discovery.resolve(name).path("default", "x") for name in NAMES]
    client.forget_connections()
    words = ("get", "-v=6", *(f"{name}/x" for name in NAMES))
    done = kubectl_at(old_kubectl, tmp_path)(server, *words)
    asked = [urlsplit(url).path for url in _REQUEST.findall(done.err)]
    assert ours == [path for path in asked if path.endswith("/x")]


@pytest.mark.parametrize("aggregated", ["none", "v2beta1", "v2"])
def test_after_kubelag_no_kubectl_discovers(
    aggregated: Aggregated, kubectl_path: Path, start: Start, tmp_path: Path
) -> None:
    server = start(aggregated=aggregated)
    program = Program(
        env={"HOME": str(tmp_path), "PATH": os.defpath, "KUBECONFIG": str(server.kubeconfig())}
    )
    assert program("get", "nodes").code == 0
    assert program.left() == []
    done = kubectl_at(kubectl_path, tmp_path)(server, "get", "deploy", "-A", "-v=6")
    assert [urlsplit(url).path for url in _REQUEST.findall(done.err)] == [
        "/apis/apps/v1/deployments"
    ]


@pytest.mark.parametrize("aggregated", ["none", "v2"])
def test_after_a_kubectl_kubelag_does_not_discover(
    aggregated: Aggregated, kubectl_path: Path, start: Start, tmp_path: Path
) -> None:
    server = start(aggregated=aggregated)
    assert kubectl_at(kubectl_path, tmp_path)(server, "get", "nodes").code == 0
    done = kubelag_at(tmp_path)(server, "get", "deploy", "-A", "-v=6")
    assert [target.partition("?")[0] for target in _OURS.findall(done.err)] == [
        "/apis/apps/v1/deployments"
    ]


def test_a_file_that_a_crash_left_empty_costs_one_request(
    kubectl_path: Path, start: Start, tmp_path: Path
) -> None:
    server = start()
    kubectl, kubelag = kubectl_at(kubectl_path, tmp_path), kubelag_at(tmp_path)
    assert kubectl(server, "get", "nodes").code == 0
    (path,) = tmp_path.glob(".kube/cache/discovery/*/apps/v1/serverresources.json")
    os.truncate(path, 0)
    done = kubelag(server, "get", "deploy", "-A", "-v=6")
    assert [target.partition("?")[0] for target in _OURS.findall(done.err)] == [
        "/apis/apps/v1",
        "/apis/apps/v1/deployments",
    ]
    assert "No resources found" in done.err


def test_discovery_of_the_incident_costs_kubelag_three_requests_before_it_answers(
    start: Start, tmp_path: Path
) -> None:
    done = kubelag_at(tmp_path)(start(), "get", "nodes", "-v=6")
    assert [target.partition("?")[0] for target in _OURS.findall(done.err)] == [
        "/api",
        "/apis",
        "/api/v1",
        "/api/v1/nodes",
    ]


def test_version_tells_what_kubectl_tells_of_the_server(server: ControlPlane, pair: Pair) -> None:
    theirs, ours = (run(server, "version") for run in (pair.kubectl, pair.kubelag))
    wanted = next(line for line in theirs.out.splitlines() if line.startswith("Server Version"))
    assert wanted in ours.out.splitlines()
    assert ours.code == 0
