"""Two captures of the same connections: clocks, losses, and who was silent."""

import pytest

from kubelag.errors import CaptureError
from kubelag.model.network import Comparison
from kubelag.observe.capture.comparing import compare
from observe.capture.script import BEGIN, BEGIN_S, Packet, ip, packets, pcap, read

WAY_S = 0.0002
SHIFT_S = 3600.5


def compared(
    text: str, slow: dict[int, float] | None = None, lose: tuple[int, ...] = ()
) -> Comparison:
    """The far end sees the client's packets later and its own earlier, by another clock."""
    near = packets(BEGIN + text)
    far: list[Packet] = []
    for number, (at, data) in enumerate(near):
        way = WAY_S + (slow or {}).get(number, 0.0)
        is_client = data[15] == 1
        if number not in lose:
            far.append((at + (way if is_client else -way) + SHIFT_S, data))
    return compare(read(pcap(near)), read(pcap(sorted(far))))


QUIET = "0.003 c say 100\n0.004 s say 500\n0.005 c ack\n2.1 c say 100\n2.101 s say 500"


def test_the_clocks_are_set_by_what_crossed_in_both_directions() -> None:
    found = compared(QUIET)
    assert abs(found.offset_ns + SHIFT_S * 1e9) <= found.offset_error_ns + 1000
    assert found.matched_segments == 4
    assert found.forth_ns[0] == pytest.approx(WAY_S * 1e9, abs=2000)


def test_a_silent_client_is_named_with_its_time() -> None:
    found = compared(QUIET)
    assert [one.silent for one in found.silences] == ["client"]
    assert found.sentence.startswith("The packets were not late")
    assert found.sentence.endswith("the client was silent for 2.10 s")


def test_words_that_were_long_on_the_way_are_the_networks() -> None:
    text = "0.003 c say 100\n0.005 s say 500\n0.006 c ack\n0.01 c say 99\n0.9 s say 500"
    found = compared(text, slow={6: 0.0, 7: 0.85})
    assert [one.silent for one in found.silences] == ["network"]
    assert "Packets were late" in found.sentence


def test_a_segment_that_never_arrived_is_lost() -> None:
    text = "0.003 c say 100\n0.004 s say 50\n0.005 c say 30\n0.305 c again 30\n0.307 s say 9"
    found = compared(text, lose=(5,))
    assert (found.lost_forth, found.lost_back) == (1, 0)
    assert [one.silent for one in found.silences] == ["network"]


def test_captures_of_different_times_are_refused() -> None:
    near = read(pcap(packets(BEGIN + QUIET)))
    other = read(pcap(packets("0.1 c skip 99999\n0.1 s skip 5555\n0.2 c say 10\n0.3 s say 20")))
    with pytest.raises(CaptureError, match="shares no segment"):
        compare(near, other)


HELLO = "16030100260100002203039" + "7" * 63
"""Up to and with the random, by which a connection is known."""
SECURE = f"0.003 c tell {HELLO}\n0.004 s say 600\n0.005 c ack\n"


def behind_a_balancer(near: list[Packet], hello: str) -> list[Packet]:
    """Other addresses and ports, and other numbers: what a proxy of connections opens itself."""
    far = []
    for at, data in packets(BEGIN + SECURE.replace(HELLO, hello) + "2.1 c say 99\n2.101 s say 500"):
        is_client = data[15] == 1
        ends = (b"\x0a\x09\x00\x07", b"\x0a\x09\x00\x08")
        ports = (b"\x9c\x41", b"\x1a\xd0")
        step = 1 if is_client else -1
        sequence, heard = (
            (int.from_bytes(data[start : start + 4], "big") + 77_777) % 2**32 for start in (24, 28)
        )
        far.append((
            at + WAY_S * step + SHIFT_S,
            data[:12] + b"".join(ends[::step]) + b"".join(ports[::step])
            + sequence.to_bytes(4, "big") + heard.to_bytes(4, "big") + data[32:],
        ))  # fmt: skip
    assert len(far) == len(near)
    return sorted(far)


def test_a_connection_behind_a_balancer_is_known_by_its_tls_random() -> None:
    near = packets(BEGIN + SECURE + "2.1 c say 99\n2.101 s say 500")
    found = compare(read(pcap(near)), read(pcap(behind_a_balancer(near, HELLO))))
    assert (found.connections, found.matched_segments) == (1, 4)
    assert abs(found.offset_ns + SHIFT_S * 1e9) <= found.offset_error_ns + 1000
    assert [one.silent for one in found.silences] == ["client"]


def test_another_random_is_another_connection() -> None:
    near = packets(BEGIN + SECURE + "2.1 c say 99\n2.101 s say 500")
    other = HELLO[:-1] + "8"
    with pytest.raises(CaptureError, match="shares no segment"):
        compare(read(pcap(near)), read(pcap(behind_a_balancer(near, other))))


