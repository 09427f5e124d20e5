"""Which frames vanish, and the program that says so to the kernel.

Pure. Only IP is ever dropped: ARP and neighbour discovery go through, so that the host stays
known to its neighbours and nobody is told that it is unreachable.

Offsets are those of an untagged Ethernet frame (IEEE 802.3), IPv4 (RFC 791), IPv6 (RFC 8200) and
TCP (RFC 9293). TCP behind an IPv6 extension header is not looked for: no host of the lab sends it.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from kubelag.errors import LabError
from kubelag.lab.network.impair import assembler as asm
from kubelag.lab.network.impair.assembler import Label, Source
from kubelag.launch.bpf import Instruction

ETHERNET_BYTES = 14
_ETHERTYPE = 12
_IPV4, _IPV6 = 0x0800, 0x86DD
_IPV4_FRAGMENT, _IPV4_PROTOCOL = ETHERNET_BYTES + 6, ETHERNET_BYTES + 9
_IPV4_SOURCE, _IPV4_TARGET = ETHERNET_BYTES + 12, ETHERNET_BYTES + 16
_IPV4_LATER_FRAGMENT = 0x1FFF  # the bits of the fragment's offset
_IPV6_NEXT, _IPV6_SOURCE, _IPV6_TARGET = 20, ETHERNET_BYTES + 8, ETHERNET_BYTES + 24
_IPV6_PAYLOAD = ETHERNET_BYTES + 40
_TCP, _ICMPV6 = 6, 58
_NEIGHBOUR_DISCOVERY = range(133, 138)  # RFC 4861: solicitations, advertisements, redirect
_DROP, _GO_ON = 2, 0xFFFFFFFF  # TC_ACT_SHOT, TC_ACT_UNSPEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The frames that vanish: those for which everything holds that is given here."""

    ratio: float = 1.0
    """The part of them that does vanish, by lot, frame for frame."""
    longer_than: int | None = None
    """Only IP packets of more bytes than that, all headers but Ethernet's included."""
    source: str = ""
    """Only packets from this address, of either family."""
    target: str = ""
    """Only packets to this address, of either family."""
    source_ports: tuple[int, ...] | None = None
    """Only TCP from one of these ports."""
    target_ports: tuple[int, ...] | None = None
    """Only TCP to one of these ports."""
    either_ports: tuple[int, ...] | None = None
    """Only TCP from or to one of these ports."""

    @property
    def is_tcp_only(self) -> bool:
        """Whether any port is asked for."""
        return (self.source_ports, self.target_ports, self.either_ports) != (None, None, None)


def drop_program(match: Match) -> tuple[Instruction, ...]:
    """The program for a clsact filter in direct-action mode.

    Raises:
        LabError: The ratio is none.
        ValueError: An address is none.
    """
    if not 0 <= match.ratio <= 1:
        raise LabError(f"{match.ratio} of the packets cannot vanish", "give a part between 0 and 1")
    return asm.assemble(_source(match))


def _source(match: Match) -> Iterator[asm.Line | Label]:
    yield asm.load(_ETHERTYPE, 2)
    yield from asm.if_equal(_IPV4, "ipv4")
    yield from asm.unless_equal(_IPV6, "go on")
    yield from _ipv6(match)
    yield asm.go("lot")
    yield Label("ipv4")
    yield from _ipv4(match)
    yield Label("lot")
    yield from _lot(match)
    yield asm.end(_DROP)
    yield Label("go on")
    yield asm.end(_GO_ON)


def _ipv4(match: Match) -> Source:
    for address, offset in ((match.source, _IPV4_SOURCE), (match.target, _IPV4_TARGET)):
        if address:
            yield from _address(address, 4, offset)
    if not match.is_tcp_only:
        return
    yield asm.load(_IPV4_PROTOCOL, 1)
    yield from asm.unless_equal(_TCP, "go on")
    yield asm.load(_IPV4_FRAGMENT, 2)  # a later fragment has no ports
    yield from asm.if_any_bit(_IPV4_LATER_FRAGMENT, "go on")
    yield asm.skip_header(ETHERNET_BYTES)
    ends = (asm.load_behind(ETHERNET_BYTES, 2), asm.load_behind(ETHERNET_BYTES + 2, 2))
    yield from _ports(match, ends, "IPv4")


def _ipv6(match: Match) -> Source:
    yield asm.load(_IPV6_NEXT, 1)
    yield from asm.unless_equal(_ICMPV6, "not discovery")
    yield asm.load(_IPV6_PAYLOAD, 1)
    for kind in _NEIGHBOUR_DISCOVERY:
        yield from asm.if_equal(kind, "go on")
    yield Label("not discovery")
    for address, offset in ((match.source, _IPV6_SOURCE), (match.target, _IPV6_TARGET)):
        if address:
            yield from _address(address, 6, offset)
    if not match.is_tcp_only:
        return
    yield asm.load(_IPV6_NEXT, 1)
    yield from asm.unless_equal(_TCP, "go on")
    ends = (asm.load(_IPV6_PAYLOAD, 2), asm.load(_IPV6_PAYLOAD + 2, 2))
    yield from _ports(match, ends, "IPv6")


def _address(address: str, family: int, offset: int) -> Source:
    """Go on unless it stands there; the other family never has it."""
    parsed = ipaddress.ip_address(address)
    if parsed.version != family:
        yield asm.go("go on")
        return
    for at in range(0, len(parsed.packed), 4):
        yield asm.load(offset + at, 4)
        yield from asm.unless_equal(int.from_bytes(parsed.packed[at : at + 4]), "go on")


def _ports(match: Match, ends: tuple[asm.Line, asm.Line], family: str) -> Source:
    """Go on unless the ports are as asked; the ends are what loads source and target."""
    wanted = (
        ("source", match.source_ports, ends[:1]),
        ("target", match.target_ports, ends[1:]),
        ("either", match.either_ports, ends),
    )
    for which, ports, looked_at in wanted:
        if ports is None:
            continue
        found = f"{family} {which} port"
        for end in looked_at:
            yield end
            for port in ports:
                yield from asm.if_equal(port, found)
        yield asm.go("go on")
        yield Label(found)


def _lot(match: Match) -> Source:
    if match.longer_than is not None:
        yield asm.load_length()
        yield from asm.unless_above(match.longer_than + ETHERNET_BYTES, "go on")
    if match.ratio < 1:
        yield asm.load_random()
        yield from asm.if_at_least(int(match.ratio * (1 << 32)), "go on")
