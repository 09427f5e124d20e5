"""What looks like one cause of the way and may be another: nobody is accused wrongly."""

from dataclasses import replace

import pytest

from asking import asked
from evidence import MS, START, S, burst, connection, lookup, path, pause, request, silent, without
from judging import judged, suspects
from kubelag.causes.bandwidth_narrow import BandwidthNarrow
from kubelag.causes.large_packets_vanish import LargePacketsVanish
from kubelag.causes.name_server_slow import NameServerSlow
from kubelag.causes.packet_loss import PacketLoss
from kubelag.causes.round_trips_long import RoundTripsLong
from kubelag.causes.tls_slow import TlsSlow
from kubelag.model.evidence import Evidence
from kubelag.model.network import Connection


def receiving(**changes: object) -> Evidence:
    """A list that arrives evenly for three seconds."""
    even = (burst("server", (50 + 12 * n) * MS, 1448) for n in range(250))
    one = connection(0, 3_100 * MS, bursts=(burst("client", 4 * MS), *even))
    return asked(3_100 * MS, connections=(replace(one, **changes),))


def test_an_even_stream_without_a_queue_is_not_a_narrow_line() -> None:
    judgement = judged(BandwidthNarrow(), receiving(rtt_smoothed_ns=2 * MS))
    assert judgement.standing == "ruled_out"


def test_an_even_stream_whose_queue_nobody_saw_accuses_nobody() -> None:
    judgement = judged(BandwidthNarrow(), receiving(rtt_smoothed_ns=None))
    assert judgement.standing == "unknown"
    assert "round trip" in judgement.missing[0]


def test_an_even_stream_that_loses_packets_is_a_narrow_line() -> None:
    seen = receiving(rtt_smoothed_ns=None, received_again=9)
    assert "bandwidth_narrow" in suspects(seen)


def stuck(size: int) -> Connection:
    """A connection that ended while one segment was sent again in vain."""
    again = pause(10 * MS, 9_900 * MS, retransmissions=3, awaited="unclear", is_over=False)
    return connection(
        0,
        10 * S,
        secured_ns=None,
        sent_again=3,
        largest_sent_again_bytes=size,
        segment_limit_bytes=1448,
        pauses=(again,),
    )


def test_a_queue_without_a_capture_rules_no_narrow_line_out() -> None:
    one = connection(0, 3 * S, seen_by="sockets", rtt_smoothed_ns=140 * MS, received_bytes=400_000)
    seen = asked(3 * S, connections=(one,), looks=without("capture", why="no permission"))
    judgement = judged(BandwidthNarrow(), seen)
    assert judgement.standing == "unknown"
    assert judgement.missing == ("capture: no permission",)


UNTRIED = path(front=(silent(connect_ns=MS),), small_front=(), behind=(), backends=())


@pytest.mark.parametrize("untried", [None, UNTRIED], ids=["no probe", "usual size only"])
def test_loss_and_a_black_hole_that_nobody_told_apart_accuse_nobody(untried: object) -> None:
    seen = asked(10 * S, connections=(stuck(1448),), path=untried)
    if untried is None:
        seen = replace(seen, looks=without("path", why="crashed"))
    for cause in (PacketLoss(), LargePacketsVanish()):
        judgement = judged(cause, seen)
        assert judgement.standing == "unknown"
        assert judgement.missing
    assert not {"packet_loss", "large_packets_vanish"} & set(suspects(seen))


def test_small_segments_that_are_lost_are_not_lost_for_their_size() -> None:
    seen = asked(10 * S, connections=(stuck(90),), path=UNTRIED)
    assert judged(PacketLoss(), seen).standing == "suspected"
    assert judged(LargePacketsVanish(), seen).standing == "ruled_out"


