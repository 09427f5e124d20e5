"""The CONNECT proxy: working, slow, silent, refusing, and in front of a real kubectl."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from kubelag.errors import LabError
from kubelag.lab.network.connect_proxy import PROXY, ProxySettings
from kubelag.lab.network.namespaces import Namespace, make_namespace, why_no_namespaces
from kubelag.lab.network.served import Home, Served, start
from kubelag.lab.processes import TOKEN_VARIABLE, find_marked
from kubelag.lab.state import Ledger
from kubelag.lab.waiting import wait_until

HOME = "127.0.0.1"
NEVER_S = 300.0
"""A delay that no test waits for."""
SHORT_S = 0.2
"""How long an answer is waited for that does not come; too short can only hide a failure."""
PLAIN = ProxySettings(hosts={"echo.lab.example": HOME})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served[ProxySettings]]:
    token = f"test-proxy-{os.getpid()}"
    place = tmp_path_factory.mktemp("servers") / "proxy"
    home = Home(directory=place, addresses=(HOME,), port=0, mark={TOKEN_VARIABLE: token})
    served = start(PROXY, home, PLAIN)
    try:
        yield served
        assert served.is_running()
        assert served.log.read_text() == ""
    finally:
        served.stop()
    assert find_marked(token) == ()


@pytest.fixture
def proxy(server: Served[ProxySettings]) -> Served[ProxySettings]:
    """The proxy, in its plain state."""
    server.reconfigure(PLAIN)
    return server


@pytest.fixture(scope="module")
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets, and ends when it is told the end."""
    with socket.create_server((HOME, 0), backlog=128) as listener:
        thread = threading.Thread(target=accept_and_echo, args=(listener,))
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def accept_and_echo(listener: socket.socket) -> None:
    while True:
        try:
            line, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=send_back, args=(line,)).start()


def send_back(line: socket.socket) -> None:
    with closing(line), suppress(ConnectionError):
        while data := line.recv(65536):
            line.sendall(data)


def dial(proxy: Served[ProxySettings]) -> socket.socket:
    return socket.create_connection((HOME, proxy.port), timeout=30)


def connect(line: socket.socket, target: str, early: bytes = b"") -> int:
    """Ask for a tunnel; the status that comes back."""
    line.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode() + early)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        read = line.recv(1)
        assert read, head
        head += read
    return int(head.split()[1])


def count(proxy: Served[ProxySettings], name: str) -> int:
    return proxy.counts.get(name, 0)


def wait_counted(proxy: Served[ProxySettings], name: str, number: int) -> None:
    wait_until(lambda: count(proxy, name) == number, timeout_s=30, problem=f"Not {number} {name}")


def test_a_tunnel_carries_both_ways_and_is_counted(proxy: Served[ProxySettings], echo: int) -> None:
    asked, tunnels = count(proxy, "asked"), count(proxy, "tunnels")
    with dial(proxy) as line:
        assert connect(line, f"echo.lab.example:{echo}") == 200
        line.sendall(b"there and back")
        assert line.recv(100) == b"there and back"
        line.shutdown(socket.SHUT_WR)  # the end arrives at the other end, and comes back
        assert line.recv(1) == b""
    wait_counted(proxy, "asked", asked + 1)
    wait_counted(proxy, "tunnels", tunnels + 1)


def test_what_is_said_too_early_is_not_lost(proxy: Served[ProxySettings], echo: int) -> None:
    with dial(proxy) as line:
        assert connect(line, f"{HOME}:{echo}", early=b"early") == 200
        assert line.makefile("rb").read(5) == b"early"


def test_much_passes_a_tunnel_whole(proxy: Served[ProxySettings], echo: int) -> None:
    sent = os.urandom(4_000_000)
    with dial(proxy) as line:
        assert connect(line, f"{HOME}:{echo}") == 200
        sender = threading.Thread(target=line.sendall, args=(sent,))
        sender.start()
        received = line.makefile("rb").read(len(sent))
        sender.join()
    assert received == sent


def test_sixty_tunnels_at_once(proxy: Served[ProxySettings], echo: int) -> None:
    lines = [dial(proxy) for _ in range(60)]
    try:
        assert {connect(line, f"{HOME}:{echo}") for line in lines} == {200}
        for number, line in enumerate(lines):
            line.sendall(b"%02d" % number)
        answers = [line.makefile("rb").read(2) for line in lines]
    finally:
        for line in lines:
            line.close()
    assert answers == [b"%02d" % number for number in range(60)]


@pytest.mark.parametrize("target", ["other.example:443", "localhost:1"])
def test_the_machines_own_names_are_unknown(proxy: Served[ProxySettings], target: str) -> None:
    with dial(proxy) as line:
        assert connect(line, target) == 502
        assert f"{target.partition(':')[0]} does not exist".encode() in line.recv(1000)


def test_a_port_where_nobody_listens_is_a_bad_gateway(proxy: Served[ProxySettings]) -> None:
    with socket.socket() as free, dial(proxy) as line:
        free.bind((HOME, 0))
        assert connect(line, f"{HOME}:{free.getsockname()[1]}") == 502


def test_a_server_that_does_not_accept_is_given_up(proxy: Served[ProxySettings]) -> None:
    """A backlog that is full, where the kernel drops what asks to connect."""
    proxy.reconfigure(ProxySettings(connect_timeout_s=SHORT_S))
    with socket.create_server((HOME, 0), backlog=0) as full:
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        try:
            for one in fillers:
                one.settimeout(0)
                one.connect_ex((HOME, port))
            with dial(proxy) as line:
                assert connect(line, f"{HOME}:{port}") == 504
        finally:
            for one in fillers:
                one.close()


