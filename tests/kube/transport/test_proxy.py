"""Which proxy is taken, and what becomes of those that do not let anybody through."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hostile_server import (
    Authority,
    Exchange,
    HostileServer,
    kubeconfig,
    serving,
    well_behaved,
)
from kubelag.errors import KubeconfigError, TransportError
from kubelag.kube import Client, Settings
from kubelag.kube.transport.dial import Dialer, Route
from kubelag.kube.transport.endpoint import parse_endpoint
from kubelag.kube.transport.events import Phase, RequestDone, Waiting
from kubelag.kube.transport.proxy import chosen_proxy
from kubelag.kube.transport.tls import TlsSettings
from tunnel_proxy import proxying

HOST = "api.example.com"
HTTPS = {"HTTPS_PROXY": "http://proxy:3128"}


def choice(url: str, env: dict[str, str], proxy_url: str = "") -> str:
    """The chosen proxy's authority; empty for none."""
    found = chosen_proxy(parse_endpoint(url, "server"), proxy_url, env)
    return found.authority if found else ""


@pytest.mark.parametrize(
    ("url", "env", "expected"),
    [
        ("https://a.b", {}, ""),
        ("https://a.b", HTTPS, "proxy:3128"),
        ("https://a.b", {"https_proxy": "proxy:1"}, "proxy:1"),
        ("https://a.b", {"HTTPS_PROXY": "proxy:1", "https_proxy": "other:2"}, "proxy:1"),
        ("https://a.b", {"HTTPS_PROXY": "", "https_proxy": "other:2"}, "other:2"),
        ("https://a.b", {"HTTP_PROXY": "proxy:1"}, ""),
        ("http://a.b", {"HTTP_PROXY": "proxy:1"}, "proxy:1"),
        ("http://a.b", HTTPS, ""),
        ("https://a.b", {"ALL_PROXY": "proxy:1"}, ""),
        ("https://localhost:6443", HTTPS, ""),
        ("https://127.0.0.9", HTTPS, ""),
        ("https://[::1]", HTTPS, ""),
    ],
)
def test_the_variables_count_as_they_do_for_kubectl(
    url: str, env: dict[str, str], expected: str
) -> None:
    assert choice(url, env) == expected


@pytest.mark.parametrize(
    ("url", "no_proxy", "is_spared"),
    [
        ("https://a.b", "*", True),
        ("https://a.b", "a.b", True),
        ("https://a.b", "A.B", True),
        ("https://a.b.", "a.b", True),
        ("https://x.a.b", "a.b", True),
        ("https://x.a.b", ".a.b", True),
        ("https://x.a.b", "*.a.b", True),
        ("https://a.b", "c.d, a.b ,,", True),
        ("https://a.b:6443", "a.b:6443", True),
        ("https://a.b", "a.b:443", True),
        ("https://xa.b", "a.b", False),
        ("https://a.b", ".a.b", False),
        ("https://a.b", "*.a.b", False),
        ("https://a.b:6443", "a.b:443", False),
        ("https://10.1.2.3", "10.0.0.0/8", True),
        ("https://11.1.2.3", "10.0.0.0/8", False),
        ("https://10.1.2.3", "10.1.2.3", True),
        ("https://10.1.2.3:6443", "10.1.2.3:6443", True),
        ("https://10.1.2.3:6443", "10.1.2.3:1", False),
        ("https://[fd00::1]", "fd00::/8", True),
        ("https://[fd00::1]:6443", "[fd00::1]:6443", True),
        ("https://a.b", "10.0.0.0/8", False),
        ("https://a.b", "", False),
        ("https://a.b", "::::,/,[", False),
    ],
)
def test_no_proxy_spares_by_suffix_address_and_port(
    url: str, no_proxy: str, is_spared: bool
) -> None:
    assert choice(url, {**HTTPS, "NO_PROXY": no_proxy}) == ("" if is_spared else "proxy:3128")
    assert choice(url, {**HTTPS, "no_proxy": no_proxy}) == ("" if is_spared else "proxy:3128")


