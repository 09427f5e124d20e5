"""Who answers for an address of the local network is read from the kernel."""

import contextlib
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.observe import neighbours
from kubelag.observe.sock_diag import SocketListError


def message(kind: int, body: bytes, sequence: int = 1) -> bytes:
    return (
        struct.pack("=IHHII", 16 + len(body), kind, 2, sequence, 0) + body + bytes(-len(body) % 4)
    )


def attribute(kind: int, body: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(body), kind) + body + bytes(-len(body) % 4)


def entry(state: int, mac: bytes, family: int = socket.AF_INET) -> bytes:
    address = socket.inet_pton(family, "10.0.0.1" if family == socket.AF_INET else "fe80::1")
    card = attribute(2, mac) if mac else b""
    return struct.pack("=BBHiHBB", family, 0, 0, 1, state, 0, 0) + attribute(1, address) + card


MAC = bytes.fromhex("0242ac110002")


@pytest.mark.parametrize(
    ("number", "name"), [(2, "REACHABLE"), (4, "STALE"), (0x20, "FAILED"), (0x80, "PERMANENT")]
)
def test_an_entry_is_read_with_its_card_and_state(number: int, name: str) -> None:
    ((one,), is_last) = neighbours.decode(message(28, entry(number, MAC)), 1, 7)
    assert (one.at_ns, one.address, one.mac, one.state, is_last) == (
        7,
        "10.0.0.1",
        "02:42:ac:11:00:02",
        name,
        False,
    )


def test_an_address_that_nobody_answered_for_has_no_card() -> None:
    ((one,), _) = neighbours.decode(message(28, entry(1, b"", socket.AF_INET6)), 1, 7)
    assert (one.address, one.mac, one.state) == ("fe80::1", "", "INCOMPLETE")


def test_a_bridge_entry_is_no_neighbour() -> None:
    body = struct.pack("=BBHiHBB", 7, 0, 0, 1, 2, 0, 0)
    assert neighbours.decode(message(28, body) + message(3, bytes(4)), 1, 7) == ([], True)


@given(st.binary(max_size=200))
def test_junk_is_refused_in_one_way(junk: bytes) -> None:
    for data in (junk, message(28, junk)):
        with contextlib.suppress(SocketListError):
            neighbours.decode(data, 1, 7)


def test_the_real_kernel_answers_and_tells_only_what_was_asked_for() -> None:
    assert neighbours.read_neighbours(("192.0.2.254",)) == ()


def test_nobody_is_asked_for_nothing() -> None:
    assert neighbours.read_neighbours(()) == ()
