"""The network of one real command: real sockets, real packets, a real balancer."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from capturing import needs_capture
from evidence import MS
from kubelag.errors import CommandNotFoundError
from kubelag.lab.network.namespaces import why_no_namespaces
from kubelag.model.evidence import Look
from kubelag.observe.capture.comparing import compare
from kubelag.observe.capture.live import LiveCapture
from kubelag.observe.network_watch import NetworkWatch, Scope
from kubelag.observe.session import Watch, Watched, watch

pytestmark = pytest.mark.real
CONNECT = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])))"
ECHO = f"""{CONNECT.replace("socket.create", "line = socket.create")}
line.sendall(b"x" * 1000)
while line.recv(4096):
    pass
"""
ENV = {"PATH": os.environ["PATH"]}


def look(seen: Watched, observer: str) -> Look:
    (found,) = (one for one in seen.looks if one.observer == observer)
    return found


def our_tcpdumps() -> set[int]:
    """Those that this process started."""
    mine = f"PPid:\t{os.getpid()}\n"
    return {
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/status")
        if (text := _read(path)).startswith("Name:\ttcpdump") and mine in text
    }


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


@contextmanager
def echoing(host: str = "127.0.0.1") -> Iterator[int]:
    """A server that sends back 1,000 bytes to whoever sends that many."""
    with socket.create_server((host, 0)) as listening:
        threading.Thread(target=_echo, args=(listening,), daemon=True).start()
        yield listening.getsockname()[1]


def _echo(listening: socket.socket) -> None:
    while True:
        try:
            line, _ = listening.accept()
        except OSError:
            return
        with line:
            left = 1000
            while left and (part := line.recv(left)):
                left -= len(part)
            line.sendall(b"y" * 1000)


def scope_of(port: int, **more: Any) -> Scope:
    return Scope(ports=frozenset({port}), servers=(f"127.0.0.1:{port}",), **more)


def watched(network: NetworkWatch, *argv: str) -> Watched:
    return watch(Watch(argv=argv, env=ENV, recorder=None, network=network))


def python(port: int, script: str = ECHO, repeat: int = 1) -> Sequence[str]:
    once = f"exec({script!r})"
    return (sys.executable, "-c", "\n".join([once] * repeat), str(port))


@needs_capture
def test_the_commands_own_connections_are_there_once_each_and_no_others() -> None:
    with echoing() as port:
        address = ("127.0.0.1", port)
        with socket.create_connection(address) as stranger:
            stranger.sendall(b"z" * 1000)
            seen = watched(NetworkWatch(scope_of(port)), *python(port, repeat=3))
    found = seen.network.connections
    assert seen.run.exit_code == 0
    assert len(found) == len({one.client for one in found}) == 3
    assert {one.server for one in found} == {f"127.0.0.1:{port}"}
    assert {(one.sent_bytes, one.received_bytes) for one in found} == {(1000, 1000)}
    assert {one.seen_by for one in found} == {"capture"}
    assert [look(seen, name).state for name in ("sockets", "capture")] == ["looked", "looked"]
    assert our_tcpdumps() == set()


def test_a_command_that_cannot_be_started_leaves_no_capture() -> None:
    with pytest.raises(CommandNotFoundError):
        watched(NetworkWatch(scope_of(1)), "klglue-no-such-program")
    assert our_tcpdumps() == set()


def test_ctrl_c_ends_the_capture_too_and_what_was_seen_is_told(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    with echoing() as port:
        script = f"{CONNECT}; open({str(ready)!r}, 'w').close(); import time; time.sleep(60)"
        stop = threading.Thread(target=_interrupt_when, args=(ready,))
        stop.start()
        seen = watched(NetworkWatch(scope_of(port)), sys.executable, "-c", script, str(port))
        stop.join()
    assert seen.run.interrupted
    assert len(seen.network.connections) == 1
    assert our_tcpdumps() == set()


def _interrupt_when(fifo: Path) -> None:
    fifo.read_bytes()
    os.kill(os.getpid(), signal.SIGINT)


@needs_capture
def test_ctrl_c_while_tcpdump_starts_comes_after_it_has_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is held back until the command runs, and then ends both."""
    network = NetworkWatch(scope_of(1))
    prepare = network.prepare

    def interrupted() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        prepare()

    monkeypatch.setattr(network, "prepare", interrupted)
    seen = watched(network, "sleep", "60")
    assert seen.run.interrupted
    assert look(seen, "capture").state == "looked"
    assert our_tcpdumps() == set()


def test_an_exception_in_the_middle_leaves_nothing() -> None:
    def tick(_elapsed_s: float) -> None:
        raise ZeroDivisionError

    network = NetworkWatch(scope_of(1))
    with pytest.raises(ZeroDivisionError):
        watch(Watch(argv=("sleep", "60"), env=ENV, recorder=None, network=network, tick=tick))
    assert our_tcpdumps() == set()
    assert not [one for one in threading.enumerate() if one.name in {"sockets", "balancer"}]


