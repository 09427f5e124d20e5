"""Captures of every kind become the same connections; bad ones a clear sentence."""

import io
import os
import shutil
import struct
import subprocess
from pathlib import Path

import dns.message
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelag.errors import CaptureError
from kubelag.observe.capture.frames import CHUNK_BYTES
from kubelag.observe.capture.reading import read_capture, read_packets
from kubelag.observe.capture.wanted import Wanted
from observe.capture.script import BEGIN, BEGIN_S, HOSTS, ip, packets, pcap, read, seen

TALK = (
    BEGIN
    + "0.003 c say 600\n0.004 s say 1400\n0.004 s say 1400\n0.005 c ack\n0.3 c fin\n0.31 s fin"
)
ETHERNET = bytes.fromhex("020000000001020000000002")
CONNECTION = read(pcap(packets(TALK))).connections[0]


def linked(head: bytes, link: int, **how: object) -> bytes:
    return pcap([(at, head + data) for at, data in packets(TALK)], link=link, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "raw",
    [
        linked(b"", 101, order=">"),
        linked(b"", 101, nano=True),
        linked(b"", 228),
        linked(struct.pack("<I", 2), 0),
        linked(struct.pack(">I", 2), 108, order=">"),
        linked(bytes(14) + b"\x08\x00", 113),
        linked(b"\x08\x00" + bytes(18), 276),
        linked(bytes(12) + b"\x08\x00", 1),
        linked(bytes(12) + b"\x81\x00\x00\x07\x08\x00", 1),
        linked(bytes(12) + b"\x88\xa8\x00\x07\x81\x00\x00\x08\x08\x00", 1),
        linked(bytes(12) + b"\x08\x00", 1, snaplen=60),
    ],
)
def test_every_layout_gives_the_same_connection(raw: bytes) -> None:
    assert read(raw).connections == (CONNECTION,)


def test_the_connection_is_as_it_was_written() -> None:
    assert (CONNECTION.client, CONNECTION.server) == ("10.0.0.1:40000", "10.0.0.2:6443")
    assert (CONNECTION.sent_bytes, CONNECTION.received_bytes) == (600, 2800)
    assert (CONNECTION.sent_segments, CONNECTION.received_segments) == (1, 2)
    assert (CONNECTION.rtt_ns, CONNECTION.ending) == (1_000_000, "client_fin")


@pytest.mark.real
@pytest.mark.parametrize("kind", ["pcapng", "nsecpcap", "nseclibpcap"])
def test_what_editcap_converts_reads_the_same(kind: str, tmp_path: Path) -> None:
    if shutil.which("editcap") is None:
        pytest.skip("editcap is not installed")
    (tmp_path / "a").write_bytes(pcap(packets(TALK)))
    argv = ["editcap", "-F", kind, tmp_path / "a", tmp_path / "b"]
    if subprocess.run(argv, capture_output=True, check=False).returncode:
        pytest.skip(f"this editcap does not write {kind}")
    assert read_capture(tmp_path / "b", Wanted()).connections == (CONNECTION,)


def test_hardware_addresses_that_change_tell_that_an_address_moved() -> None:
    macs = [bytes([2, 0, 0, 0, 0, 9]), bytes([2, 0, 0, 0, 0, 7])]
    some = packets(TALK)
    raw = [
        (at, bytes(6) + (macs[at > 0.1] if data[15] == 2 else bytes(6)) + b"\x08\x00" + data)
        for at, data in some
    ]
    assert read(pcap(raw, link=1)).connections[0].macs == ("02:00:00:00:00:09", "02:00:00:00:00:07")


def test_the_same_packet_on_two_interfaces_counts_once() -> None:
    twice = [
        (at + later, b"\x08\x00\x00\x00" + struct.pack(">I", index) + bytes(12) + data)
        for at, data in packets(TALK)
        for index, later in ((2, 0.0), (3, 0.000004))
    ]
    twice.sort(key=lambda one: one[0])
    (connection,) = read(pcap(twice, link=276)).connections
    assert connection == CONNECTION


def test_the_same_packet_from_a_mirror_port_is_no_retransmission() -> None:
    twice = [(at + later, data) for at, data in packets(TALK) for later in (0.0, 0.000004)]
    twice.sort(key=lambda one: one[0])
    (connection,) = read(pcap(twice)).connections
    assert (connection.sent_again, connection.received_again) == (0, 0)
    assert connection.sent_bytes == 600


