"""Packets of every kind: IPv6 with extensions, fragments, the older blocks of pcapng, TLS 1.2."""

import socket
import struct

import pytest

from kubelag.observe.capture.wanted import CaptureSeen
from observe.capture.script import BEGIN, BEGIN_S, Packet, packets, pcap, read, seen

TALK = BEGIN + "0.003 c say 600\n0.004 s say 1400\n0.005 c ack\n0.3 c fin\n0.31 s fin"
PLAIN = seen(TALK).connections[0]
HOSTS6 = {1: "2001:db8::1", 2: "2001:db8::2"}
OPTIONS = bytes([6, 0, 1, 4, 0, 0, 0, 0])
"""Of IPv6: TCP follows; one option that pads."""


def version6(data: bytes, extension: bytes = b"", kind: int = 6) -> bytes:
    """The same segment over IPv6."""
    body = extension + data[20:]
    head = struct.pack(">IHBB", 6 << 28, len(body), kind, 64)
    ends = (socket.inet_pton(socket.AF_INET6, HOSTS6[data[at]]) for at in (15, 19))
    return head + b"".join(ends) + body


@pytest.mark.parametrize(
    ("extension", "kind"),
    [
        (b"", 6),
        (OPTIONS, 0),
        (bytes([43, *OPTIONS[1:]]) + bytes([60, *OPTIONS[1:]]) + OPTIONS, 0),
        (bytes([6, 1]) + bytes(10), 51),
        (bytes([6, 0, 0, 0, 0, 0, 0, 9]), 44),
    ],
    ids=["none", "hop by hop", "three of them", "authentication", "whole in one fragment"],
)
def test_version_6_is_read_past_its_extensions(extension: bytes, kind: int) -> None:
    raw = [(at, version6(data, extension, kind)) for at, data in packets(TALK)]
    (connection,) = read(pcap(raw)).connections
    assert (connection.client, connection.server) == ("[2001:db8::1]:40000", "[2001:db8::2]:6443")
    assert (connection.sent_bytes, connection.received_bytes) == (600, 1400)
    assert (connection.rtt_ns, connection.ending) == (PLAIN.rtt_ns, "client_fin")


def test_extensions_without_end_are_left_alone() -> None:
    chain = bytes([0, *OPTIONS[1:]]) * 100
    raw = [(at, version6(data, chain, 0)) for at, data in packets(TALK)]
    assert read(pcap(raw)).connections == ()


def test_tags_without_end_are_left_alone() -> None:
    head = bytes(12) + b"\x81\x00\x00\x07" * 50 + b"\x08\x00"
    assert read(pcap([(at, head + data) for at, data in packets(TALK)], link=1)).connections == ()


def fragments(data: bytes, cut: int, *, first: bool = True) -> list[bytes]:
    """One IPv4 packet in two pieces."""
    pieces = []
    for offset, body, has_more in ((0, data[20:cut], 0x2000), (cut - 20, data[cut:], 0)):
        total = struct.pack(">H", 20 + len(body))
        field = struct.pack(">H", has_more | offset // 8)
        pieces.append(data[:2] + total + data[4:6] + field + data[8:20] + body)
    return pieces if first else pieces[1:]


def test_a_packet_in_fragments_counts_once_and_whole() -> None:
    raw: list[Packet] = []
    for at, data in packets(TALK):
        parts = fragments(data, 220) if len(data) > 1000 else [data]
        raw += [(at, part) for part in parts]
    (connection,) = read(pcap(raw)).connections
    assert (connection.received_bytes, connection.received_segments) == (1400, 1)
    assert connection.received_again == 0


def test_a_fragment_whose_first_one_was_not_seen_is_missing() -> None:
    raw: list[Packet] = []
    for at, data in packets(TALK):
        parts = fragments(data, 220, first=False) if len(data) > 1000 else [data]
        raw += [(at, part) for part in parts]
    (connection,) = read(pcap(raw)).connections
    assert (connection.received_bytes, connection.missing_bytes) == (0, 1400)


def block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def section(snaplen: int = 0) -> bytes:
    begin = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    return begin + block(1, struct.pack("<HHI", 101, 0, snaplen))


def test_simple_blocks_have_packets_without_moments() -> None:
    raw = section(64) + b"".join(
        block(3, struct.pack("<I", len(data)) + data[:64]) for _, data in packets(TALK)
    )
    found = read(raw)
    assert found.connections[0].sent_bytes == 600
    assert found.connections[0].received_bytes == 1400
    assert "It has packets without a moment; they count as of 1970" in found.file.notes


def old_block(at: float, data: bytes, drops: int) -> bytes:
    units = round((BEGIN_S + at) * 10**6)
    head = struct.pack("<HHIIII", 0, drops, units >> 32, units & 0xFFFFFFFF, len(data), len(data))
    return block(2, head + data)


def test_the_obsolete_packet_block_reads_the_same() -> None:
    raw = section() + b"".join(old_block(at, data, 7) for at, data in packets(TALK))
    assert read(raw).connections == (PLAIN,)


@pytest.mark.parametrize("drops", [0, 5, 2**40])
def test_what_the_kernel_dropped_is_told(drops: int) -> None:
    options = struct.pack("<HHQHHQHH", 5, 8, drops, 7, 8, 3, 0, 0)
    raw = section() + b"".join(old_block(at, data, 0) for at, data in packets(TALK))
    # The counts are cumulative: of two statistics of an interface the later one counts.
    earlier = block(5, struct.pack("<III", 0, 0, 0) + struct.pack("<HHQHH", 5, 8, 0, 0, 0))
    found = read(raw + earlier + block(5, struct.pack("<III", 0, 0, 0) + options))
    assert found.file.lost_packets == drops + 3


HELLO = "160301000401000000"
SERVER_HELLO = "160303002c0200002803030" + "0" * 63 + "00c02f000000"
"""TLS 1.2: no version in an extension."""
CHANGE, FINISHED = "140303000101", "1603030028" + "00" * 40


def secured(rest: str) -> CaptureSeen:
    return seen(
        BEGIN
        + f"0.003 c tell {HELLO}\n0.004 s tell {SERVER_HELLO}\n0.005 c tell {CHANGE}{FINISHED}\n"
        + f"0.006 s tell {CHANGE}{FINISHED}\n{rest}"
    )


def test_a_handshake_of_version_1_2_is_through_with_the_servers_change() -> None:
    (connection,) = secured("0.007 c say 300\n0.5 s say 900\n0.59 c say 300").connections
    assert connection.secured_ns == BEGIN_S * 10**9 + 6_000_000
    assert connection.tls_ns == 3_000_000
    assert [pause.awaited for pause in connection.pauses] == ["server"]


def test_a_hello_whose_first_half_was_lost_is_read_when_it_came() -> None:
    first, second = SERVER_HELLO[:20], SERVER_HELLO[20:]
    text = (
        f"0.003 c tell {HELLO}\n0.004 s skip {len(first) // 2}\n0.0041 s tell {second}{CHANGE}\n"
        f"0.3 s again {(len(SERVER_HELLO) + len(CHANGE)) // 2}\n0.301 c tell {CHANGE}\n"
    )
    raw = []
    for at, data in packets(BEGIN + text):
        whole = bytes.fromhex(first + second + CHANGE)
        raw.append((at, data[: -len(whole)] + whole if at == 0.3 else data))
    (connection,) = read(pcap(raw)).connections
    assert connection.server_hello_ns == BEGIN_S * 10**9 + 300_000_000
    assert connection.secured_ns == BEGIN_S * 10**9 + 301_000_000