HAPROXY = """
global
    stats socket {stats} mode 600 level admin
defaults
    mode tcp
    timeout connect 2s
    timeout client 10s
    timeout server 10s
listen api
    bind 127.0.0.1:{front}
    balance roundrobin
    server master1 127.0.0.1:{first}
    server master2 127.0.0.1:{second}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
    return port


@contextmanager
def balanced(directory: Path, first: int, second: int) -> Iterator[tuple[int, Path]]:
    """A real HAProxy in front of two servers; its port, and its stats socket."""
    front, stats = free_port(), directory / "stats"
    text = HAPROXY.format(stats=stats, front=front, first=first, second=second)
    (directory / "haproxy.cfg").write_text(text)
    argv = ["haproxy", "-db", "-f", str(directory / "haproxy.cfg")]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: _answers(front), "haproxy does not listen")
            yield front, stats
        finally:
            process.kill()


def _answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def wait_until(is_so: Callable[[], bool], problem: str) -> None:
    waiting = threading.Event()
    for _ in range(500):
        if is_so():
            return
        waiting.wait(0.02)
    raise AssertionError(problem)


def test_a_balancer_says_which_server_each_connection_was_given(tmp_path: Path) -> None:
    if not shutil.which("haproxy"):
        pytest.skip("haproxy is not installed")
    told = tmp_path / "told"
    os.mkfifo(told)
    # Held open until the balancer has been asked: it samples every 50 ms.
    script = f"{CONNECT.replace('socket.create', 'l = [socket.create', 1)} for _ in '12']"
    script += f"; open({str(told)!r}).read()"
    with (
        echoing() as first,
        echoing() as second,
        balanced(tmp_path, first, second) as (front, stats),
    ):
        network = NetworkWatch(scope_of(front, stats_socket=stats))
        holder = threading.Thread(target=_when_both_are_known, args=(network, told))
        holder.start()
        seen = watched(network, sys.executable, "-c", script, str(front))
        holder.join()
    assert sorted(one.backend for one in seen.network.connections) == ["master1", "master2"]
    assert look(seen, "balancer").state == "looked"
    assert look(seen, "balancer").how == f"show sess at {stats}"


def _when_both_are_known(network: NetworkWatch, told: Path) -> None:
    def are_known() -> bool:
        balancer = network._balancer
        return balancer is not None and len(balancer._found) == 2

    try:
        wait_until(are_known, "the balancer named no two sessions")
    finally:
        told.write_text("")


FAR_ECHO = """
import socket
with socket.create_server(("{far}", 0)) as listening:
    print(listening.getsockname()[1], flush=True)
    while True:
        line, _ = listening.accept()
        with line:
            left = 1000
            while left and (part := line.recv(left)):
                left -= len(part)
            line.sendall(b"y" * 1000)
"""
NEAR, FAR = "198.18.77.1", "198.18.77.2"
"""Of the block for tests of network devices (RFC 2544): nobody else has these."""


@contextmanager
def far_away() -> Iterator[tuple[str, int]]:
    """A namespace with a server that answers as `echoing` does; its name, and the port."""
    name = f"klglue-{os.getpid()}"
    link = f"klglue{os.getpid() % 100_000}"
    if obstacle := why_no_namespaces():
        pytest.skip(obstacle)
    _ip("netns", "add", name)
    try:
        _ip("link", "add", link, "type", "veth", "peer", "name", "far", "netns", name)
        _ip("address", "add", f"{NEAR}/30", "dev", link)
        _ip("link", "set", link, "up")
        _ip("-n", name, "address", "add", f"{FAR}/30", "dev", "far")
        _ip("-n", name, "link", "set", "far", "up")
        argv = ["ip", "netns", "exec", name, sys.executable, "-c", FAR_ECHO.format(far=FAR)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            try:
                yield name, int(server.stdout.readline())
            finally:
                server.kill()
    finally:
        _ip("netns", "delete", name)  # its end of the cable goes with it, and so does ours


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@needs_capture
def test_both_ends_of_a_cable_tell_the_same_of_the_same_connections() -> None:
    with far_away() as (namespace, port):
        far = LiveCapture(ports=[port], enter=("ip", "netns", "exec", namespace))
        far.start()
        script = ECHO.replace("127.0.0.1", FAR)
        scope = Scope(ports=frozenset({port}), servers=(f"{FAR}:{port}",))
        network = NetworkWatch(scope)
        seen = watched(network, *python(port, script, repeat=2))
        there, _ = far.stop()
    found = seen.network.connections
    assert {(one.server, one.sent_bytes, one.received_bytes) for one in found} == {
        (f"{FAR}:{port}", 1000, 1000)
    }
    assert len(found) == len({one.client for one in found}) == 2
    assert all(len(one.macs) == 1 for one in found)
    assert {one.address for one in seen.network.neighbours} <= {FAR}
    assert network.captured is not None
    compared = compare(network.captured, there)
    assert compared.connections == 2
    assert (compared.lost_forth, compared.lost_back) == (0, 0)
    # One clock and one machine: nothing else can be between them.
    assert abs(compared.offset_ns) <= compared.offset_error_ns + MS
