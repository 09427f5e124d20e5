"""Two hosts on a bridge, for tests that disturb the cable of one of them."""

import contextlib
import json
import os
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from kubelag.lab.network.impair.cable import Cable, Spot, cable_of, send_plain_frames
from kubelag.lab.network.impair.delay import Delay
from kubelag.lab.network.lan import make_host, make_lan
from kubelag.lab.network.namespaces import why_no_namespaces
from kubelag.lab.processes import find_marked
from kubelag.lab.state import Ledger
from kubelag.lab.tools import has_tool

NAME = f"klimp-{os.getpid()}"
FAMILIES = {"IPv4": "address", "IPv6": "address6"}
"""Where `kubelag.lab.network.lan.Host` has the address of each."""
PORT = 8443
TIMEOUT_S = 30.0
RETRANSMITTED_AT = 100  # tcpi_total_retrans in `struct tcp_info`, linux/tcp.h


class Switch(Protocol):
    """What every impairment is."""

    def on(self) -> None: ...
    def off(self) -> None: ...
    def is_on(self) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A client and a server on one bridge."""

    cable: Cable
    near: Spot
    """The client, whose cable is disturbed."""
    far: Spot
    directory: Path
    ledger: Ledger

    def delay(self, one_way_s: float) -> Delay:
        return Delay(
            cable=self.cable,
            one_way_s=one_way_s,
            directory=self.directory / "wires",
            marks=self.ledger.environment,
        )

    def looks(self) -> tuple[object, ...]:
        """Everything that an impairment could leave behind, in no order."""
        ends = (self.cable.lan, self.cable.host)
        queues = [host.tool("tc", "qdisc", "show", problem="no tc") for host in ends]
        filters = ("tc", "filter", "show", "dev", self.cable.port, "egress")
        links = json.loads(self.cable.lan.tool("ip", "-j", "address", problem="no ip"))
        neighbours = ("ip", "neigh", "show", "nud", "permanent")
        return (
            queues,
            self.cable.lan.tool(*filters, problem="no tc"),
            [looks_of(one) for one in links],
            self.cable.host.tool(*neighbours, problem="no ip"),
            find_marked(self.ledger.token),
        )


def looks_of(link: Mapping[str, Any]) -> tuple[object, ...]:
    """What stays the same about a link as long as nobody touches it."""
    addresses = [one["local"] for one in link["addr_info"]]
    return (*(link.get(name) for name in ("ifname", "master", "address", "mtu")), addresses)


@contextlib.contextmanager
def two_hosts(directory: Path) -> Iterator[Mapping[str, Place]]:
    """Two hosts on a bridge, by the family of the addresses that are used; all gone in the end."""
    if obstacle := why_no_namespaces():
        pytest.skip(obstacle)
    if missing := [tool for tool in ("tc", "ethtool", "ss") if not has_tool(tool)]:
        pytest.skip(f"{missing[0]} is not installed")
    with Ledger.open(directory / "state") as ledger:
        lan = make_lan(ledger, f"{NAME}-lan")
        client, server = (
            make_host(ledger, lan, name, f"{NAME}-{name}", [number])
            for number, name in enumerate(("client", "server"), 11)
        )
        for one in (client, server):
            send_plain_frames(one.namespace, one.interface)
        yield {
            family: Place(
                cable=cable_of(lan, client),
                near=Spot(host=client.namespace, address=getattr(client, family)),
                far=Spot(host=server.namespace, address=getattr(server, family)),
                directory=directory,
                ledger=ledger,
            )
            for family in FAMILIES.values()
        }
    assert not [path for path in Path("/run/netns").iterdir() if path.name.startswith(NAME)]
    assert find_marked(ledger.token) == ()


@contextlib.contextmanager
def untouched(place: Place) -> Iterator[Place]:
    """Whatever is done meanwhile is undone in the end, and seen to be."""
    before = place.looks()
    yield place
    assert place.looks() == before


@contextlib.contextmanager
def disturbed(switch: Switch) -> Iterator[None]:
    """On twice, and off twice: neither does harm."""
    switch.off()
    assert not switch.is_on()
    try:
        switch.on()
        switch.on()
        assert switch.is_on()
        yield
    finally:
        switch.off()
        switch.off()
        assert not switch.is_on()


def open_socket(spot: Spot) -> socket.socket:
    family = socket.AF_INET6 if ":" in spot.address else socket.AF_INET
    one = spot.host.do(lambda: socket.socket(family))
    one.settimeout(TIMEOUT_S)
    return one


@contextlib.contextmanager
def listening(spot: Spot, port: int = PORT) -> Iterator[socket.socket]:
    with open_socket(spot) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((spot.address, port))
        listener.listen()
        yield listener


@contextlib.contextmanager
def connected(place: Place) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection, the client's first."""
    with listening(place.far) as listener, open_socket(place.near) as client:
        client.connect((place.far.address, PORT))
        server, _ = listener.accept()
        with server:
            server.settimeout(TIMEOUT_S)
            yield client, server


def retransmitted(one: socket.socket) -> int:
    """How many segments the kernel has sent again."""
    info = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, RETRANSMITTED_AT + 4)
    return int(struct.unpack_from("I", info, RETRANSMITTED_AT)[0])


def connect_s(place: Place) -> float:
    with listening(place.far), open_socket(place.near) as client:
        start_s = time.monotonic()
        client.connect((place.far.address, PORT))
        return time.monotonic() - start_s
