"""Boxes between clients and servers: one that ends TLS and speaks HTTP/1.1, one with slow TLS."""

import contextlib
import json
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest

from kubelag.errors import LabError
from kubelag.lab.control_plane.certificates import Certificates, issue
from kubelag.lab.control_plane.embedded import start_embedded
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.network.middlebox import MIDDLEBOX
from kubelag.lab.network.served import Home, attach, start
from kubelag.lab.processes import TOKEN_VARIABLE, find_marked
from kubelag.lab.waiting import wait_until
from middlebox_street import HOME, Street, Upstream, http1, make_slow

NEVER_S = 300.0
"""A delay that no test waits for."""
SHORT_S = 0.2
"""How long an answer is waited for that does not come; too short can only hide a failure."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    place = tmp_path_factory.mktemp("servers")
    certificates = issue(place)
    upstreams = Upstream("one", certificates), Upstream("two", certificates)
    threads = [threading.Thread(target=one.serve_forever, args=(0.02,)) for one in upstreams]
    for thread in threads:
        thread.start()
    token = f"test-middlebox-{os.getpid()}"
    settings = http1(certificates, *upstreams)
    mark = {TOKEN_VARIABLE: token}
    home = Home(directory=place / "middlebox", addresses=(HOME,), port=0, mark=mark)
    box = start(MIDDLEBOX, home, settings)
    try:
        yield Street(box=box, upstreams=upstreams, certificates=certificates)
        assert box.is_running()
        assert box.log.read_text() == ""
    finally:
        box.stop()
        for one in upstreams:
            one.shutdown()
            one.server_close()
        for thread in threads:
            thread.join()
    assert find_marked(token) == ()


@pytest.fixture
def street(built: Street) -> Iterator[Street]:
    """The street with a box that ends TLS."""
    built.box.reconfigure(http1(built.certificates, *built.upstreams))
    for one in built.upstreams:
        one.may_go_on.clear()
        one.has_lost_client.clear()
    yield built
    while built.open:
        built.open.pop().close()


@pytest.fixture
def slow_street(street: Street) -> Street:
    """The street with a box that passes bytes on, and is not slow yet."""
    make_slow(street, 0.0)
    return street


def test_a_client_gets_nothing_but_http_1_1(street: Street) -> None:
    with street.raw(alpn=("h2", "http/1.1")) as line:
        assert line.selected_alpn_protocol() == "http/1.1"


def test_a_client_that_knows_only_http2_gets_no_protocol(street: Street) -> None:
    with street.raw(alpn=("h2",)) as line:
        assert line.selected_alpn_protocol() is None


def test_upstreams_are_taken_in_turn_and_counted(street: Street) -> None:
    before = street.box.counts
    assert sorted(street.get() for _ in range(4)) == ["one", "one", "two", "two"]
    street.box.reconfigure(street.box.settings)
    after = street.box.counts
    gains = {name: after[name] - before.get(name, 0) for name in after}
    assert gains["connections"] == gains["requests"] == 4
    assert [gains[one.place] for one in street.upstreams] == [2, 2]


def test_a_connection_is_kept_with_its_upstream(street: Street) -> None:
    connection = street.connect()
    answers = [street.get(connection=connection) for _ in range(5)]
    assert answers == [answers[0]] * 5


def test_headers_pass_unchanged(street: Street) -> None:
    sent = {"Authorization": "Bearer of-a-test", "X-Odd-CASE": "a, b;c", "Accept-Encoding": "gzip"}
    connection = street.connect()
    connection.request("GET", "/headers", headers=sent)
    received = dict(json.loads(connection.getresponse().read()))
    assert sent.items() <= received.items()
    assert received["Host"] == f"{HOME}:{street.box.port}"


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_bodies_pass_whole(street: Street, size: int, chunked: bool) -> None:
    body = os.urandom(size)
    connection = street.connect()
    pieces = [body[at : at + 50_000] for at in range(0, size, 50_000)]
    connection.request("POST", "/echo", iter(pieces) if chunked else body, encode_chunked=chunked)
    assert connection.getresponse().read() == body
    assert street.get(connection=connection) in {"one", "two"}


def test_a_watch_arrives_piece_by_piece(street: Street) -> None:
    connection = street.connect()
    connection.request("GET", "/watch")
    response = connection.getresponse()
    assert response.read(5) == b"first"
    for one in street.upstreams:
        one.may_go_on.set()
    assert response.read() == b"second"


def test_a_client_that_goes_ends_its_watch(street: Street) -> None:
    connection = street.connect()
    connection.request("GET", "/watch")
    response = connection.getresponse()
    assert response.read(5) == b"first"
    response.close()
    connection.close()
    wait_until(
        lambda: any(one.has_lost_client.is_set() for one in street.upstreams),
        timeout_s=30,
        problem="The upstream was not told that the client has gone",
    )


def test_an_answer_without_a_body_is_no_obstacle(street: Street) -> None:
    connection = street.connect()
    connection.request("HEAD", "/")
    assert connection.getresponse().read() == b""
    assert street.get(connection=connection) in {"one", "two"}


def test_an_upstream_that_closes_closes_the_client(street: Street) -> None:
    with street.raw() as line:
        line.sendall(b"GET /last HTTP/1.1\r\nHost: x\r\n\r\n")
        assert line.makefile("rb").read().endswith(b"bye")


def test_an_answer_that_breaks_off_is_not_made_whole(street: Street) -> None:
    with street.raw() as line:
        line.sendall(b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n")
        assert line.makefile("rb").read().endswith(b"only this")


def test_another_protocol_passes_once_both_agree(street: Street) -> None:
    """As `kubectl exec` wants it; the first line comes before the answer."""
    with street.raw() as line:
        asked = b"GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
        line.sendall(asked + b"early\n")
        with line.makefile("rb") as answer:
            assert answer.readline().split()[1] == b"101"
            while answer.readline() != b"\r\n":
                pass
            assert answer.readline() == b"early\n"
            line.sendall(b"late\n")
            assert answer.readline() == b"late\n"


def test_sixty_connections_at_once(street: Street) -> None:
    answers: list[str] = []
    clients = [street.connect() for _ in range(60)]

    def ask(client: HTTPSConnection) -> None:
        answers.extend(street.get(connection=client) for _ in range(3))

    threads = [threading.Thread(target=ask, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answers.count("one"), answers.count("two")] == [90, 90]


def test_an_upstream_that_is_dead_is_a_bad_gateway(street: Street) -> None:
    with socket.socket() as free:
        free.bind((HOME, 0))
        place = f"{HOME}:{free.getsockname()[1]}"
        street.box.reconfigure(replace(street.box.settings, upstreams=(place,)))
        for method in ("GET", "HEAD"):
            connection = street.connect()
            connection.request(method, "/")
            assert connection.getresponse().status == 502
    wait_until(
        lambda: street.box.counts.get(f"unreachable {place}") == 2,
        timeout_s=30,
        problem="It was not counted",
    )


def test_an_upstream_that_cannot_be_trusted_is_not_asked(street: Street, tmp_path: Path) -> None:
    stranger = issue(tmp_path)
    street.box.reconfigure(replace(street.box.settings, upstream_ca=stranger.ca))
    connection = street.connect()
    connection.request("GET", "/", headers={"Authorization": "Bearer of-a-test"})
    response = connection.getresponse()
    assert response.status == 502
    assert b"CERTIFICATE_VERIFY_FAILED" in response.read()


def test_an_upstream_must_have_the_right_name(street: Street) -> None:
    for name, status in (("localhost", 200), ("other.example", 502)):
        street.box.reconfigure(replace(street.box.settings, upstream_name=name))
        connection = street.connect()
        connection.request("GET", "/")
        assert connection.getresponse().status == status


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"upstreams": ()}, "needs an upstream; name one as HOST:PORT"),
        ({"upstreams": ("nowhere",)}, "The upstream nowhere is not HOST:PORT"),
        ({"certificate": None}, "needs a certificate and its key"),
        ({"key": Path("/nowhere/key.pem")}, "/nowhere/key.pem is no certificate"),
        ({"upstream_ca": None}, "needs the authority of its upstreams"),
        ({"upstream_ca": Path("/nowhere/ca.pem")}, "/nowhere/ca.pem holds no authority"),
    ],
)
def test_impossible_settings_are_told_and_change_nothing(
    street: Street, change: dict[str, Any], words: str
) -> None:
    before = street.box.settings
    with pytest.raises(LabError, match=words):
        street.box.reconfigure(replace(before, **change))
    assert attach(street.box.directory, MIDDLEBOX).settings == before
    assert street.get() in {"one", "two"}


@pytest.mark.parametrize(
    ("noise", "status"),
    [
        (b"\0" * 100 + b"\r\n\r\n", b"400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 200_000, b"431"),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: minus\r\n\r\n", b"400"),
    ],
)
def test_noise_is_told_so_and_never_ends_the_box(
    street: Street, noise: bytes, status: bytes
) -> None:
    closed = contextlib.suppress(ConnectionError, ssl.SSLEOFError)  # while we were still talking
    with street.raw() as line, closed:
        line.sendall(noise)
        assert line.recv(100).split()[1] == status
    assert street.get() in {"one", "two"}


@pytest.mark.parametrize(
    "half",
    [
        b"GET / HT",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_half_a_request_never_ends_the_box(street: Street, half: bytes) -> None:
    with street.raw() as line:
        line.sendall(half)
    with street.raw() as line:
        line.sendall(half)
        assert street.get() in {"one", "two"}


@pytest.mark.parametrize("mode", ["http1", "slow_tls"])
@pytest.mark.parametrize("noise", [b"", b"\x16\x03", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 99_999])
def test_what_is_no_tls_never_ends_the_box(street: Street, mode: str, noise: bytes) -> None:
    if mode == "slow_tls":
        make_slow(street, 0.0)
    with socket.create_connection((HOME, street.box.port), timeout=30) as line:
        with contextlib.suppress(ConnectionError):
            line.sendall(noise)
        assert street.get() in {"one", "two"}


def test_slow_tls_accepts_and_holds_the_handshake_back(slow_street: Street) -> None:
    make_slow(slow_street, NEVER_S)
    with socket.create_connection((HOME, slow_street.box.port), timeout=30) as line:
        line.settimeout(SHORT_S)
        context = ssl.create_default_context(cafile=slow_street.certificates.ca)
        with pytest.raises(TimeoutError):
            context.wrap_socket(line, server_hostname=HOME)


def test_only_the_first_answer_of_a_connection_is_held_back(slow_street: Street) -> None:
    make_slow(slow_street, 0.3)
    connection = slow_street.connect()
    start_s = time.monotonic()
    connection.connect()
    assert time.monotonic() - start_s >= 0.3
    # were every answer held back, these would take a minute and a half
    start_s = time.monotonic()
    answers = [slow_street.get(connection=connection) for _ in range(300)]
    assert time.monotonic() - start_s < 60
    assert answers == [answers[0]] * 300


def test_slow_tls_leaves_the_certificate_to_the_server(slow_street: Street) -> None:
    """Two boxes differ: this one cannot read what passes, nor choose the protocol."""
    with slow_street.raw(alpn=("http/1.1",)) as line:
        assert line.selected_alpn_protocol() is None  # the upstream here knows no ALPN


def test_slow_tls_takes_upstreams_in_turn(slow_street: Street) -> None:
    assert sorted(slow_street.get() for _ in range(4)) == ["one", "one", "two", "two"]


def test_slow_tls_in_front_of_a_dead_server_closes(slow_street: Street) -> None:
    with socket.socket() as free:
        free.bind((HOME, 0))
        place = f"{HOME}:{free.getsockname()[1]}"
        slow_street.box.reconfigure(replace(slow_street.box.settings, upstreams=(place,)))
        with socket.create_connection((HOME, slow_street.box.port), timeout=30) as line:
            assert line.recv(1) == b""


def test_existing_connections_stay_as_they_are(street: Street) -> None:
    connection = street.connect()
    first = street.get(connection=connection)
    make_slow(street, NEVER_S)
    assert street.get(connection=connection) == first


@pytest.mark.real
def test_a_real_kubectl_falls_back_to_http_1_1(
    street: Street, new_kubectl: Path, tmp_path: Path
) -> None:
    """With its bearer token; every request in flight needs a connection of its own."""
    control_plane = start_embedded(tmp_path / "lab", ControlPlaneOptions())
    try:
        street.box.reconfigure(
            replace(
                street.box.settings,
                upstreams=(control_plane.url.removeprefix("https://"),),
                upstream_ca=Certificates.below(control_plane.directory).ca,
            )
        )
        before = street.box.counts.get("connections", 0)
        done = subprocess.run(
            (
                *(str(new_kubectl), "get", "nodes", f"--cache-dir={tmp_path / 'cache'}"),
                f"--server=https://{HOME}:{street.box.port}",
                f"--certificate-authority={street.certificates.ca}",
            ),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "KUBECONFIG": str(control_plane.kubeconfig("token")),
            },
        )
        assert "node1" in done.stdout, done.stderr
        street.box.reconfigure(street.box.settings)
        assert street.box.counts["connections"] - before > 10
    finally:
        control_plane.stop()
