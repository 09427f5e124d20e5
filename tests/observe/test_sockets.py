"""A real child's sockets are watched, told apart from others' and turned into their story."""

import contextlib
import errno
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from kubelag.model.evidence import Look
from kubelag.model.network import Connection, Lookup
from kubelag.model.path import Neighbour
from kubelag.observe import sockets
from kubelag.observe.sock_diag import SocketListError
from kubelag.observe.socket_samples import Roles
from kubelag.observe.sockets import SocketWatcher

MS = 1_000_000
DEADLINE_S = 30.0
# Asks, waits for the answer, and asks again only when it is told to on its standard input.
CLIENT = """
import socket, sys
link = socket.create_connection((sys.argv[1], int(sys.argv[2])))
link.sendall(b"hello" * 60)
link.recv(65536)
sys.stdin.readline()
link.sendall(b"again" * 60)
link.recv(65536)
sys.stdin.readline()
"""


@dataclass
class Seen:
    connections: tuple[Connection, ...]
    lookups: tuple[Lookup, ...]
    neighbours: tuple[Neighbour, ...]
    look: Look


@contextlib.contextmanager
def child(script: str, *argv: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process of ours, which ends with the block."""
    words = [sys.executable, "-I", "-S", "-c", script, *argv]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe) as process:
        try:
            yield process
        finally:
            process.kill()


def wait(seconds: float) -> None:
    """A silence of some length is what is being watched here."""
    threading.Event().wait(seconds)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(DEADLINE_S)
        yield server


@contextlib.contextmanager
def watching(pids: Callable[[], Sequence[int]], *ports: int, **more: Any) -> Iterator[list[Seen]]:
    """Fills the list when the block is over."""
    watcher = SocketWatcher(pids, frozenset(ports), **more)
    seen: list[Seen] = []
    watcher.start()
    try:
        yield seen
    finally:
        seen.append(Seen(*watcher.stop()))


def port_of(server: socket.socket) -> int:
    return int(server.getsockname()[1])


def accept(server: socket.socket) -> socket.socket:
    link, _ = server.accept()
    link.settimeout(DEADLINE_S)
    return link


def tell(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin
    process.stdin.write(b"\n")
    process.stdin.flush()


def test_each_silence_is_laid_at_the_door_of_who_was_silent(listener: socket.socket) -> None:
    port = port_of(listener)
    with (
        child(CLIENT, "127.0.0.1", str(port)) as process,
        watching(lambda: (process.pid,), port, roles=Roles(plain_ports=frozenset({port}))) as seen,
        accept(listener) as link,
    ):
        link.recv(65536)
        wait(0.4)
        link.sendall(b"answer" * 100)
        wait(0.6)
        tell(process)
        link.recv(65536)
        wait(0.3)
        link.sendall(b"answer" * 100)
        wait(0.05)
        tell(process)
        process.wait(DEADLINE_S)
    (one,) = seen[0].connections
    silences = [(pause.awaited, pause.stage) for pause in one.pauses if pause.is_over]
    assert silences == [("server", "data"), ("client", "data"), ("server", "data")]
    lengths = [pause.length_ns / MS for pause in one.pauses]
    assert all(length > least for length, least in zip(lengths, (300, 450, 200), strict=False))
    assert (one.sent_bytes, one.received_bytes, one.syns) == (600, 1200, 1)
    assert (one.sent_again, one.ending, one.secured_ns) == (0, "client_fin", None)
    assert None not in {one.rtt_ns, one.rtt_smoothed_ns, one.connect_ns}
    assert seen[0].look.state == "looked"


def test_what_was_closed_long_before_the_last_look_is_no_silence(listener: socket.socket) -> None:
    port = port_of(listener)
    with (
        child(CLIENT, "127.0.0.1", str(port)) as process,
        watching(lambda: (process.pid,), port) as seen,
    ):
        with accept(listener) as link:
            for _ in range(2):
                link.recv(65536)
                link.sendall(b"answer" * 100)
                wait(0.03)
                tell(process)
            process.wait(DEADLINE_S)
        wait(0.4)
    (one,) = seen[0].connections
    assert one.ending == "client_fin"
    assert one.pauses == ()
    assert one.last_ns - one.first_ns < 400 * MS


def test_another_programs_connection_to_the_same_port_is_left_out(listener: socket.socket) -> None:
    port = port_of(listener)
    with (
        child(CLIENT, "127.0.0.1", str(port)) as process,
        child(CLIENT, "127.0.0.1", str(port)),
        watching(lambda: (process.pid,), port) as seen,
        accept(listener) as first,
        accept(listener) as second,
    ):
        ends = {f"127.0.0.1:{link.getpeername()[1]}" for link in (first, second)}
        wait(0.1)
    (one,) = seen[0].connections
    assert one.client in ends


def test_a_port_that_does_not_matter_is_not_looked_at(listener: socket.socket) -> None:
    with (
        child(CLIENT, "127.0.0.1", str(port_of(listener))) as process,
        watching(lambda: (process.pid,), 1) as seen,
        accept(listener),
    ):
        wait(0.1)
    assert seen[0].connections == ()
    assert seen[0].look.state == "looked"


def test_without_ports_every_connection_of_the_tree_is_told(listener: socket.socket) -> None:
    with (
        child(CLIENT, "127.0.0.1", str(port_of(listener))) as process,
        watching(lambda: (process.pid,)) as seen,
        accept(listener),
    ):
        wait(0.1)
    assert [one.server for one in seen[0].connections] == [f"127.0.0.1:{port_of(listener)}"]


def test_a_question_that_nobody_answers_is_told() -> None:
    script = (
        "import socket, sys\n"
        "link = socket.socket(type=socket.SOCK_DGRAM)\n"
        "link.connect(('127.0.0.1', int(sys.argv[1])))\n"
        "link.send(b'?')\n"
        "link.settimeout(2.2)\n"
        "try: link.recv(99)\nexcept TimeoutError: pass\n"
        "link.close()\n"
        "sys.stdin.readline()\n"
    )
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(DEADLINE_S)
        port = port_of(server)
        for answers in (True, False):
            with (
                child(script, str(port)) as process,
                watching(
                    lambda: (process.pid,),
                    name_server_ports=frozenset({port}),
                    roles=Roles(name_timeout_s=2.0),
                ) as seen,
            ):
                _, whence = server.recvfrom(99)
                wait(0.1)
                if answers:
                    server.sendto(b"!", whence)
                    wait(0.3)
                tell(process)
                process.wait(DEADLINE_S)
            (one,) = seen[0].lookups
            assert one.server == f"127.0.0.1:{port}"
            assert (one.answered_ns is not None) == answers


def test_where_the_kernel_refuses_it_could_not_look(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(sockets._Kernel):
        def ask(self, *_: object) -> Iterator[Any]:
            raise SocketListError("the kernel does not list sockets (error 1)")

    monkeypatch.setattr(sockets, "_Kernel", Refusing)
    with watching(lambda: ()) as seen:
        pass
    assert seen[0].look.state == "could_not_look"
    assert seen[0].look.how == "the kernel does not list sockets (error 1)"


@pytest.mark.parametrize("refuses", ["udp", "neighbours"])
def test_connections_are_seen_where_the_kernel_refuses_the_rest(
    monkeypatch: pytest.MonkeyPatch, listener: socket.socket, refuses: str
) -> None:
    class Refusing(sockets._Kernel):
        def ask(self, family: int, protocol: Any, *rest: Any) -> Iterator[Any]:
            if protocol == refuses:
                raise SocketListError("refused")
            return super().ask(family, protocol, *rest)

    def neighbours(*_: object) -> tuple[Neighbour, ...]:
        if refuses == "neighbours":
            raise PermissionError(errno.EPERM, "Operation not permitted")
        return ()

    monkeypatch.setattr(sockets, "_Kernel", Refusing)
    monkeypatch.setattr(sockets, "read_neighbours", neighbours)
    with (
        child(CLIENT, "127.0.0.1", str(port_of(listener))) as process,
        watching(lambda: (process.pid,), port_of(listener)) as seen,
        accept(listener) as link,
    ):
        link.recv(65536)
        wait(0.1)
    assert seen[0].look.state == "looked"
    assert len(seen[0].connections) == 1
    what = {"udp": "questions to name servers", "neighbours": "neighbours"}[refuses]
    assert f"; without {what} (" in seen[0].look.how


def test_where_there_is_no_netlink_it_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    class Missing(sockets._Kernel):
        def __init__(self) -> None:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(sockets, "_Kernel", Missing)
    with watching(lambda: ()) as seen:
        wait(0.1)
    assert seen[0].look.state == "could_not_look"
    assert seen[0].look.how == (
        "the kernel does not list sockets (address family not supported by protocol)"
    )


def test_a_process_that_hides_its_descriptors_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listener: socket.socket
) -> None:
    folder = tmp_path / "7" / "fd"
    folder.mkdir(parents=True)
    real = os.listdir

    def listdir(path: Any) -> list[str]:
        if str(path) == str(folder):
            raise PermissionError(errno.EACCES, "denied", path)
        return real(path)

    monkeypatch.setattr("kubelag.observe.kept_files.os.listdir", listdir)
    monkeypatch.setattr("kubelag.observe.sockets.os.access", lambda *_: False)
    with (
        socket.create_connection(("127.0.0.1", port_of(listener))),
        watching(lambda: (7,), port_of(listener), proc=str(tmp_path)) as seen,
    ):
        pass
    assert seen[0].look.state == "could_not_look"
    assert "may not be read" in seen[0].look.how


class Stalling(BaseHTTPRequestHandler):
    """Answers what a server offers at once, and its nodes after 0.6 s."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.endswith("/nodes"):
            threading.Event().wait(0.6)
        body = json.dumps(OFFERED.get(path, {"kind": "APIGroupList", "groups": []})).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


OFFERED = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [{"name": "nodes", "singularName": "", "kind": "Node", "verbs": ["list"]}],
    },
    "/api/v1/nodes": {"kind": "NodeList", "apiVersion": "v1", "metadata": {}, "items": []},
}


