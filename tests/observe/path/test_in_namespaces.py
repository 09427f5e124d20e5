"""The path map across hosts of its own: packets that vanish, addresses that are dead, IPv6."""

import contextlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hostile_server import Authority, kubeconfig
from kubelag.kube.config.kubeconfig import Kubeconfig
from kubelag.lab.network.namespaces import Namespace, why_no_namespaces
from kubelag.model.path import PathMap
from kubelag.observe.path import survey
from kubelag.observe.path.survey import Asked, after, before

pytestmark = pytest.mark.real
PORT = 6443
NEAR, FAR = f"klpath-{os.getpid()}-a", f"klpath-{os.getpid()}-b"
Read = Callable[..., Kubeconfig]


def run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)


@dataclass
class Hosts:
    """A client's host and a server's, on one wire: 192.0.2.1 and 192.0.2.2, also in IPv6."""

    near: Namespace
    far: Namespace
    authority: Authority


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    """Two hosts, gone after the test whatever happened."""
    if why := why_no_namespaces():
        pytest.skip(why)
    try:
        for name in (NEAR, FAR):
            run("ip", "netns", "add", name)
        run("ip", "-n", NEAR, "link", "add", "eth0", "type", "veth", "peer", "eth0", "netns", FAR)
        for name, last in ((NEAR, 1), (FAR, 2)):
            run("ip", "-n", name, "addr", "add", f"192.0.2.{last}/24", "dev", "eth0")
            run("ip", "-n", name, "addr", "add", f"2001:db8::{last}/64", "dev", "eth0", "nodad")
            for card in ("lo", "eth0"):
                run("ip", "-n", name, "link", "set", card, "up")
        yield Hosts(Namespace(name=NEAR), Namespace(name=FAR), Authority())
    finally:
        for name in (NEAR, FAR):
            subprocess.run(("ip", "netns", "del", name), check=False, capture_output=True)