def test_the_kubeconfigs_proxy_wins_over_every_variable() -> None:
    env = {**HTTPS, "NO_PROXY": "*"}
    assert choice("https://127.0.0.1", env, "http://mine:1") == "mine:1"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://proxy", "spoken to over TLS"),
        ("ftp://proxy", "no URL"),
        ("http://jane:s3cret@", "no URL"),
    ],
)
def test_a_proxy_of_another_kind_is_one_sentence(url: str, why: str) -> None:
    with pytest.raises(KubeconfigError, match=why) as raised:
        choice("https://a.b", {"HTTPS_PROXY": url})
    assert "s3cret" not in str(raised.value)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def server(authority: Authority) -> Iterator[HostileServer]:
    """An API server for a name that only a proxy knows."""
    with serving(well_behaved(), tls=authority.server(HOST)) as found:
        yield found


Ask = Callable[..., list[Phase | RequestDone | Waiting]]


@pytest.fixture
def ask(authority: Authority, tmp_path: Path) -> Ask:
    """Asks that server for its version through some proxy, and gives back the events."""

    def run(proxy_url: str = "", **env: str) -> list[Phase | RequestDone | Waiting]:
        named: dict[str, Any] = {"proxy-url": proxy_url} if proxy_url else {}
        path = kubeconfig(tmp_path, f"https://{HOST}:6443", authority.pem, **named)
        events: list[Phase | RequestDone | Waiting] = []
        client = Client(
            env={"KUBECONFIG": str(path), "HOME": str(tmp_path), "PATH": os.defpath, **env},
            settings=Settings(cache="memory"),
            observe=events.append,
        )
        try:
            assert client.document("/version")["gitVersion"] == "v1.30.0"
        finally:
            client.forget_connections()
        return events

    return run


def test_a_proxy_that_works_is_one_phase_of_the_connection(ask: Ask, server: HostileServer) -> None:
    with proxying(places={HOST: server.port}) as proxy:
        events = ask(HTTPS_PROXY=f"http://127.0.0.1:{proxy.port}")
        assert proxy.asked_for == [f"{HOST}:6443"]
        assert proxy.authorizations == [""]
    kinds = [one.kind for one in events if isinstance(one, Phase)]
    assert kinds[:3] == ["connect", "proxy", "tls"]


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
def test_a_proxy_of_the_kubeconfig_is_taken_whatever_no_proxy_says(
    scheme: str, ask: Ask, server: HostileServer
) -> None:
    with proxying(places={HOST: server.port}) as proxy:
        ask(f"{scheme}://127.0.0.1:{proxy.port}", NO_PROXY="*", HTTPS_PROXY="http://other:1")
        assert proxy.asked_for == [f"{HOST}:6443"]


def test_a_proxy_is_told_name_and_password(ask: Ask, server: HostileServer) -> None:
    with proxying(places={HOST: server.port}) as proxy:
        ask(f"http://jane:p%40ss@127.0.0.1:{proxy.port}")
        assert proxy.authorizations == ["Basic amFuZTpwQHNz"]
    with proxying("jane:p@ss", {HOST: server.port}) as proxy:
        ask(f"socks5://jane:p%40ss@127.0.0.1:{proxy.port}")
        assert proxy.asked_for == [f"{HOST}:6443"]


def test_a_socks_proxy_that_does_not_let_us_in_is_one_sentence(ask: Ask) -> None:
    with proxying("jane:right") as proxy:
        with pytest.raises(TransportError, match="does not accept the name and password"):
            ask(f"socks5://jane:wrong@127.0.0.1:{proxy.port}")
        with pytest.raises(TransportError, match="wants another kind of log-in"):
            ask(f"socks5://127.0.0.1:{proxy.port}")


