"""Captures written as lines: `0.250 c say 100` is a client that sends 100 bytes at 0.25 s.

Words: syn, resyn, synack, ack, say N, tell HEX (payload as given), again N (the last N bytes),
skip N (N bytes that nobody sees), keepalive, fin, rst; then deaf (acknowledges nothing new), win=N.
"""

import io
import socket
import struct
from dataclasses import dataclass, field

from kubelag.observe.capture.reading import read_packets
from kubelag.observe.capture.wanted import CaptureSeen, Wanted

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
HOSTS = {"c": "10.0.0.1", "s": "10.0.0.2"}
PORTS = {"c": 40000, "s": 6443}
BEGIN_S = 1_700_000_000
Packet = tuple[float, bytes]


@dataclass
class Talk:
    """A connection that is being written down."""

    next: dict[str, int] = field(default_factory=lambda: {"c": 4294967000, "s": 1000})
    heard: dict[str, int] = field(default_factory=lambda: {"c": 1000, "s": 4294967000})
    number: int = 1

    def packet(self, line: str) -> Packet | None:
        at, side, word, *rest = line.split()
        other = "s" if side == "c" else "c"
        size = int(rest[0]) if word in {"say", "again", "skip"} else 0
        payload = bytes.fromhex(rest[0]) if word == "tell" else bytes(size)
        seq = self.next[side]
        if word in {"say", "skip", "tell"}:
            self.next[side] += len(payload)
        elif word == "again":
            seq -= size
        elif word in {"keepalive", "resyn"}:
            seq -= 1
        elif word in {"syn", "synack", "fin"}:
            self.next[side] += 1
        if word == "skip":
            return None
        if "deaf" not in rest:
            self.heard[side] = self.next[other]
        flags = {
            "syn": SYN,
            "resyn": SYN,
            "synack": SYN | ACK,
            "fin": FIN | ACK,
            "rst": RST | ACK,
        }.get(word, ACK)
        window = next((int(one[4:]) for one in rest if one.startswith("win=")), 500)
        self.number += 1
        ack = self.heard[side] if flags & ACK else 0
        return float(at), ip(tcp(side, seq, ack, flags, window) + payload, side, self.number)


def tcp(side: str, seq: int, ack: int, flags: int, window: int) -> bytes:
    other = "s" if side == "c" else "c"
    ports = PORTS[side], PORTS[other]
    return struct.pack(">HHIIBBHHH", *ports, seq % 2**32, ack % 2**32, 0x50, flags, window, 0, 0)


def ip(body: bytes, side: str, number: int = 1, protocol: int = 6) -> bytes:
    other = "s" if side == "c" else "c"
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), number, 0x4000, 64, protocol, 0)
    return head + socket.inet_aton(HOSTS[side]) + socket.inet_aton(HOSTS[other]) + body


def packets(text: str) -> list[Packet]:
    talk = Talk()
    made = (talk.packet(line) for line in text.strip().splitlines())
    return [packet for packet in made if packet]


def pcap(
    some: list[Packet],
    *,
    order: str = "<",
    link: int = 101,
    nano: bool = False,
    snaplen: int = 65535,
) -> bytes:
    magic, unit = (0xA1B23C4D, 10**9) if nano else (0xA1B2C3D4, 10**6)
    out = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 262144, link)
    for at_s, data in some:
        units = round((BEGIN_S + at_s) * 10**6) * (unit // 10**6)
        kept = data[:snaplen]
        out += struct.pack(f"{order}IIII", units // unit, units % unit, len(kept), len(data)) + kept
    return out


def read(raw: bytes, wanted: Wanted | None = None) -> CaptureSeen:
    return read_packets(io.BytesIO(raw), wanted or Wanted(), name="test.pcap")


def seen(text: str) -> CaptureSeen:
    return read(pcap(packets(text)))


BEGIN = """
0.000 c syn
0.001 s synack
0.002 c ack
"""