@pytest.mark.parametrize("per_million", [0, 200, -200])
def test_a_clock_that_drifts_is_said(per_million: int) -> None:
    text = "".join(f"{second}.003 c say 100\n{second}.004 s say 500\n" for second in range(1, 61))
    near = packets(BEGIN + text)
    far = [
        (at * (1 + per_million / 1e6) + (WAY_S if data[15] == 1 else -WAY_S) + SHIFT_S, data)
        for at, data in near
    ]
    found = compare(read(pcap(near)), read(pcap(far)))
    assert ("drift" in found.sentence) == bool(per_million)
    for median_ns, largest_ns in (found.forth_ns, found.back_ns):
        assert median_ns == pytest.approx(WAY_S * 1e9, abs=20_000)
        assert largest_ns == pytest.approx(WAY_S * 1e9, abs=20_000)


LONG = QUIET + "".join(
    f"\n{second}.003 c say 100\n{second}.004 s say 500\n{second}.005 c ack"
    for second in range(3, 9)
)
SHARED = [(0.0, 4.5), (2.05, 99.0), (2.5, 6.5)]


def moved(some: list[Packet]) -> list[Packet]:
    """As the far end sees them."""
    way = [(at + (WAY_S if data[15] == 1 else -WAY_S) + SHIFT_S, data) for at, data in some]
    return sorted(way)


@pytest.mark.parametrize("span", SHARED)
@pytest.mark.parametrize("is_near_cut", [False, True])
def test_what_only_one_capture_covers_is_neither_lost_nor_unsaid(
    span: tuple[float, float], is_near_cut: bool
) -> None:
    near = packets(BEGIN + LONG)
    part = [(at, data) for at, data in near if span[0] <= at <= span[1]]
    ends = (part, moved(near)) if is_near_cut else (near, moved(part))
    found = compare(read(pcap(ends[0])), read(pcap(ends[1])))
    assert (found.lost_forth, found.lost_back) == (0, 0)
    assert {one.silent for one in found.silences} == {"client"}
    if not is_near_cut:
        assert "that both captures cover" in found.sentence


def test_what_a_capture_missed_and_its_end_acknowledged_was_not_lost() -> None:
    found = compared(QUIET, lose=(3,))
    assert (found.lost_forth, found.lost_back) == (0, 0)


def test_a_syn_that_was_lost_is_the_networks() -> None:
    text = "0 c syn\n1 c resyn\n1.001 s synack\n1.002 c ack\n1.003 c say 100\n1.004 s say 50"
    other = (-0.5, ip(bytes(12), "c", protocol=17))  # so that both are known to be on
    near = packets(text)
    found = compare(read(pcap([other, *near])), read(pcap(moved([other, *near[1:]]))))
    assert [one.silent for one in found.silences] == ["network"]
    assert found.lost_forth == 1


def test_captures_that_were_exchanged_are_refused() -> None:
    near = packets(BEGIN + QUIET)
    with pytest.raises(CaptureError, match="were seen there before they left here"):
        compare(read(pcap(moved(near))), read(pcap(near)))


@pytest.mark.parametrize("shift_s", [0.0, 7200.0])
def test_two_captures_of_one_place_are_refused(shift_s: float) -> None:
    near = packets(BEGIN + QUIET)
    same = [(at + shift_s, data) for at, data in near]
    with pytest.raises(CaptureError, match="taken at the same place"):
        compare(read(pcap(near)), read(pcap(same)))


def test_a_clock_that_was_set_meanwhile_is_refused() -> None:
    near = packets(BEGIN + LONG)
    far = [(at + (3.0 if at > SHIFT_S + 5.5 else 0.0), data) for at, data in moved(near)]
    with pytest.raises(CaptureError, match="a clock was set"):
        compare(read(pcap(near)), read(pcap(far)))


@pytest.mark.parametrize(("begun_s", "is_said"), [(-1.5, True), (-0.05, False)])
def test_what_part_of_the_run_the_captures_cover_is_said(begun_s: float, *, is_said: bool) -> None:
    """A silence before the first packet is in no capture: nobody may be cleared of it."""
    text = "".join(f"0.{tenth}04 c say 9\n0.{tenth}05 s say 9\n" for tenth in range(10))
    near = packets(BEGIN + text)
    run = round((BEGIN_S + begun_s) * 1e9), round((BEGIN_S + 0.95) * 1e9)
    found = compare(read(pcap(near)), read(pcap(moved(near))), run)
    assert "nobody was silent" in found.sentence
    part = ", in the 905 ms of 2.45 s that both captures cover"
    assert found.sentence.endswith(part) == is_said