@pytest.mark.parametrize("status", [403, 407, 502, 503])
def test_a_refusal_is_what_was_asked_for(
    proxy: Served[ProxySettings], echo: int, status: int
) -> None:
    refused = count(proxy, "refused")
    proxy.reconfigure(ProxySettings(refusal_status=status))
    with dial(proxy) as line:
        assert connect(line, f"{HOME}:{echo}") == status
    wait_counted(proxy, "refused", refused + 1)


def test_a_slow_proxy_lets_a_client_wait(proxy: Served[ProxySettings], echo: int) -> None:
    proxy.reconfigure(ProxySettings(delay_s=0.3))
    start_s = time.monotonic()
    with dial(proxy) as line:
        assert connect(line, f"{HOME}:{echo}") == 200
    assert time.monotonic() - start_s >= 0.3


@pytest.mark.parametrize("settings", [ProxySettings(silent=True), ProxySettings(delay_s=NEVER_S)])
def test_a_silent_proxy_accepts_and_says_nothing(
    proxy: Served[ProxySettings], echo: int, settings: ProxySettings
) -> None:
    proxy.reconfigure(settings)
    asked = count(proxy, "asked")
    with dial(proxy) as line:
        line.settimeout(SHORT_S)
        with pytest.raises(TimeoutError):
            connect(line, f"{HOME}:{echo}")
    wait_counted(proxy, "asked", asked + 1)


def test_a_tunnel_outlives_a_change(proxy: Served[ProxySettings], echo: int) -> None:
    with dial(proxy) as line:
        assert connect(line, f"{HOME}:{echo}") == 200
        proxy.reconfigure(ProxySettings(refusal_status=403))
        line.sendall(b"still here")
        assert line.recv(100) == b"still here"


def test_a_name_needs_an_address(proxy: Served[ProxySettings]) -> None:
    with pytest.raises(LabError, match="The name api cannot have the address nowhere"):
        proxy.reconfigure(ProxySettings(hosts={"api": "nowhere"}))


@pytest.mark.parametrize(
    ("noise", "status"),
    [
        (b"\0" * 100 + b"\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", b"400"),
        (b"GET http://echo.lab.example/ HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
        (b"CONNECT \xff:1 HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"CONNECT nowhere HTTP/1.1\r\nHost: x\r\n\r\n", b"502"),
        (b"CONNECT nowhere:99999 HTTP/1.1\r\nHost: x\r\n\r\n", b"502"),
        (b"CONNECT a:1 HTTP/1.1\r\n\r\n", b"400"),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 200_000, b"431"),
        (b"x" * 200_000, b"431"),
    ],
)
def test_noise_is_told_so_and_never_ends_the_proxy(
    proxy: Served[ProxySettings], echo: int, noise: bytes, status: bytes
) -> None:
    with dial(proxy) as line:
        try:
            line.sendall(noise)
            answer = line.recv(100)
        except ConnectionError:  # it closed while we were still talking
            answer = b"HTTP/1.1 " + status
    assert answer.split()[1] == status
    with dial(proxy) as line:
        assert connect(line, f"{HOME}:{echo}") == 200


@pytest.mark.parametrize("half", [b"", b"CONN", b"CONNECT a:1 HTTP/1.1\r\nHost:"])
def test_half_a_request_never_ends_the_proxy(
    proxy: Served[ProxySettings], echo: int, half: bytes
) -> None:
    with dial(proxy) as line:
        line.sendall(half)
    with dial(proxy) as waiting, dial(proxy) as line:
        waiting.sendall(half)
        assert connect(line, f"{HOME}:{echo}") == 200


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Namespace]:
    if why := why_no_namespaces():
        pytest.skip(why)
    with Ledger.open(tmp_path / "state") as ledger:
        yield make_namespace(ledger, f"klsrv-proxy-{os.getpid()}")


@pytest.mark.real
def test_it_connects_from_its_own_host(host: Namespace, echo: int, tmp_path: Path) -> None:
    """The echo server listens on this machine's loopback, which is not the host's."""
    home = Home(directory=tmp_path / "proxy", addresses=(HOME,), port=3128, mark={}, namespace=host)
    served = start(PROXY, home, ProxySettings())
    try:
        with host.do(lambda: dial(served)) as line:
            assert connect(line, f"{HOME}:{echo}") == 502
        listener = host.do(lambda: socket.create_server((HOME, 0)))
        with listener, host.do(lambda: dial(served)) as line:
            assert connect(line, f"{HOME}:{listener.getsockname()[1]}") == 200
    finally:
        served.stop()


@pytest.mark.real
def test_a_real_kubectl_goes_through_it(
    proxy: Served[ProxySettings], new_kubectl: Path, tmp_path: Path
) -> None:
    tunnels = count(proxy, "asked")
    command = (
        str(new_kubectl),
        "--kubeconfig=/dev/null",
        "--server=https://echo.lab.example:9",
        "--token=x",
    )
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "HTTPS_PROXY": f"http://{HOME}:{proxy.port}",
    }
    done = subprocess.run(
        (*command, "get", "--raw=/version"),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )
    assert "Bad Gateway" in done.stderr
    wait_counted(proxy, "asked", tunnels + 1)
