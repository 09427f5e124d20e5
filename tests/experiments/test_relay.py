"""A relay that passes everything on, and changes the one thing that it was asked to."""

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from kubelag.experiments.contract import NotApplicableError
from kubelag.experiments.workshop import RelayPlan, Workshop
from kubelag.kube.secret import Secret
from program import ends

CONNECTIONS = 60
"""What an old client opens at once over HTTP/1.1."""
MANY_BYTES = 300_000
DOSE_S = 0.05
# tcp_info: 8 single bytes, then 32-bit words (linux/tcp.h).
_SND_MSS, _RCV_MSS = 2, 3
_TCP_INFO_WORDS = 24

Speaker = Callable[[socket.socket], None]


@pytest.fixture
def workshop() -> Iterator[Workshop]:
    with Workshop() as made:
        yield made


@contextmanager
def server(speak: Speaker) -> Iterator[str]:
    """A server that speaks with each client in a thread of its own; gives its address."""
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    one = threading.Thread(target=_with, args=(speak, client))
                    threads.append(one)
                    one.start()

        accepting = threading.Thread(target=serve)
        accepting.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for one in (accepting, *threads):
                one.join(10)


def _with(speak: Speaker, client: socket.socket) -> None:
    with client, suppress(OSError):
        speak(client)


def echo(client: socket.socket) -> None:
    while chunk := client.recv(65_536):
        client.sendall(chunk)


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def all_of(client: socket.socket) -> bytes:
    said = b""
    while chunk := client.recv(65_536):
        said += chunk
    return said


@pytest.mark.parametrize("delay_s", [0.0, 0.01])
def test_sixty_connections_get_back_what_they_sent(workshop: Workshop, delay_s: float) -> None:
    def talk(port: int) -> bool:
        sent = os.urandom(MANY_BYTES)
        with connected(port) as client:
            sending = threading.Thread(target=client.sendall, args=(sent,))
            sending.start()
            said = b""
            while len(said) < len(sent) and (chunk := client.recv(65_536)):
                said += chunk
            sending.join()
            client.shutdown(socket.SHUT_WR)
            return said == sent and client.recv(1) == b""

    with server(echo) as target, ThreadPoolExecutor(CONNECTIONS) as pool:
        port = workshop.relay(RelayPlan(target=target, delay_s=delay_s))
        assert list(pool.map(talk, [port] * CONNECTIONS)) == [True] * CONNECTIONS


def test_each_exchange_takes_one_delay_more_and_the_first_one_the_handshakes_too(
    workshop: Workshop,
) -> None:
    exchanges = 4
    with server(echo) as target:
        port = workshop.relay(RelayPlan(target=target, delay_s=DOSE_S))
        start_s = time.monotonic()
        with connected(port) as client:
            for number in range(exchanges):
                client.sendall(b"%d" % number)
                assert client.recv(10) == b"%d" % number
        took_s = time.monotonic() - start_s
    assert took_s >= (exchanges + 1) * DOSE_S


def test_whatever_the_server_says_is_late_also_where_nobody_has_asked_again(
    workshop: Workshop,
) -> None:
    heard: list[float] = []
    said: list[float] = []

    def twice(client: socket.socket) -> None:
        client.recv(10)
        client.sendall(b"head")
        # The end of an answer that takes its time: further away it arrives later, too.
        heard_head.wait(20)
        said.append(time.monotonic())
        client.sendall(b"body")

    heard_head = threading.Event()
    with server(twice) as target:
        port = workshop.relay(RelayPlan(target=target, delay_s=DOSE_S))
        with connected(port) as client:
            client.sendall(b"question")
            assert client.recv(10) == b"head"
            heard_head.set()
            assert client.recv(10) == b"body"
            heard.append(time.monotonic())
    assert heard[0] - said[0] >= DOSE_S