@pytest.mark.real
def test_a_real_kubectl_waits_for_its_server(kubectl_path: Path, tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Stalling) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"--server=http://127.0.0.1:{server.server_port}"
        words = [str(kubectl_path), url, f"--cache-dir={tmp_path}", "get", "nodes"]
        with subprocess.Popen(
            words, env={"HOME": str(tmp_path)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            roles = Roles(plain_ports=frozenset({server.server_port}))
            with watching(lambda: (process.pid,), server.server_port, roles=roles) as seen:
                process.wait(DEADLINE_S)
        server.shutdown()
    pauses = [pause for one in seen[0].connections for pause in one.pauses]
    assert [(pause.awaited, pause.stage) for pause in pauses if pause.length_ns > 300 * MS] == [
        ("server", "data")
    ]


NEAR, FAR, NOBODY = "10.213.77.1", "10.213.77.2", "10.213.77.3"
NEAR_MAC, FAR_MAC = "02:00:00:00:77:01", "02:00:00:00:77:02"
NAMESPACE = f"klsock-{os.getpid()}"
DEVICE = f"klsock{os.getpid() % 1_000_000}"
# Drops where random >= 0.6 * 2^32, so 40 % of what arrives. Not of what leaves: the sender's kernel
# would see that, take it for a full queue, and not count it as sent.
LOSSY = "4,32 0 0 4294963256,53 0 1 2576980377,6 0 0 2,6 0 0 4294967295"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def namespace() -> Iterator[str]:
    """A second machine, 10.213.77.2; 10.213.77.3 is an address whose card nobody has."""
    if os.geteuid() or not shutil.which("ip") or not shutil.which("tc"):
        pytest.skip("network namespaces need root, ip and tc")
    ip("netns", "add", NAMESPACE)
    try:
        ip("link", "add", DEVICE, "type", "veth", "peer", "name", "far", "netns", NAMESPACE)
        ip("addr", "add", f"{NEAR}/24", "dev", DEVICE)
        ip("link", "set", DEVICE, "address", NEAR_MAC, "up")
        ip("-n", NAMESPACE, "addr", "add", f"{FAR}/24", "dev", "far")
        ip("-n", NAMESPACE, "link", "set", "far", "address", FAR_MAC, "up")
        # Known to each other, since loss would hit the asking too.
        ip("neigh", "replace", FAR, "lladdr", FAR_MAC, "dev", DEVICE)
        ip("-n", NAMESPACE, "neigh", "replace", NEAR, "lladdr", NEAR_MAC, "dev", "far")
        ip("neigh", "replace", NOBODY, "lladdr", "02:00:00:00:00:99", "dev", DEVICE)
        yield NAMESPACE
    finally:
        subprocess.run(["ip", "link", "del", DEVICE], check=False, capture_output=True)
        ip("netns", "del", NAMESPACE)


SERVER = """
import socket
server = socket.create_server(("10.213.77.2", 6443))
print("ready", flush=True)
link, _ = server.accept()
left = 200_000
while left:
    left -= len(link.recv(left))
link.sendall(b"answer" * 100)
link.recv(1)
"""
UPLOADER = """
import socket, sys
link = socket.create_connection((sys.argv[1], int(sys.argv[2])))
link.sendall(b"x" * 200_000)
link.recv(65536)
print("answered", flush=True)
sys.stdin.readline()
"""


@pytest.mark.real
def test_an_address_that_nobody_has_is_only_ever_asked(namespace: str) -> None:
    assert namespace
    with (
        child(CLIENT, NOBODY, "6443") as process,
        watching(lambda: (process.pid,), 6443) as seen,
    ):
        wait(1.4)
    (one,) = seen[0].connections
    assert (one.server, one.is_established, one.syns) == (f"{NOBODY}:6443", False, 2)
    (pause,) = one.pauses
    assert (pause.awaited, pause.stage, pause.is_over) == ("server", "connect", False)
    assert [entry.mac for entry in seen[0].neighbours] == ["02:00:00:00:00:99"]


@pytest.mark.real
def test_loss_shows_as_segments_sent_again(namespace: str) -> None:
    with subprocess.Popen(
        ["ip", "netns", "exec", namespace, sys.executable, "-I", "-S", "-c", SERVER],
        stdout=subprocess.PIPE,
    ) as server:
        try:
            assert server.stdout
            assert server.stdout.readline() == b"ready\n"
            for words in (
                ("qdisc", "add", "dev", "far", "clsact"),
                ("filter", "add", "dev", "far", "ingress", "bpf", "da", "bytecode", LOSSY),
            ):
                subprocess.run(["tc", "-n", namespace, *words], check=True, capture_output=True)
            with (
                child(UPLOADER, FAR, "6443") as process,
                watching(lambda: (process.pid,), 6443) as seen,
            ):
                assert process.stdout
                assert process.stdout.readline() == b"answered\n"
                wait(0.3)
        finally:
            server.kill()
    (one,) = seen[0].connections
    assert one.sent_again > 0
    assert one.sent_bytes == 200_000
    assert one.received_bytes == 600
    blamed = {pause.awaited for pause in one.pauses if pause.retransmissions}
    assert blamed <= {"unclear", "server"}
    assert {entry.mac for entry in seen[0].neighbours} == {FAR_MAC}