def test_losses_on_a_connection_of_another_program_are_not_this_commands() -> None:
    other = connection(
        0,
        3 * S,
        server="10.9.9.9:5432",
        sent_again=9,
        pauses=(pause(10 * MS, 2 * S, retransmissions=4),),
    )
    seen = asked(3 * S, connections=(connection(0, 3 * S, 2), other))
    assert judged(PacketLoss(), seen).standing == "ruled_out"


def test_a_segment_sent_again_that_nobody_waited_for_is_told_and_not_accused() -> None:
    spurious = connection(0, 3 * S, sent_again=1, received_again=2)
    judgement = judged(PacketLoss(), asked(3 * S, connections=(spurious,)))
    assert judgement.standing == "ruled_out"
    assert "3 of 20 segments" in judgement.sentence


def test_a_slow_backend_on_a_busy_machine_that_sends_things_again_too_soon_loses_nothing() -> None:
    """It has its answer in milliseconds, and then the server takes its time."""
    hasty = pause(10 * MS, 2_900 * MS, retransmissions=1, recovered_ns=START + 16 * MS)
    seen = asked(3 * S, connections=(connection(0, 3 * S, sent_again=1, pauses=(hasty,)),))
    assert judged(PacketLoss(), seen).standing == "ruled_out"


def test_beside_a_connection_that_died_what_was_sent_again_too_soon_is_no_loss() -> None:
    unheard = pause(10 * MS, 5 * S, retransmissions=5, awaited="unclear", is_over=False)
    hasty = pause(10 * MS, 2 * S, retransmissions=1, recovered_ns=START + 16 * MS)
    seen = asked(
        6 * S,
        connections=(
            connection(0, 6 * S, sent_again=5, pauses=(unheard,)),
            connection(0, 6 * S, number=2, sent_again=1, pauses=(hasty,)),
        ),
    )
    judgement = judged(PacketLoss(), seen)
    assert judgement.standing == "ruled_out"
    assert "a connection died" in judgement.sentence


def test_a_question_to_a_name_server_that_nobody_waited_for_is_not_accused() -> None:
    """It is still open when the client has its answer from another one and goes on."""
    syncs = request("/api/v1/nodes", 0, 3 * S)
    late = lookup(0, 20 * MS), lookup(0, 2_900 * MS, server="10.0.0.3:53", kind="PTR")
    seen = replace(
        asked(3 * S, lookups=late, connections=(connection(21 * MS, 3 * S),)), requests=(syncs,)
    )
    assert judged(NameServerSlow(), seen).standing == "ruled_out"


def test_a_slow_answer_over_small_segments_is_not_the_ways_doing() -> None:
    slow = connection(
        0,
        3 * S,
        segment_limit_bytes=536,
        bursts=(burst("client", 4 * MS), burst("server", 2_990 * MS)),
    )
    found = suspects(asked(3 * S, connections=(slow,)))
    assert not {"large_packets_vanish", "round_trips_long", "packet_loss"} & set(found)


def test_a_handshake_that_the_client_computes_is_not_the_servers() -> None:
    """The server answered the hello at once; kubelag's own handshakes were quick."""
    slow = connection(
        0, 3 * S, server_hello_ns=START + 2 * MS, secured_ns=START + 2_900 * MS, rtt_ns=MS
    )
    assert judged(TlsSlow(), asked(3 * S, connections=(slow,))).standing == "unknown"


def test_round_trips_that_many_requests_share_are_counted_once() -> None:
    twenty = tuple(
        connection(
            0,
            210 * MS,
            n,
            established_ns=START + 100 * MS,
            hello_ns=None,
            secured_ns=None,
            rtt_ns=100 * MS,
            bursts=(burst("client", 100 * MS), burst("server", 200 * MS)),
        )
        for n in range(20)
    )
    seen = replace(
        asked(200 * MS, connections=twenty),
        requests=tuple(request(f"/apis/g{n}/v1", 0, 200 * MS) for n in range(20)),
    )
    judgement = judged(RoundTripsLong(), seen)
    assert judgement.arithmetic == "2.0 round trips x 100 ms = 200 ms"