def test_a_capture_that_begins_in_the_middle_knows_the_server_by_its_port() -> None:
    (connection,) = seen("0.1 s say 10\n0.2 c say 20\n0.201 s ack").connections
    assert (connection.server, connection.syn_ns) == ("10.0.0.2:6443", None)
    assert (connection.sent_bytes, connection.received_bytes) == (20, 10)


def test_what_was_acknowledged_and_never_seen_is_missing() -> None:
    (connection,) = seen(
        BEGIN + "0.1 c say 9\n0.11 s skip 700\n0.12 s say 5\n0.13 c ack"
    ).connections
    assert (connection.missing_bytes, connection.received_bytes) == (700, 5)


def test_a_lost_segment_that_comes_later_was_sent_again() -> None:
    text = BEGIN + "0.1 c say 9\n0.11 s skip 700\n0.12 s say 5\n"
    raw = packets(text + "0.13 c ack deaf\n0.4 s again 705\n0.41 c ack")
    (connection,) = read(pcap(raw)).connections
    assert (connection.received_again, connection.missing_bytes) == (1, 0)
    assert connection.received_bytes == 705


def test_what_comes_after_an_acknowledgement_had_run_ahead_of_it_is_new() -> None:
    text = "0.1 c say 9\n0.11 s ack\n0.2 c skip 700\n0.21 c ack\n"
    (connection,) = read(pcap(packets(BEGIN + text + "0.4 c again 700\n0.41 s say 5"))).connections
    assert (connection.sent_bytes, connection.missing_bytes) == (709, 0)
    assert connection.sent_again == 1
    assert [pause.start_ns for pause in connection.pauses] == [BEGIN_S * 10**9 + 100_000_000]


def test_a_new_syn_between_the_same_endpoints_is_a_new_connection() -> None:
    later = [
        (at + 1, data) for at, data in packets(TALK.replace("0.000 c syn", "0 c skip 7\n0 c syn"))
    ]
    found = read(pcap(packets(TALK) + later)).connections
    assert [one.sent_bytes for one in found] == [600, 600]


def test_only_the_wanted_servers_are_read() -> None:
    wanted = Wanted(servers=frozenset({"10.9.9.9:6443"}))
    nothing = read(pcap(packets(TALK)), wanted)
    assert nothing.connections == ()
    assert nothing.file.notes == ("It has no connection to 10.9.9.9:6443",)
    there = read(pcap(packets(TALK)), Wanted(servers=frozenset({"10.0.0.2:6443"})))
    assert there.connections == (CONNECTION,)


def test_a_clock_that_jumps_back_is_noted_and_no_duration_is_negative() -> None:
    some = packets(TALK)
    raw = [(at - (3600 if number > 4 else 0), data) for number, (at, data) in enumerate(some)]
    found = read(pcap(raw))
    assert any("jumped back by 3600 s" in note for note in found.file.notes)
    assert found.connections[0].first_ns < found.connections[0].last_ns
    assert all(one.length_ns >= 0 for one in found.connections[0].pauses)


def test_zero_windows_are_counted_each_time_they_close() -> None:
    text = "0.1 c ack win=0\n0.11 c ack win=0\n0.12 c ack\n0.13 s ack win=0\n0.14 s say 5"
    assert seen(BEGIN + text).connections[0].zero_windows == 2


def test_questions_are_matched_with_their_answers() -> None:
    question = dns.message.make_query("api.example.", "A", id=7)
    answer = dns.message.make_response(question)
    answer.answer.append(dns.rrset.from_text("api.example.", 5, "IN", "A", "192.0.2.1"))
    ports = struct.pack(">HH", 5555, 53), struct.pack(">HH", 53, 5555)
    asked, told = (
        ip(pair + struct.pack(">HH", 8 + len(wire), 0) + wire, side, protocol=17)
        for pair, wire, side in zip(
            ports, (question.to_wire(), answer.to_wire()), "cs", strict=True
        )
    )
    (lookup,) = read(pcap([(0, asked), (5, asked), (5.1, told)])).lookups
    assert (lookup.name, lookup.kind, lookup.code) == ("api.example", "A", "NOERROR")
    assert (lookup.addresses, lookup.asked_times) == (("192.0.2.1",), 2)
    assert lookup.server == f"{HOSTS['s']}:53"
    assert lookup.answered_ns is not None
    assert lookup.answered_ns - lookup.asked_ns == 5_100_000_000


