"""Both protocols over real sockets, with a server made of other parts."""

import json
import socket
import ssl
from collections.abc import Iterator, Sequence

import pytest

from kubelag.kube.transport.http1 import Http1
from kubelag.kube.transport.http2 import Http2
from kubelag.kube.transport.messages import Broken, Data, End, Request
from kubelag.lab.control_plane.certificates import Certificates
from kubelag.lab.control_plane.embedded import start_embedded
from kubelag.lab.control_plane.handle import ControlPlane
from kubelag.lab.control_plane.options import INCIDENT_GROUP_VERSIONS, ControlPlaneOptions

TIMEOUT_S = 30.0
READ_BYTES = 1 << 16
HEADERS = (("accept", "application/json"), ("user-agent", "kubelag/0"))


@pytest.fixture(scope="module")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A server with the discovery of the founding incident."""
    started = start_embedded(tmp_path_factory.mktemp("embedded") / "lab", ControlPlaneOptions())
    yield started
    started.stop()


def connect(control_plane: ControlPlane, protocol: str) -> ssl.SSLSocket:
    """As the administrator."""
    certificates = Certificates.below(control_plane.directory)
    context = ssl.create_default_context(cafile=str(certificates.ca))
    context.load_cert_chain(certificates.client_certificate, certificates.client_key)
    context.set_alpn_protocols([protocol])
    plain = socket.create_connection(address(control_plane), timeout=TIMEOUT_S)
    connection = context.wrap_socket(plain, server_hostname="127.0.0.1")
    assert connection.selected_alpn_protocol() == protocol
    return connection


def address(control_plane: ControlPlane) -> tuple[str, int]:
    """Of its listener."""
    host, _, port = control_plane.url.removeprefix("https://").partition(":")
    return host, int(port)


def ask(
    connection: socket.socket, conversation: Http1 | Http2, targets: Sequence[str]
) -> dict[str, bytes]:
    """The body of each answer; all are asked at once where the protocol can."""
    waiting = list(targets)
    asked: dict[int, str] = {}
    bodies = dict.fromkeys(targets, b"")
    whole = 0
    while whole < len(targets):
        while waiting and conversation.capacity():
            request = Request(target=waiting.pop(0), headers=HEADERS)
            asked[conversation.send(request)] = request.target
        connection.sendall(conversation.data_to_send())
        read = connection.recv(READ_BYTES)
        assert read, "the server closed the connection"
        for event in conversation.receive(read):
            assert not isinstance(event, Broken), event
            if isinstance(event, Data):
                bodies[asked[event.stream]] += event.data
            whole += isinstance(event, End)
    return bodies


def discovery_targets(connection: socket.socket, conversation: Http1) -> list[str]:
    """What a client of the old discovery asks for."""
    groups = json.loads(ask(connection, conversation, ["/apis"])["/apis"])["groups"]
    versions = [one["groupVersion"] for group in groups for one in group["versions"]]
    return ["/api/v1", *(f"/apis/{version}" for version in versions)]


def test_discovery_is_the_same_over_both(control_plane: ControlPlane) -> None:
    host = ":".join(map(str, address(control_plane)))
    with connect(control_plane, "http/1.1") as connection:
        http1 = Http1(host)
        targets = discovery_targets(connection, http1)
        one_by_one = ask(connection, http1, targets)
    with connect(control_plane, "h2") as connection:
        at_once = ask(connection, Http2(host), targets)
    assert len(targets) == INCIDENT_GROUP_VERSIONS
    assert at_once == one_by_one
    assert all(json.loads(body)["kind"] == "APIResourceList" for body in at_once.values())
