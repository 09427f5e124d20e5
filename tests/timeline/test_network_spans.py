"""What a request's time was spent on along its way."""

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import MS, START, S, burst, connection, evidence, pause, request, unanswered
from kubelag.model.evidence import Evidence
from kubelag.model.network import Burst
from kubelag.timeline import factors
from kubelag.timeline.attribute import attribute
from kubelag.timeline.network_spans import connection_spans
from kubelag.timeline.spans import answer_times_ns, spans_of

if TYPE_CHECKING:
    from kubelag.model.attribution import Span


def told(spans: "list[Span] | tuple[Span, ...]") -> list[tuple[str, int, int]]:
    """Factor, begin and end, in milliseconds of the run."""
    return [
        (span.factor, (span.start_ns - START) // MS, (span.end_ns - START) // MS) for span in spans
    ]


def one_request(took_ns: int, *connections: object, wall_ns: int = 20 * S) -> Evidence:
    return evidence(
        wall_ns, requests=(request("/api/v1/nodes", 0, took_ns),), connections=connections
    )


def test_a_slow_handshake_is_not_the_servers_answer() -> None:
    slow = connection(0, 3 * S, secured_ns=START + 2_001 * MS, rtt_ns=None)
    found = one_request(2_100 * MS, slow)
    assert told(spans_of(found)) == [
        (factors.CONNECT, 0, 1),
        (factors.TLS, 1, 2_001),
        (factors.TARGET, 2_001, 2_100),
    ]
    assert [took_ns for _, took_ns in answer_times_ns(found)] == [99 * MS]


def test_each_question_and_answer_costs_a_round_trip() -> None:
    far = connection(
        0,
        S,
        established_ns=START + 100 * MS,
        hello_ns=None,
        secured_ns=None,
        rtt_ns=100 * MS,
        bursts=(
            burst("client", 100 * MS),
            burst("server", 200 * MS),
            burst("client", 200 * MS),
            burst("server", 450 * MS),
        ),
    )
    found = told(spans_of(one_request(450 * MS, far)))
    trips = [piece for piece in found if piece[0] == factors.ROUND_TRIPS]
    assert trips == [
        (factors.ROUND_TRIPS, 0, 100),
        (factors.ROUND_TRIPS, 100, 200),
        (factors.ROUND_TRIPS, 200, 300),
    ]
    assert (factors.TARGET, 300, 450) in found


def test_what_comes_sooner_than_a_round_trip_is_no_answer() -> None:
    """The client lets the server send on while it sends: that is no question."""
    streamed = connection(
        0,
        S,
        hello_ns=None,
        secured_ns=None,
        rtt_ns=100 * MS,
        syn_ns=None,
        bursts=(
            burst("client", 0),
            burst("server", 100 * MS),
            *(
                one
                for n in range(5)
                for one in (
                    burst("client", (101 + 10 * n) * MS, 35),
                    burst("server", (106 + 10 * n) * MS),
                )
            ),
        ),
    )
    assert told(connection_spans(streamed)) == [(factors.ROUND_TRIPS, 0, 100)]


def trips_of(*said: Burst) -> list[tuple[str, int, int]]:
    far = connection(
        0, 2 * S, hello_ns=None, secured_ns=None, rtt_ns=100 * MS, syn_ns=None, bursts=said
    )
    return [one for one in told(connection_spans(far)) if one[0] == factors.ROUND_TRIPS]


def test_a_long_answer_waits_a_round_trip_after_each_full_window() -> None:
    found = trips_of(
        burst("client", 0),
        burst("server", 100 * MS, 14_480),
        burst("server", 202 * MS, 28_960),
        burst("server", 304 * MS, 20_000),
    )
    assert found == [
        (factors.ROUND_TRIPS, 0, 100),
        (factors.ROUND_TRIPS, 100, 202),
        (factors.ROUND_TRIPS, 202, 304),
    ]


def test_a_window_may_follow_a_little_sooner_than_the_first_packets_round_trip() -> None:
    found = trips_of(
        burst("client", 0),
        burst("server", 100 * MS, 14_480),
        burst("server", 199 * MS, 28_960),
        burst("server", 298 * MS, 20_000),
    )
    assert [begin for _, begin, _ in found] == [0, 100, 199]


@pytest.mark.parametrize(
    "said",
    [
        [burst("server", 100 * MS, 3_000), burst("server", 202 * MS, 3_000)],
        [burst("server", 100 * MS, 14_480), burst("server", 350 * MS, 3_000)],
        [burst("server", (100 + 20 * n) * MS, 4_344) for n in range(30)],
    ],
    ids=["less than a window", "later than a trip", "as it is made"],
)
def test_a_server_that_says_little_at_a_time_is_not_far(said: list[Burst]) -> None:
    found = trips_of(burst("client", 0), *said)
    assert found == [(factors.ROUND_TRIPS, 0, 100)]


def test_what_was_asked_while_the_server_still_spoke_is_answered_a_round_trip_later() -> None:
    found = trips_of(
        burst("client", 0),
        burst("client", 99 * MS),
        burst("server", 100 * MS),
        burst("server", 200 * MS),
    )
    assert found == [(factors.ROUND_TRIPS, 0, 100), (factors.ROUND_TRIPS, 100, 199)]


def test_what_controls_the_flow_is_no_question() -> None:
    said = [burst("server", (100 + 20 * n) * MS) for n in range(50)]
    said += [burst("client", (105 + 100 * n) * MS, 40) for n in range(9)]
    found = trips_of(burst("client", 0), *sorted(said, key=lambda one: one.start_ns))
    assert found == [(factors.ROUND_TRIPS, 0, 100)]


def test_a_window_of_small_segments_is_as_full_as_one_of_large_ones() -> None:
    small = replace(burst("server", 100 * MS, 2_000), segments=10)
    found = trips_of(burst("client", 0), small, burst("server", 202 * MS, 500))
    assert found == [(factors.ROUND_TRIPS, 0, 100), (factors.ROUND_TRIPS, 100, 202)]


def test_one_late_packet_within_a_window_hides_no_round_trip() -> None:
    found = trips_of(
        burst("client", 0),
        *(burst("server", (100 + 2 * n) * MS, 4_344) for n in range(4)),
        burst("server", 150 * MS, 100),
        burst("server", 202 * MS, 500),
    )
    assert (factors.ROUND_TRIPS, 100, 202) in found


def test_where_nobody_saw_who_spoke_a_request_goes_there_and_back_once() -> None:
    made = START + 50 * MS
    far = connection(0, S, established_ns=made, hello_ns=None, secured_ns=None, rtt_ns=50 * MS)
    found = told(spans_of(one_request(300 * MS, far)))
    assert sum(end - begin for name, begin, end in found if name == factors.ROUND_TRIPS) == 100


def test_a_loss_is_blamed_on_the_loss_in_whatever_stage_it_was() -> None:
    lossy = connection(
        0,
        2 * S,
        secured_ns=START + 500 * MS,
        rtt_ns=None,
        pauses=(pause(100 * MS, 300 * MS, stage="tls", retransmissions=1, awaited="unclear"),),
    )
    found = told(spans_of(one_request(600 * MS, lossy)))
    assert (factors.LOSS, 100, 400) in found
    assert (factors.TLS, 1, 100) in found
    assert (factors.TLS, 400, 500) in found


def test_after_what_was_sent_again_was_heard_the_silence_is_no_loss() -> None:
    repaired = pause(100 * MS, 2 * S, retransmissions=1, recovered_ns=START + 300 * MS)
    found = told(connection_spans(connection(0, 3 * S, pauses=(repaired,))))
    assert [one for one in found if one[0] == factors.LOSS] == [(factors.LOSS, 100, 300)]


def test_a_silence_of_one_side_is_no_loss() -> None:
    silent = connection(0, 5 * S, pauses=(pause(10 * MS, 4 * S),))
    assert factors.LOSS not in {span.factor for span in connection_spans(silent)}


def test_an_address_in_vain_costs_until_the_next_is_dialled() -> None:
    dead = unanswered(0, 7 * S, server="192.0.2.1:6443")
    found = told(spans_of(one_request(10_020 * MS, dead, connection(10 * S, S, number=2))))
    assert (factors.CONNECT, 0, 10_000) in found


def test_addresses_in_vain_to_the_end_cost_the_whole_request() -> None:
    dead = (unanswered(0, 2 * S), unanswered(5 * S, 2 * S, number=2))
    found = told(spans_of(one_request(9 * S, *dead)))
    assert [piece for piece in found if piece[0] == factors.CONNECT] == [
        (factors.CONNECT, 0, 5_000),
        (factors.CONNECT, 5_000, 9_000),
    ]


def test_another_requests_connection_takes_nothing_from_this_one() -> None:
    quick = connection(0, S, number=1, bursts=(burst("client", 4 * MS), burst("server", 30 * MS)))
    stuck = connection(5 * MS, 3 * S, number=2, secured_ns=START + 2 * S, rtt_ns=None)
    found = evidence(
        3 * S,
        requests=(request("/apis/a/v1", 0, 30 * MS), request("/apis/b/v1", 5 * MS, 2 * S)),
        connections=(quick, stuck),
    )
    waits = {one.url.rpartition("/apis/")[2]: took_ns for one, took_ns in answer_times_ns(found)}
    assert waits["a/v1"] > 20 * MS
    assert waits["b/v1"] < 20 * MS


def test_a_body_that_comes_after_the_logged_end_is_a_transfer() -> None:
    bodies = tuple(burst("server", (50 + 12 * n) * MS, 1448) for n in range(100))
    narrow = connection(0, 2 * S, rtt_ns=None, bursts=(burst("client", 4 * MS), *bodies))
    found = one_request(60 * MS, narrow, wall_ns=2 * S)
    assert attribute(found).share(factors.TRANSFER).critical_ns > S


_MOMENTS = st.integers(0, 900).map(lambda at_ms: at_ms * MS)


@st.composite
def _connections(draw: st.DrawFn) -> list[object]:
    made = []
    for number in range(draw(st.integers(0, 4))):
        begin = draw(_MOMENTS)
        stages = sorted(draw(st.lists(_MOMENTS, min_size=4, max_size=4)))
        at = [START + begin + stage for stage in stages]
        made.append(
            connection(
                begin,
                draw(_MOMENTS),
                number,
                established_ns=draw(st.sampled_from([None, at[0]])),
                hello_ns=draw(st.sampled_from([None, at[1]])),
                secured_ns=draw(st.sampled_from([None, at[2]])),
                rtt_ns=draw(st.sampled_from([None, MS, 300 * MS])),
                bursts=tuple(
                    burst(draw(st.sampled_from(["client", "server"])), begin + moment)
                    for moment in sorted(draw(st.lists(_MOMENTS, max_size=6)))
                ),
                pauses=tuple(
                    pause(begin + draw(_MOMENTS), draw(_MOMENTS), retransmissions=1)
                    for _ in range(draw(st.integers(0, 2)))
                ),
            )
        )
    return made


@given(_connections(), st.lists(st.tuples(_MOMENTS, _MOMENTS), max_size=5))
def test_whatever_was_seen_the_shares_add_up_to_the_wall_time(
    connections: list[object], asked: list[tuple[int, int]]
) -> None:
    requests = tuple(
        request(f"/apis/g{n}/v1", begin, took) for n, (begin, took) in enumerate(asked)
    )
    found = attribute(evidence(S, requests=requests, connections=tuple(connections)))
    assert sum(share.critical_ns for share in found.shares) + found.unexplained_ns == found.wall_ns
    for share in found.shares:
        assert 0 <= share.exclusive_ns <= share.critical_ns <= share.union_ns


@given(_connections())
def test_no_moment_of_a_connection_is_blamed_twice(connections: list[object]) -> None:
    for one in connections:
        spans = connection_spans(one)  # type: ignore[arg-type]  # a Connection, drawn above
        for earlier, later in pairwise(spans):
            assert earlier.end_ns <= later.start_ns