def test_a_router_that_says_too_big_is_heard_with_its_mtu() -> None:
    some = packets(TALK)
    error = ip(struct.pack(">BBHHH", 3, 4, 0, 0, 1400) + some[3][1][:28], "s", protocol=1)
    (message,) = read(pcap([*some, (0.5, error)])).messages
    assert (message.kind, message.mtu_bytes, message.about) == ("too_big", 1400, "10.0.0.2:6443")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "is empty"),
        (b"\x1f\x8b\x08\x00", "compressed"),
        (b"hello world, this is text", "neither pcap nor pcapng"),
        (pcap([])[:20], "ends within its header"),
        (pcap([(0, bytes(60))], link=147), "link type 147"),
    ],
)
def test_what_is_no_capture_is_refused_with_a_sentence(raw: bytes, words: str) -> None:
    with pytest.raises(CaptureError, match=words):
        read(raw)


def test_a_capture_that_was_cut_is_read_up_to_there() -> None:
    found = read(pcap(packets(TALK))[:-3])
    assert "cut short" in found.file.notes[0]
    assert found.file.packets == len(packets(TALK)) - 1


@pytest.mark.parametrize("zeros", [16, 1000, 100_000])
def test_zeros_after_the_last_packet_are_damage_and_no_packets(zeros: int) -> None:
    whole = pcap(packets(BEGIN))
    found = read(whole + bytes(zeros))
    assert (found.file.packets, len(found.connections)) == (3, 1)
    assert found.file.notes == (
        f"It is damaged at byte {len(whole):,}; what comes after was not read",
    )


def test_a_pipe_that_nobody_writes_to_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CaptureError, match="no regular file"):
        read_capture(tmp_path / "pipe", Wanted())


@settings(deadline=None)
@given(st.data())
def test_damage_gives_a_capture_or_a_clear_error(data: st.DataObject) -> None:
    raw = bytearray(linked(bytes(12) + b"\x08\x00", 1))
    for _ in range(data.draw(st.integers(1, 12))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    _read_anyhow(bytes(raw[: data.draw(st.integers(0, len(raw)))]))


@settings(deadline=None)
@given(st.data())
def test_damaged_blocks_give_a_capture_or_a_clear_error(data: st.DataObject) -> None:
    raw = bytearray(blocks())
    for _ in range(data.draw(st.integers(1, 12))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    _read_anyhow(bytes(raw[: data.draw(st.integers(0, len(raw)))]))


def _read_anyhow(raw: bytes) -> None:
    try:
        found = read(raw)
    except CaptureError:
        return
    for one in found.connections:
        assert one.first_ns <= one.last_ns
        assert all(pause.start_ns <= pause.end_ns for pause in one.pauses)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(f"{order}I", len(body) + 12)
    return struct.pack(f"{order}I", kind) + size + body + size


def blocks() -> bytes:
    """Two sections of both byte orders, two interfaces of different resolution, a drop count."""
    out = b""
    half = len(packets(TALK)) // 2
    for order, some in (("<", packets(TALK)[:half]), (">", packets(TALK)[half:])):
        out += block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)
        for resolution in (6, 9):
            options = struct.pack(f"{order}HHB3xHH", 9, 1, resolution, 0, 0)
            out += block(1, struct.pack(f"{order}HHI", 101, 0, 0) + options, order)
        for number, (at, data) in enumerate(some):
            units = round((1_700_000_000 + at) * 10**6) * (1000 if number % 2 else 1)
            head = (number % 2, units >> 32, units & 0xFFFFFFFF, len(data), len(data))
            out += block(6, struct.pack(f"{order}IIIII", *head) + data, order)
        drops = struct.pack(f"{order}III", 0, 0, 0) + struct.pack(f"{order}HHQHH", 5, 8, 3, 0, 0)
        out += block(5, drops, order)
    return out


def test_sections_and_interfaces_keep_their_own_clocks_and_orders() -> None:
    found = read(blocks())
    assert found.connections == (CONNECTION,)
    assert found.file.lost_packets == 6


def test_many_small_pieces_give_what_one_large_one_gives() -> None:
    some = [(at + turn, data) for turn in range(600) for at, data in packets(TALK)]
    raw = pcap(some)
    large = read_packets(io.BytesIO(raw), Wanted(), chunk_bytes=8 * CHUNK_BYTES)
    small = read_packets(io.BytesIO(raw), Wanted(), chunk_bytes=1)
    assert large.connections == small.connections
    assert len(raw) > 2_100_000