class _FarServer:
    """An API server of sorts, over both families; its certificate fills several packets."""

    def __init__(self, hosts: Hosts) -> None:
        names = [f"a-name-that-makes-the-certificate-larger-{at}.example" for at in range(80)]
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        leaf = hosts.authority.ca.issue_cert("192.0.2.2", "2001:db8::2", "api", *names)
        leaf.configure_cert(self._context)
        self._listener = hosts.far.do(
            lambda: socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True)
        )
        self._lines: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        """Let go of everything, and wait for the threads."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        for line in self._lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for line in self._lines:
            line.close()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            line.settimeout(20)
            secure = self._context.wrap_socket(
                line, server_side=True, do_handshake_on_connect=False
            )
            self._lines.append(secure)
            self._threads.append(threading.Thread(target=self._answer, args=(secure,)))
            self._threads[-1].start()

    def _answer(self, line: ssl.SSLSocket) -> None:
        with contextlib.suppress(OSError):
            line.do_handshake()
            line.recv(65536)
            line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            line.recv(1)


@pytest.fixture
def server(hosts: Hosts) -> Iterator[None]:
    """The same, which ends with the test."""
    running = _FarServer(hosts)
    yield
    running.close()


@pytest.fixture
def look(
    hosts: Hosts, tmp_path: Path, read_config: Read, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., PathMap]:
    """The map as the near host sees it."""
    monkeypatch.setattr(survey, "find_backends", lambda _: ((), "not looked for"))

    def run_it(host: str, names: str = "") -> PathMap:
        place = f"[{host}]" if ":" in host else host
        path = kubeconfig(tmp_path, f"https://{place}:{PORT}", hosts.authority.pem)
        (tmp_path / "hosts").write_text(names)
        (tmp_path / "resolv.conf").write_text("nameserver 192.0.2.2\noptions timeout:1\n")
        files: dict[str, Any] = {
            "hosts": tmp_path / "hosts",
            "resolv_conf": tmp_path / "resolv.conf",
        }
        asked = Asked(kubeconfig=read_config(path), env={}, **files)
        seen, look = hosts.near.do(lambda: after(asked, before(asked)))
        assert seen is not None, look.how
        return seen

    return run_it


@pytest.mark.parametrize("host", ["192.0.2.2", "2001:db8::2"])
@pytest.mark.usefixtures("server")
def test_a_healthy_way_is_seen_with_its_card(host: str, look: Callable[..., PathMap]) -> None:
    seen = look(host)
    assert [one.error for one in seen.front] == [""] * 7
    assert {one.path_mtu_bytes for one in seen.front} == {1500}
    assert seen.small_front == ()
    cards = [one for one in seen.neighbours if one.address == host]
    assert cards
    assert re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", cards[-1].mac)


@pytest.mark.usefixtures("server")
def test_large_packets_that_vanish_are_told_by_small_ones(
    hosts: Hosts, look: Callable[..., PathMap]
) -> None:
    if shutil.which("ethtool") is None:
        pytest.skip("ethtool is not installed")
    _put_a_narrow_bridge_between(hosts)
    seen = look("192.0.2.2")
    assert all(one.connect_ns for one in seen.front)
    assert {one.tls_ns for one in seen.front} == {None}
    assert {one.path_mtu_bytes for one in seen.front} == {1500}
    assert [one.error for one in seen.small_front] == ["", ""]
    assert all(one.segment_bytes and one.segment_bytes <= 1000 for one in seen.small_front)
    assert {one.segment_limit_bytes for one in seen.small_front} == {1000}


def _put_a_narrow_bridge_between(hosts: Hosts) -> None:
    """A switch drops what is too large for a port and tells nobody."""
    near, far = hosts.near.name, hosts.far.name
    for name, last in ((near, 1), (far, 2)):
        run("ip", "-n", name, "addr", "flush", "dev", "eth0")
        run("ip", "-n", name, "addr", "add", f"192.0.2.{last}/24", "dev", "eth0")
    # The wire now ends at a switch inside the far host, whose own card hangs on another port.
    run("ip", "-n", far, "link", "set", "eth0", "name", "port0")
    run("ip", "-n", far, "addr", "flush", "dev", "port0")
    run("ip", "-n", far, "link", "add", "eth0", "type", "veth", "peer", "port1")
    run("ip", "-n", far, "link", "add", "sw0", "type", "bridge")
    for port in ("port0", "port1"):
        run("ip", "-n", far, "link", "set", port, "master", "sw0")
        run("ip", "-n", far, "link", "set", port, "up")
    run("ip", "-n", far, "link", "set", "port0", "mtu", "1200")
    run("ip", "-n", far, "link", "set", "sw0", "up")
    run("ip", "-n", far, "addr", "add", "192.0.2.2/24", "dev", "eth0")
    run("ip", "-n", far, "link", "set", "eth0", "up")
    # A segment that the card would cut later passes a switch whole.
    hosts.far.tool("ethtool", "-K", "eth0", "tso", "off", "gso", "off", problem="offload stays on")


@pytest.mark.usefixtures("server")
def test_a_dead_first_address_costs_its_limit_and_the_others_none(
    hosts: Hosts, look: Callable[..., PathMap]
) -> None:
    # Somebody's card that takes everything and answers nothing.
    run(
        *("ip", "-n", hosts.near.name, "neigh", "add", "192.0.2.66"),
        *("lladdr", "02:00:00:00:00:66", "dev", "eth0", "nud", "permanent"),
    )
    seen = look("api", "192.0.2.66 api\n192.0.2.2 api\n2001:db8::2 api\n")
    assert seen.addresses == ("2001:db8::2", "192.0.2.66", "192.0.2.2")
    dead = [one for one in seen.front if one.address == f"192.0.2.66:{PORT}"]
    assert dead
    assert all(one.error.startswith("no answer to connecting") for one in dead)
    live = [one for one in seen.front if one not in dead]
    assert {one.error for one in live} == {""}
    assert {one.address for one in live} == {f"[2001:db8::2]:{PORT}", f"192.0.2.2:{PORT}"}


def test_a_silent_name_server_costs_its_limit(hosts: Hosts, look: Callable[..., PathMap]) -> None:
    with hosts.far.do(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as deaf:
        deaf.bind(("192.0.2.2", 53))
        seen = look("api.example")
    assert [(one.kind, one.code, one.server) for one in seen.names] == [
        ("A", "timeout", "192.0.2.2:53"),
        ("AAAA", "timeout", "192.0.2.2:53"),
    ]
    assert (seen.addresses, seen.front) == ((), ())
