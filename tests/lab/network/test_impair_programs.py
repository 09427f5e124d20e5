"""The programs that drop frames, run by a tiny interpreter on frames of every kind."""

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.errors import LabError
from kubelag.lab.network.impair import assembler as asm
from kubelag.lab.network.impair.drops import Match, drop_program
from kubelag.launch.bpf import Instruction

DROP, GO_ON = 2, 0xFFFFFFFF
FAMILIES = ("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")
ARP = bytes(12) + b"\x08\x06" + bytes(28)
RANDOM = 0xFFFFF038
PORT = 8443


def decide(program: tuple[Instruction, ...], frame: bytes, lot: int = 0) -> int:
    """What the kernel would do; a read beyond the frame's end returns 0, as in the kernel."""
    accumulator = index = at = 0
    while True:
        one = program[at]
        at += 1
        if one.code in {0x30, 0x28, 0x20, 0x50, 0x48, 0x40} and one.operand != RANDOM:
            width = {0x10: 1, 0x08: 2, 0x00: 4}[one.code & 0x18]
            start = one.operand + (index if one.code & 0x40 else 0)
            if start + width > len(frame):
                return 0
            accumulator = int.from_bytes(frame[start : start + width])
        elif one.code == 0x20:
            accumulator = lot
        elif one.code == 0x80:
            accumulator = len(frame)
        elif one.code == 0xB1:
            index = 4 * (frame[one.operand] & 15)
        elif one.code == 0x05:
            at += one.operand
        elif one.code == 0x06:
            return one.operand
        else:
            holds = {
                0x15: accumulator == one.operand,
                0x25: accumulator > one.operand,
                0x35: accumulator >= one.operand,
                0x45: bool(accumulator & one.operand),
            }[one.code]
            at += one.if_true if holds else one.if_false


def frame(  # noqa: PLR0913 - a builder
    source: str,
    target: str,
    *,
    ports: tuple[int, int] = (40000, PORT),
    protocol: int = 6,
    options: int = 0,
    fragment: int = 0,
    size: int = 100,
) -> bytes:
    """An Ethernet frame; `size` is that of the IP packet."""
    ends = ipaddress.ip_address(source).packed + ipaddress.ip_address(target).packed
    segment = struct.pack(">HH", *ports)
    if len(ends) == 8:
        head = struct.pack(
            ">BxHxxHBBxx", 0x45 + options, size, fragment, 64, protocol
        )  # version and length of the header, …
        packet = head + ends + b"\x01" * 4 * options + segment
        return bytes(12) + b"\x08\x00" + packet.ljust(size, b"\0")
    packet = struct.pack(">IHBB", 6 << 28, size - 40, protocol, 64) + ends + segment
    return bytes(12) + b"\x86\xdd" + packet.ljust(size, b"\0")


def drops(match: Match, dropped: bytes, *passed: bytes) -> bool:
    """Whether the match drops the first frame, and none of the others."""
    program = drop_program(match)
    return decide(program, dropped) == DROP and all(decide(program, one) == GO_ON for one in passed)


families = pytest.mark.parametrize(("here", "there"), FAMILIES, ids=["IPv4", "IPv6"])


@families
def test_ip_is_dropped_and_arp_is_not(here: str, there: str) -> None:
    assert drops(Match(), frame(here, there), ARP)
    assert drops(Match(), frame(here, there, protocol=17), ARP)


@pytest.mark.parametrize("kind", range(133, 138))
def test_neighbour_discovery_goes_through(kind: int) -> None:
    discovery = frame(*FAMILIES[1], protocol=58, ports=(kind << 8, 0))
    echo = frame(*FAMILIES[1], protocol=58, ports=(128 << 8, 0))
    assert drops(Match(), echo, discovery)


@families
def test_an_address_is_told_from_its_peer_and_from_the_other_family(here: str, there: str) -> None:
    other_family = FAMILIES[0] if ":" in here else FAMILIES[1]
    passed = frame(there, here), frame(*other_family)
    assert drops(Match(target=there), frame(here, there), *passed)
    assert drops(Match(source=here), frame(here, there), *passed)


@families
def test_ports_are_told_by_the_end_at_which_they_are(here: str, there: str) -> None:
    to, back = frame(here, there), frame(there, here, ports=(PORT, 40000))
    other = frame(here, there, ports=(40000, 443))
    assert drops(Match(target_ports=(53, PORT)), to, back, other)
    assert drops(Match(source_ports=(53, PORT)), back, to, other)
    assert drops(Match(either_ports=(53, PORT)), back, other)
    assert drops(Match(either_ports=(53, PORT)), to, other)
    assert drops(Match(source_ports=(40000,), target_ports=(PORT,)), to, back, other)


@families
def test_a_port_of_udp_is_no_port_of_tcp(here: str, there: str) -> None:
    same_numbers = frame(here, there, protocol=17)
    assert drops(Match(target_ports=(PORT,)), frame(here, there), same_numbers)


@given(options=st.integers(0, 10))
def test_ports_are_found_behind_options(options: int) -> None:
    assert drops(Match(target_ports=(PORT,)), frame(*FAMILIES[0], options=options))


def test_a_later_fragment_has_no_ports() -> None:
    later = frame(*FAMILIES[0], fragment=1)
    first = frame(*FAMILIES[0], fragment=0x2000)  # more fragments follow
    assert drops(Match(target_ports=(PORT,)), first, later)


@families
@given(port=st.integers(1, 65535))
def test_hundreds_of_ports_are_no_jump_too_far(here: str, there: str, port: int) -> None:
    program = drop_program(Match(source_ports=tuple(range(40000, 40400))))
    found = decide(program, frame(here, there, ports=(port, PORT)))
    assert found == (DROP if 40000 <= port < 40400 else GO_ON)


def test_no_ports_are_nothing() -> None:
    assert decide(drop_program(Match(source_ports=())), frame(*FAMILIES[0])) == GO_ON


@families
def test_the_length_is_that_of_the_ip_packet(here: str, there: str) -> None:
    match = Match(longer_than=1400)
    assert drops(match, frame(here, there, size=1401), frame(here, there, size=1400))


@given(ratio=st.floats(0, 1), lot=st.integers(0, 0xFFFFFFFF))
def test_the_lot_falls_as_often_as_asked(ratio: float, lot: int) -> None:
    decided = decide(drop_program(Match(ratio=ratio)), frame(*FAMILIES[0]), lot)
    assert decided == (DROP if lot < int(ratio * (1 << 32)) else GO_ON)


@pytest.mark.parametrize("ratio", [-0.1, 1.1])
def test_a_ratio_that_is_none_is_refused(ratio: float) -> None:
    with pytest.raises(LabError, match="between 0 and 1"):
        drop_program(Match(ratio=ratio))


def test_a_jump_back_is_refused() -> None:
    with pytest.raises(ValueError, match="back there"):
        asm.assemble([asm.Label("back there"), asm.load_length(), asm.go("back there")])


def test_a_program_is_written_as_tc_reads_it() -> None:
    program = asm.assemble([asm.load(12, 2), *asm.if_equal(7, "x"), asm.Label("x"), asm.end(2)])
    assert asm.bytecode(program) == "4,40 0 0 12,21 0 1 7,5 0 0 0,6 0 0 2"
