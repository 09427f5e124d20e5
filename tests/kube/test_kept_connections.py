"""A connection that is kept answers to whoever asked, once, and to nobody else."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hostile_server import Exchange, HostileServer, kubeconfig, serving
from kubelag.errors import TransportError
from kubelag.kube import Client, Settings
from kubelag.kube.session import Ask

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MANY = 5
LARGE_BYTES = 20_000_000

Make = Callable[..., Client]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes a client without a cache."""
    made: list[Client] = []

    def build(server: HostileServer, timeout_s: float = 20.0) -> Client:
        path = kubeconfig(tmp_path, server.url)
        settings = Settings(cache="memory", timeout_s=timeout_s)
        made.append(Client(env={"KUBECONFIG": str(path)}, settings=settings))
        return made[-1]

    yield build
    for client in made:
        client.forget_connections()


def echo(exchange: Exchange) -> None:
    """Says what was asked for."""
    exchange.answer(200, exchange.path)


def test_what_came_unasked_is_no_answer_to_the_next_request(make: Make) -> None:
    def answer(exchange: Exchange) -> None:
        unasked = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 4\r\n\r\nlate"
        exchange.send(OK + (unasked if exchange.path == "/first" else b""))

    with serving(answer) as server:
        client = make(server)
        assert [client.request(path).status for path in ("/first", "/second")] == [200, 200]
        assert server.paths == ["/first", "/second"]


def test_connections_that_died_meanwhile_cost_no_request(make: Make) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.send(OK)
        if exchange.path != "/again":
            exchange.is_over = True

    with serving(answer) as server:
        client = make(server)
        client.session.send_all([Ask(path=f"/{number}") for number in range(MANY)])
        wait_closed(client)
        assert client.request("/again").status == 200
        assert server.paths.count("/again") == 1


def wait_closed(client: Client) -> None:
    """Until those that carried a request have heard of their end; one may have carried none."""
    deadline = time.monotonic() + 10
    idle = client.session._pool._idle
    while sum(one.is_usable() for one in idle) > 1 and time.monotonic() < deadline:
        pass


def test_a_request_that_changes_something_is_sent_once(make: Make) -> None:
    def answer(exchange: Exchange) -> None:
        if exchange.method == "GET":
            exchange.send(OK)
        else:
            exchange.is_over = True  # read, perhaps acted upon, and no word

    with serving(answer) as server:
        client = make(server)
        client.request("/get")
        with pytest.raises(TransportError, match="closed the connection without an answer"):
            client.request("/post", method="POST", body=b"{}")
        assert [one.method for one in server.heads] == ["GET", "POST"]


def test_after_a_fork_nobody_hears_the_others_answers(make: Make) -> None:
    with serving(echo) as server:
        client = make(server)
        assert client.request("/before").body == b"/before"
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            heard = client.request("/child").body
            os.write(write, heard)
            os._exit(0)
        assert client.request("/parent").body == b"/parent"
        os.waitpid(child, 0)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            assert pipe.read() == b"/child"


def test_a_proxy_that_forwards_hears_whole_addresses_and_who_we_are(tmp_path: Path) -> None:
    with serving(echo) as proxy:
        path = kubeconfig(tmp_path, "http://api.example.com")
        env = {"KUBECONFIG": str(path), "HTTP_PROXY": f"http://me:open@127.0.0.1:{proxy.port}"}
        client = Client(env=env, settings=Settings(cache="memory"))
        assert client.request("/version").status == 200
        client.forget_connections()
        (asked,) = proxy.heads
        assert asked.target == "http://api.example.com/version"
        assert asked.header("proxy-authorization") == "Basic bWU6b3Blbg=="


def test_a_large_body_may_take_its_time(make: Make) -> None:
    def answer(exchange: Exchange) -> None:
        time.sleep(0.3)  # by now the sender's buffers are full
        left = LARGE_BYTES - 500_000  # the first of it came with the head
        while left > 0 and (piece := exchange.line.recv(1 << 20)):
            left -= len(piece)
        exchange.send(OK)

    with serving(answer) as server:
        client = make(server)
        assert client.request("/put", method="PUT", body=b"x" * LARGE_BYTES).status == 200


def test_a_time_limit_holds_while_something_keeps_coming(make: Make) -> None:
    def answer(exchange: Exchange) -> None:
        while True:
            exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    with (
        serving(answer) as server,
        pytest.raises(TransportError, match=r"within 0\.5 s"),
    ):
        make(server, timeout_s=0.5).request("/flood")


def test_a_time_limit_holds_for_a_handshake_too(tmp_path: Path) -> None:
    with serving(is_deaf=True) as server:
        path = kubeconfig(tmp_path, f"https://127.0.0.1:{server.port}")
        settings = Settings(cache="memory", timeout_s=0.3)
        began = time.monotonic()
        with pytest.raises(TransportError, match="did not come about"):
            Client(env={"KUBECONFIG": str(path)}, settings=settings).request("/")
        assert time.monotonic() - began < 5.0