def test_a_delay_is_no_shorter_and_hardly_longer_than_asked_for(workshop: Workshop) -> None:
    exchanges = 40
    with server(echo) as target:
        port = workshop.relay(RelayPlan(target=target, delay_s=0.005))
        took = []
        with connected(port) as client:
            for _ in range(exchanges):
                start_s = time.monotonic()
                client.sendall(b"x")
                client.recv(1)
                took.append(time.monotonic() - start_s)
    assert min(took[1:]) >= 0.005
    assert min(took[1:]) < 0.0058, "whole milliseconds would be too coarse"


def test_a_stream_is_late_once_and_not_chunk_by_chunk(workshop: Workshop) -> None:
    def stream(client: socket.socket) -> None:
        client.recv(10)
        for _ in range(100):
            client.sendall(b"x" * 10_000)

    with server(stream) as target:
        port = workshop.relay(RelayPlan(target=target, delay_s=0.2))
        start_s = time.monotonic()
        with connected(port) as client:
            client.sendall(b"go")
            assert len(all_of(client)) == 1_000_000
        assert time.monotonic() - start_s < 100 * 0.2 / 2


def test_either_side_may_end_its_half_first(workshop: Workshop) -> None:
    def last_word(client: socket.socket) -> None:
        assert all_of(client) == b"question"
        client.sendall(b"answer")

    with (
        server(last_word) as target,
        connected(workshop.relay(RelayPlan(target=target))) as client,
    ):
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert all_of(client) == b"answer"


def test_segments_are_limited_both_ways(workshop: Workshop) -> None:
    def tell(client: socket.socket) -> None:
        received = 0
        while received < MANY_BYTES:
            received += len(client.recv(65_536))
        info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8 + 4 * _TCP_INFO_WORDS)
        words = struct.unpack_from(f"{_TCP_INFO_WORDS}I", info, 8)
        client.sendall(b"%d %d" % (words[_SND_MSS], words[_RCV_MSS]))

    def segments(plan: RelayPlan) -> list[int]:
        """The largest that the server sends, and that it received."""
        with connected(workshop.relay(plan)) as client:
            client.sendall(bytes(MANY_BYTES))
            return [int(word) for word in all_of(client).split()]

    with server(tell) as target:
        assert min(segments(RelayPlan(target=target))) > 1200
        # Timestamps may take 12 bytes of each.
        for size in segments(RelayPlan(target=target, segment_bytes=1200)):
            assert 1200 - 12 <= size <= 1200


def test_where_nobody_listens_the_connection_ends(workshop: Workshop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"127.0.0.1:{taken.getsockname()[1]}"
    with connected(workshop.relay(RelayPlan(target=nobody))) as client, suppress(OSError):
        assert client.recv(1) == b""


def test_a_name_is_no_target(workshop: Workshop) -> None:
    with pytest.raises(NotApplicableError, match="could not be started"):
        workshop.relay(RelayPlan(target="localhost:6443"))


def test_it_is_gone_with_the_workshop() -> None:
    with server(echo) as target, Workshop() as workshop:
        port = workshop.relay(RelayPlan(target=target))
        connected(port).close()
        workshop.close()
        with pytest.raises(ConnectionRefusedError):
            connected(port)


_OWNER = """
import os, sys, time
from kubelag.experiments.workshop import RelayPlan, Workshop
from kubelag.kube.secret import Secret
workshop = Workshop()
path = workshop.kubeconfig(Secret(b"planted"))
workshop.relay(RelayPlan(target="127.0.0.1:1"))
with open(f"/proc/{os.getpid()}/task/{os.getpid()}/children") as file:
    print(path, file.read().split()[0], flush=True)
time.sleep(1000)
"""


def test_killed_without_warning_we_leave_no_relay_and_the_next_run_sweeps_the_rest() -> None:
    owner = subprocess.Popen([sys.executable, "-c", _OWNER], stdout=subprocess.PIPE, text=True)
    try:
        assert owner.stdout is not None
        path, relay = owner.stdout.readline().split()
    finally:
        owner.send_signal(signal.SIGKILL)
        owner.communicate()
    assert ends(int(relay))
    assert Path(path).exists(), "nobody could have removed it yet"
    with Workshop() as workshop:
        workshop.kubeconfig(Secret(b""))
        assert not Path(path).parent.exists()
