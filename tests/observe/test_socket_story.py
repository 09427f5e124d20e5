"""Samples of a socket become the story of a connection or of a question."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.model.network import Connection
from kubelag.observe import socket_samples
from kubelag.observe.sock_diag import Socket, TcpInfo
from kubelag.observe.socket_samples import History, Roles, Sample
from kubelag.observe.socket_story import connection_of, lookup_of

MS = 1_000_000
ROLES = Roles()


def told(**changes: Any) -> TcpInfo:
    fields: dict[str, Any] = {
        "state": "established",
        "retransmits": 0,
        "backoff": 0,
        "snd_mss": 1448,
        "rcv_mss": 536,
        "unacked": 0,
        "lost": 0,
        "last_data_sent_ms": 0,
        "last_data_recv_ms": 0,
        "pmtu": 1500,
        "rtt_us": 200,
        "rttvar_us": 50,
        "snd_cwnd": 10,
        "advmss": 1460,
        "has_timestamps": True,
        "total_retrans": 0,
        "bytes_acked": 1,
        "bytes_received": 0,
        "min_rtt_us": 150,
        "data_segs_out": 0,
        "bytes_sent": 0,
        "bytes_retrans": 0,
    }
    return TcpInfo(**(fields | changes))


def sample(at_ms: int, before_ms: int | None = -1, *, port: int = 6443, **changes: Any) -> Sample:
    """A look at `at_ms`, 8 ms after the one before; `state` and queues go to the socket."""
    queues = {name: changes.pop(name, 0) for name in ("receive_queue_bytes", "send_queue_bytes")}
    state = changes.get("state", "established")
    protocol = changes.pop("protocol", "tcp")
    one = Socket(
        protocol=protocol,
        state=state,
        local="10.0.0.9:40000",
        remote=f"10.0.0.1:{port}",
        remote_address="10.0.0.1",
        remote_port=port,
        cookie=1,
        uid=0,
        inode=5,
        **queues,
    )
    has_info = protocol == "tcp" and state != "time_wait"
    before = at_ms - 8 if before_ms == -1 else before_ms
    return Sample(
        at_ns=at_ms * MS,
        before_ns=None if before is None else before * MS,
        socket=one,
        info=told(**changes) if has_info else None,
    )


def history(*samples: Sample, gone_ms: int | None = None) -> History:
    one = History(gone_ns=None if gone_ms is None else gone_ms * MS)
    for each in samples:
        one.see(each)
    return one


def story(*samples: Sample, roles: Roles = ROLES) -> Connection:
    return connection_of(history(*samples), roles)


def test_a_fast_connect_is_told_by_its_round_trip() -> None:
    one = story(sample(100, last_data_sent_ms=3))
    assert (one.established_ns, one.connect_ns, one.syns) == (97 * MS, 150_000, 1)


def test_a_syn_sent_again_is_counted_and_not_taken_for_loss_of_data() -> None:
    one = story(
        sample(8, state="syn_sent", bytes_acked=0),
        sample(1100, state="syn_sent", retransmits=1, total_retrans=1, bytes_acked=0),
        sample(1200, total_retrans=1, last_data_sent_ms=2),
    )
    assert (one.syns, one.sent_again, one.syn_ns, one.established_ns) == (2, 0, 4 * MS, 1198 * MS)
    (pause,) = one.pauses
    assert (pause.awaited, pause.stage, pause.is_over) == ("server", "connect", True)


def test_what_never_connected_has_a_pause_to_its_end() -> None:
    one = story(
        sample(8, state="syn_sent"),
        sample(3000, state="syn_sent", retransmits=2, total_retrans=2),
    )
    assert (one.established_ns, one.syns, one.is_established) == (None, 3, False)
    (pause,) = one.pauses
    assert (pause.stage, pause.retransmissions, pause.is_over) == ("connect", 2, False)


def hello(at_ms: int = 8, **changes: Any) -> Sample:
    return sample(at_ms, **({"bytes_sent": 300, "data_segs_out": 1} | changes))


def secured(at_ms: int = 24, **changes: Any) -> Sample:
    fields = {"bytes_sent": 500, "data_segs_out": 2, "bytes_received": 2000}
    return sample(at_ms, **(fields | changes))


def test_a_handshake_has_its_three_moments() -> None:
    one = story(
        hello(),
        hello(16, bytes_received=2000, last_data_sent_ms=8, last_data_recv_ms=2),
        secured(24, last_data_sent_ms=1),
    )
    assert (one.hello_ns, one.server_hello_ns, one.secured_ns) == (8 * MS, 14 * MS, 23 * MS)
    assert one.pauses == ()


def test_a_handshake_between_two_looks_has_an_end_and_took_nobody_knows_how_long() -> None:
    one = story(
        sample(8),
        secured(16, last_data_sent_ms=1, last_data_recv_ms=2),
        secured(24, bytes_sent=800),
    )
    assert (one.hello_ns, one.secured_ns, one.tls_ns) == (None, 15 * MS, None)


def test_a_late_look_does_not_make_the_handshake_longer() -> None:
    waiting = {"bytes_sent": 300, "data_segs_out": 1}
    asked = {"bytes_sent": 700, "data_segs_out": 4, "bytes_received": 3000}
    quick = story(sample(8, **waiting), sample(48, 8, **asked, last_data_sent_ms=5))
    assert (quick.secured_ns, quick.tls_ns) == (8 * MS, None)
    slow = story(
        sample(8, **waiting),
        sample(1500, 1492, **waiting, last_data_sent_ms=1492, unacked=1),
        sample(1540, 1500, **asked),
    )
    assert slow.tls_ns == 1492 * MS


def test_a_hello_of_two_segments_is_no_end_of_the_handshake() -> None:
    one = story(
        sample(8, bytes_sent=1700, data_segs_out=2, last_data_sent_ms=0),
        sample(16, bytes_sent=1700, data_segs_out=2, bytes_received=2000, last_data_sent_ms=8),
        sample(24, bytes_sent=2000, data_segs_out=3, bytes_received=2000, last_data_recv_ms=8),
    )
    assert one.tls_ns == 16 * MS


def test_a_server_that_lets_the_hello_wait_is_slow_in_tls() -> None:
    one = story(hello(), hello(2000, bytes_received=2000, last_data_sent_ms=1992), secured(2008))
    (pause,) = one.pauses
    assert (pause.awaited, pause.stage, pause.length_ns) == ("server", "tls", 1992 * MS)


def test_a_server_that_does_not_answer_a_request_is_awaited() -> None:
    one = story(hello(), secured(), secured(1500, bytes_received=9000, last_data_sent_ms=1476))
    (pause,) = one.pauses
    assert (pause.awaited, pause.stage) == ("server", "data")


def test_a_client_that_got_its_answer_and_is_silent_is_awaited() -> None:
    one = story(
        hello(),
        secured(),
        secured(34, bytes_received=9000, last_data_sent_ms=10),
        secured(2000, bytes_received=9000, last_data_recv_ms=1966, bytes_sent=800),
    )
    (pause,) = one.pauses
    assert (pause.awaited, pause.stage, pause.start_ns) == ("client", "data", 34 * MS)


def test_a_window_update_asks_for_nothing() -> None:
    answered = {"bytes_received": 90_000, "last_data_sent_ms": 10}
    one = story(
        hello(),
        secured(),
        secured(34, **answered),
        secured(42, bytes_received=90_000, bytes_sent=548, last_data_recv_ms=8),
        sample(2000, bytes_received=90_000, bytes_sent=800, last_data_recv_ms=1966),
    )
    (pause,) = one.pauses
    assert (pause.awaited, pause.start_ns) == ("client", 42 * MS)


def test_without_tls_a_short_request_is_one() -> None:
    words = {"port": 8001, "bytes_received": 200}
    one = story(
        hello(port=8001),
        hello(16, **words),
        hello(24, bytes_sent=340, last_data_recv_ms=8, **words),
        hello(900, bytes_sent=340, last_data_sent_ms=876, port=8001, bytes_received=400),
        roles=Roles(plain_ports=frozenset({8001})),
    )
    assert one.secured_ns is None
    assert [(pause.awaited, pause.stage) for pause in one.pauses] == [("server", "data")]


def test_data_sent_again_blames_nobody() -> None:
    stuck = {"unacked": 2, "backoff": 2, "bytes_sent": 900, "data_segs_out": 4}
    one = story(
        hello(),
        secured(),
        secured(32, **stuck),
        secured(600, **stuck, total_retrans=2, last_data_sent_ms=100, snd_cwnd=1),
        secured(900, bytes_sent=900, total_retrans=2, bytes_received=4000, last_data_sent_ms=300),
    )
    (pause,) = one.pauses
    assert (pause.awaited, pause.retransmissions) == ("unclear", 2)
    assert (one.sent_again, one.congestion_window) == (2, 1)


def test_what_was_sent_again_and_heard_soon_is_lost_only_until_then() -> None:
    again = {"bytes_sent": 900, "total_retrans": 1, "last_data_sent_ms": 200}
    one = story(
        hello(),
        secured(),
        secured(32, unacked=1, bytes_sent=900),
        secured(240, **again),
        secured(2032, **again, bytes_received=4000),
    )
    (pause,) = one.pauses
    assert (pause.awaited, pause.retransmissions, pause.length_ns) == ("server", 1, 2000 * MS)
    assert pause.loss_ns == 208 * MS


def test_a_client_that_does_not_read_is_awaited() -> None:
    heard = {"bytes_received": 70_000, "last_data_sent_ms": 10}
    one = story(
        hello(),
        secured(),
        secured(34, **heard, receive_queue_bytes=60_000),
        secured(700, bytes_received=90_000, last_data_sent_ms=690),
    )
    assert [(pause.awaited, pause.why) for pause in one.pauses] == [
        ("client", "the client did not read what had arrived")
    ]


def test_a_closed_window_is_the_servers() -> None:
    one = story(
        hello(),
        secured(),
        secured(32, bytes_sent=9_000, send_queue_bytes=5_000),
        secured(700, bytes_sent=14_000),
    )
    assert [pause.awaited for pause in one.pauses] == ["server"]


def test_who_closed_first_is_told_and_the_fin_is_no_payload() -> None:
    by_server = story(hello(), secured(), secured(40, state="close_wait", bytes_received=2001))
    by_client = story(hello(), secured(), sample(40, state="time_wait"))
    assert (by_server.ending, by_server.received_bytes) == ("server_fin", 2000)
    assert (by_client.ending, by_client.received_bytes) == ("client_fin", 2000)
    assert by_client.rtt_smoothed_ns == 200_000


def test_a_connection_found_in_its_middle_has_no_begin() -> None:
    one = story(secured(8, before_ms=None), secured(900, before_ms=892, bytes_sent=700))
    assert (one.syn_ns, one.established_ns, one.hello_ns, one.secured_ns, one.syns) == (
        None,
        None,
        None,
        None,
        0,
    )
    assert [pause.stage for pause in one.pauses] == ["data"]


def test_a_proxy_is_asked_before_anything_else() -> None:
    roles = Roles(proxy_ports=frozenset({3128}))
    one = story(
        hello(port=3128),
        hello(600, port=3128, bytes_received=39, last_data_sent_ms=592),
        secured(608, port=3128, bytes_received=39),
        secured(900, port=3128, bytes_received=2039, last_data_sent_ms=292),
        roles=roles,
    )
    assert (one.proxy_asked_ns, one.proxy_answered_ns) == (8 * MS, 600 * MS)
    assert (one.hello_ns, one.secured_ns) == (None, None)
    assert [(pause.awaited, pause.stage) for pause in one.pauses] == [
        ("server", "proxy"),
        ("server", "tls"),
    ]


def test_an_old_kernel_tells_what_was_sent_by_what_was_acknowledged() -> None:
    old = {"bytes_sent": None, "bytes_retrans": None}
    one = story(
        sample(8, bytes_acked=301, **old), sample(16, bytes_acked=301, send_queue_bytes=50, **old)
    )
    assert one.sent_bytes == 350


def test_looks_that_tell_nothing_new_are_not_kept() -> None:
    one = history(*(hello(at) for at in range(8, 800, 8)))
    assert (len(one.samples), one.last_ns) == (1, 792 * MS)


def test_a_story_without_end_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_samples, "MAX_SAMPLES", 5)
    one = history(*(hello(at, bytes_sent=at) for at in range(8, 800, 8)))
    assert (len(one.samples), connection_of(one, ROLES).sent_bytes) == (5, 792)


def question(at_ms: int, **changes: Any) -> Sample:
    return sample(at_ms, port=53, protocol="udp", **changes)


@pytest.mark.parametrize(
    ("last_ms", "gone_ms", "waiting", "answered"),
    [
        (40, 48, 0, True),  # closed soon: answered
        (5_010, 5_018, 0, False),  # closed by the timeout
        (5_010, 5_018, 90, True),  # its answer was seen waiting to be read
        (300, None, 0, False),  # the run ended first
    ],
)
def test_how_a_question_ended(
    last_ms: int, gone_ms: int | None, waiting: int, answered: bool
) -> None:
    one = history(question(8), question(last_ms, receive_queue_bytes=waiting), gone_ms=gone_ms)
    found = lookup_of(one, ROLES, run_end_ns=9_000 * MS)
    assert (found.server, found.asked_ns) == ("10.0.0.1:53", 8 * MS)
    assert found.answered_ns == (last_ms * MS if answered else None)


@st.composite
def histories(draw: st.DrawFn) -> History:
    at, sent, heard, again = 0, 0, 0, 0
    one = History()
    states = st.sampled_from(["syn_sent", "established", "fin_wait_1", "close_wait", "time_wait"])
    for _ in range(draw(st.integers(1, 12))):
        step = draw(st.integers(1, 500))
        at += step
        sent += draw(st.sampled_from([0, 0, 20, 300]))
        heard += draw(st.sampled_from([0, 0, 20, 300]))
        again += draw(st.sampled_from([0, 0, 1]))
        each = sample(
            at,
            at - step,
            state=draw(states),
            bytes_sent=sent,
            bytes_received=heard,
            total_retrans=again,
            last_data_sent_ms=draw(st.integers(0, 600)),
            last_data_recv_ms=draw(st.integers(0, 600)),
        )
        one.see(each)
    return one


@given(histories())
def test_pauses_are_long_apart_and_within_what_was_seen(one: History) -> None:
    found = connection_of(one, ROLES)
    end_ns = 0
    for pause in found.pauses:
        assert pause.length_ns >= 100 * MS
        assert pause.start_ns >= end_ns
        end_ns = pause.end_ns
    assert end_ns <= found.last_ns
