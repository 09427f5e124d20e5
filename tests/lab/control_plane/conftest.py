"""The two control planes that these tests run against."""

import functools
import os
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from kubelag.lab.control_plane.certificates import Certificates
from kubelag.lab.control_plane.embedded import start_embedded
from kubelag.lab.control_plane.envtest import ASSETS_VARIABLE, start_envtest
from kubelag.lab.control_plane.handle import ControlPlane
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.observe.client import ask_version

OPTIONS = ControlPlaneOptions()
ANSWER_S = 30.0
SERVERS = ("embedded", pytest.param("envtest", marks=pytest.mark.real))

StartServer = Callable[..., ControlPlane]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server said; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    protocol: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Asks one control plane as one of its users."""

    control_plane: ControlPlane

    def __call__(
        self,
        path: str,
        *,
        user: str = "certificate",
        method: str = "GET",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request over HTTP/1.1, with the standard library."""
        certificates = Certificates.below(self.control_plane.directory)
        context = ssl.create_default_context(cafile=str(certificates.ca))
        if user == "certificate":
            context.load_cert_chain(certificates.client_certificate, certificates.client_key)
        parts = urlsplit(self.control_plane.url)
        connection = HTTPSConnection(parts.hostname or "", parts.port, context=context, timeout=30)
        sent = {"User-Agent": "kubectl/v1.20.2"} | self._authorization(user) | (headers or {})
        try:
            connection.request(method, path, headers=sent)
            response = connection.getresponse()
            return Answer(
                status=response.status,
                headers={name.lower(): value for name, value in response.getheaders()},
                body=response.read(),
                protocol="1.1",
            )
        finally:
            connection.close()

    def over_http2(self, path: str, *headers: str) -> Answer:
        """One request over HTTP/2, with curl."""
        certificates = Certificates.below(self.control_plane.directory)
        argv = ["curl", "--silent", "--show-error", "--http2", "--include", "--disable"]
        argv += ["--cacert", str(certificates.ca), "--cert", str(certificates.client_certificate)]
        argv += ["--key", str(certificates.client_key)]
        for header in headers:
            argv += ["--header", header]
        argv.append(self.control_plane.url + path)
        done = subprocess.run(argv, capture_output=True, check=True, timeout=60)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        first, *rest = head.decode().split("\r\n")
        pairs = (line.partition(":")[::2] for line in rest)
        return Answer(
            status=int(first.split()[1]),
            headers={name.lower(): value.strip() for name, value in pairs},
            body=body,
            protocol=first.split()[0].partition("/")[2],
        )

    def _authorization(self, user: str) -> dict[str, str]:
        if user == "wrong":
            return {"Authorization": "Bearer nobody-has-this"}
        if user in {"token", "reader", "forbidden"}:
            config = yaml.safe_load(self.control_plane.kubeconfig(user).read_text())
            return {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}
        return {}


@pytest.fixture(scope="session")
def start_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[StartServer]:
    """Starts embedded servers, one for each set of options, that end with the session."""
    started: dict[str, ControlPlane] = {}

    def start(**options: object) -> ControlPlane:
        wanted = ControlPlaneOptions(**options)  # type: ignore[arg-type]
        if repr(wanted) not in started:
            directory = tmp_path_factory.mktemp("embedded") / "lab"
            started[repr(wanted)] = start_embedded(directory, wanted)
        return started[repr(wanted)]

    yield start
    for control_plane in started.values():
        control_plane.stop()


@pytest.fixture(scope="session")
def embedded(start_server: StartServer) -> ControlPlane:
    """The embedded server as it is by default."""
    return start_server()


@pytest.fixture(scope="session")
def envtest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The real servers with the same contents."""
    if not os.environ.get(ASSETS_VARIABLE):
        pytest.skip(f"{ASSETS_VARIABLE} is not set: the real kube-apiserver was not compared")
    control_plane = start_envtest(tmp_path_factory.mktemp("envtest") / "lab", OPTIONS)
    yield control_plane
    control_plane.stop()


@pytest.fixture(scope="session", params=SERVERS)
def control_plane(request: pytest.FixtureRequest) -> ControlPlane:
    """Each of the two servers."""
    found: ControlPlane = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def ask(control_plane: ControlPlane) -> Asker:
    """Asks the server."""
    return Asker(control_plane=control_plane)


@functools.cache
def minor_version(kubectl: Path) -> int:
    """Asked once."""
    version = ask_version(str(kubectl), {"PATH": os.defpath}, ANSWER_S).version
    assert version, kubectl
    return int(version.split(".")[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubectl:
    """One kubectl with a home of its own."""

    path: Path
    home: Path

    @property
    def minor(self) -> int:
        """20 for v1.20.2."""
        return minor_version(self.path)

    def run(self, kubeconfig: Path | None, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run it, with no cache but the one in its home."""
        environment = {"HOME": str(self.home), "PATH": os.defpath}
        if kubeconfig is not None:
            environment["KUBECONFIG"] = str(kubeconfig)
        return subprocess.run(
            [self.path, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@pytest.fixture
def kubectl(kubectl_path: Path, tmp_path: Path) -> Kubectl:
    """A kubectl without a cache."""
    return Kubectl(path=kubectl_path, home=tmp_path)