def test_a_dead_proxy_is_one_sentence(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(TransportError, match=f"127.0.0.1:{port}: connection refused"):
        ask(f"http://127.0.0.1:{port}")


def says(text: bytes) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.hang_up(text)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (says(b"HTTP/1.1 403 Forbidden\r\n\r\n"), f"refused the way to {HOST}:6443 .HTTP 403"),
        (says(b"HTTP/1.1 407 Who are you\r\n\r\n"), "wants a name and a password"),
        (says(b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>"), "HTTP 502"),
        (says(b"HTTP/1.1 302 Found\r\nLocation: x\r\n\r\n"), "HTTP 302"),
        (says(b"HTTP/1.1 \xb2\xb3 What\r\n\r\n"), "answered no HTTP"),
        (says(b"SSH-2.0-x\r\n\r\n"), "answered no HTTP"),
        (says(b"\r\n\r\n"), "answered no HTTP"),
        (says(b"HTTP/1.1 200"), "closed the connection"),
        (says(b""), "closed the connection"),
        (says(b"x" * 70_000), "answered no HTTP"),
    ],
)
def test_a_proxy_that_refuses_is_one_sentence(
    answer: Callable[[Exchange], None], why: str, ask: Ask
) -> None:
    with serving(answer) as proxy, pytest.raises(TransportError, match=why) as raised:
        ask(f"http://jane:s3cret@127.0.0.1:{proxy.port}")
    assert f"the proxy 127.0.0.1:{proxy.port} " in str(raised.value)
    assert "NO_PROXY" in str(raised.value)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "greeting", [b"HTTP/1.1 400 Bad\r\n\r\n", b"\x04\x00", b"\x05\xff", b"", b"\x05"]
)
def test_what_is_no_socks_proxy_is_one_sentence(greeting: bytes, ask: Ask) -> None:
    def greet(line: socket.socket) -> None:
        line.sendall(greeting)
        line.shutdown(socket.SHUT_WR)

    with (
        serving(greet=greet) as proxy,
        pytest.raises(TransportError, match=f"the proxy 127.0.0.1:{proxy.port} "),
    ):
        ask(f"socks5://127.0.0.1:{proxy.port}")


def test_a_socks_refusal_says_why(ask: Ask) -> None:
    def greet(line: socket.socket) -> None:
        line.recv(3)
        line.sendall(b"\x05\x00")
        line.recv(300)
        line.sendall(b"\x05\x05\x00\x01")

    with serving(greet=greet) as proxy, pytest.raises(TransportError, match="connection refused"):
        ask(f"socks5://127.0.0.1:{proxy.port}")


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_silent_proxy_is_given_its_time_and_no_more(scheme: str, authority: Authority) -> None:
    with serving() as proxy:
        route = Route(
            server=parse_endpoint(f"https://{HOST}", "server"),
            proxy=parse_endpoint(f"{scheme}://127.0.0.1:{proxy.port}", "proxy"),
            tls=TlsSettings(ca_pem=authority.pem, server_name=HOST),
            connect_s=0.2,
        )
        began_s = time.monotonic()
        with pytest.raises(TransportError, match=r"gave no way through \(no answer in time"):
            Dialer(route).connect(1, for_many=True)
        assert time.monotonic() - began_s < 5


def test_a_plain_server_is_asked_for_by_its_whole_url(tmp_path: Path) -> None:
    def answer(exchange: Exchange) -> None:
        assert exchange.target == f"http://{HOST}/prefix/version"
        assert exchange.header("host") == HOST
        exchange.answer_json({"gitVersion": "v1"})

    with serving(answer) as proxy:
        path = kubeconfig(tmp_path, f"http://{HOST}/prefix")
        env = {"KUBECONFIG": str(path), "HTTP_PROXY": f"127.0.0.1:{proxy.port}"}
        client = Client(env=env, settings=Settings(cache="memory"))
        assert client.document("/version") == {"gitVersion": "v1"}
        client.forget_connections()
