"""Two captures of the same connections: clocks, losses, and who was silent."""

import pytest

from kubelag.errors import CaptureError
from kubelag.model.network import Comparison
from kubelag.observe.capture.comparing import compare
from observe.capture.script import BEGIN, Packet, packets, pcap, read

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
