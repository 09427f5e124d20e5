"""What the tests of the path share: servers that end with the test, a name server, an HAProxy."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dnslib import AAAA, QTYPE, RCODE, RR, A, DNSRecord
from dnslib.server import BaseResolver, DNSLogger, DNSServer

from hostile_server import Answer, HostileServer, well_behaved
from kubelag.kube.config.kubeconfig import Kubeconfig, load_kubeconfig

Serve = Callable[..., HostileServer]
START_S = 20.0


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Servers, which end with the test."""
    started: list[HostileServer] = []

    def start(answer: Answer | None = None, **more: Any) -> HostileServer:
        started.append(HostileServer(answer or well_behaved(), **more))
        return started[-1]

    yield start
    for server in started:
        server.close()


def silent_port(kind: int = socket.SOCK_STREAM) -> socket.socket:
    """A port that takes what comes and says nothing."""
    sock = socket.socket(socket.AF_INET, kind)
    sock.bind(("127.0.0.1", 0))
    if kind == socket.SOCK_STREAM:
        sock.listen(64)
    return sock


@pytest.fixture
def silence() -> Iterator[Callable[..., int]]:
    """Ports that take what comes and say nothing."""
    held: list[socket.socket] = []

    def hold(kind: int = socket.SOCK_STREAM) -> int:
        held.append(silent_port(kind))
        port: int = held[-1].getsockname()[1]
        return port

    yield hold
    for sock in held:
        sock.close()


@dataclass
class NameServer:
    """A running name server and what it was asked."""

    place: str
    asked: list[tuple[str, str]]


class _Zone(BaseResolver):
    def __init__(self, zone: Mapping[str, Sequence[str]], quirks: Mapping[str, Any]) -> None:
        self.zone, self.quirks = zone, quirks
        self.asked: list[tuple[str, str]] = []

    def resolve(self, request: DNSRecord, handler: Any) -> DNSRecord:
        name, kind = str(request.q.qname).rstrip("."), QTYPE[request.q.qtype]
        self.asked.append((name, kind))
        if kind in self.quirks.get("drops", ()):
            time.sleep(0)
            return None  # type: ignore[return-value] # dnslib then fails, and sends nothing
        reply = request.reply()
        if self.quirks.get("fails"):
            reply.header.rcode = RCODE.SERVFAIL
        elif name not in self.zone:
            reply.header.rcode = RCODE.NXDOMAIN
        for address in self.zone.get(name, ()):
            is_v6 = ":" in address
            if kind == ("AAAA" if is_v6 else "A"):
                data = AAAA(address) if is_v6 else A(address)
                reply.add_answer(RR(name, getattr(QTYPE, kind), rdata=data, ttl=1))
        if self.quirks.get("is_cut") and handler.protocol == "udp":
            reply.rr.clear()
            reply.header.tc = 1
        return reply


@pytest.fixture
def name_server() -> Iterator[Callable[..., NameServer]]:
    """Name servers on ports of their own, over UDP and TCP."""
    running: list[DNSServer] = []

    def start(zone: Mapping[str, Sequence[str]], **quirks: Any) -> NameServer:
        resolver = _Zone(zone, quirks)
        logger = DNSLogger(logf=lambda _line: None)
        port = _free_port()
        for is_tcp in (False, True):
            server = DNSServer(resolver, address="127.0.0.1", port=port, tcp=is_tcp, logger=logger)
            server.server.handle_error = lambda *_: None
            server.start_thread()
            running.append(server)
        return NameServer(place=f"127.0.0.1:{port}", asked=resolver.asked)

    yield start
    for server in running:
        server.stop()
        server.server.server_close()


def _free_port() -> int:
    """A port that is free for both protocols."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream:
            stream.bind(("127.0.0.1", 0))
            port: int = stream.getsockname()[1]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
                try:
                    datagrams.bind(("127.0.0.1", port))
                except OSError:
                    continue
            return port


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Ports on which nobody listens."""
    return _free_port


def config_of(path: Path, env: Mapping[str, str] | None = None) -> Kubeconfig:
    """What kubectl would take from a kubeconfig."""
    return load_kubeconfig(("kubectl", f"--kubeconfig={path}", "get", "nodes"), env or {})


@pytest.fixture
def read_config() -> Callable[..., Kubeconfig]:
    """Reads a kubeconfig as kubectl does."""
    return config_of


@dataclass
class HaProxy:
    """A running HAProxy."""

    port: int
    config: Path
    socket: Path


@pytest.fixture
def haproxy(tmp_path: Path) -> Iterator[Callable[[Mapping[str, int]], HaProxy]]:
    """Real HAProxies in front of ports of this machine, round robin."""
    if shutil.which("haproxy") is None:
        pytest.skip("haproxy is not installed")
    running: list[subprocess.Popen[bytes]] = []

    def start(servers: Mapping[str, int]) -> HaProxy:
        port, config, stats = _free_port(), tmp_path / "haproxy.cfg", tmp_path / "stats.sock"
        listed = "\n".join(f"    server {name} 127.0.0.1:{at}" for name, at in servers.items())
        config.write_text(
            f"global\n    stats socket {stats} mode 600 level admin\n"
            "defaults\n    mode tcp\n    retries 1\n    option redispatch\n"
            "    timeout connect 2s\n    timeout client 30s\n    timeout server 30s\n"
            f"frontend kube\n    bind 127.0.0.1:{port}\n    default_backend apiservers\n"
            f"backend apiservers\n    balance roundrobin\n{listed}\n"
        )
        running.append(subprocess.Popen(["haproxy", "-f", str(config), "-db", "-q"]))
        # Its ports are open before this one is; to knock at them would reach the servers.
        _wait_until(lambda: _listens(stats))
        return HaProxy(port=port, config=config, socket=stats)

    yield start
    for process in running:
        process.terminate()
        process.wait()


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(str(path)) == 0


def _wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while not is_so():
        assert time.monotonic() < deadline, "it did not come up"
        time.sleep(0.01)
