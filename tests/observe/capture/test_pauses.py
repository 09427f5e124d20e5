"""Whose turn it was in a silence, rule by rule."""

import pytest

from evidence import MS
from kubelag.model.network import Pause
from observe.capture.script import BEGIN, seen

HELLO = "160301000401000000"
SERVER_HELLO = "160303000402000000"
CHANGE = "140303000101"


def pauses(text: str) -> tuple[Pause, ...]:
    (connection,) = seen(text).connections
    return connection.pauses


@pytest.mark.parametrize(
    ("text", "awaited", "stage", "retransmissions"),
    [
        ("0.1 c say 100\n0.101 s ack\n1.1 s say 500\n1.2 c fin", "server", "data", 0),
        (
            "0.003 c say 100\n0.004 s say 500\n0.005 c ack\n1.1 c say 100\n1.101 s say 9\n",
            "client", "data", 0,
        ),
        (
            "0.003 c say 100\n0.203 c again 100\n0.6 c again 100\n0.61 s say 50",
            "unclear", "data", 2,
        ),
        (
            "0.003 c say 100\n0.004 s ack\n0.005 s ack win=0\n1.1 s ack\n1.101 c say 100",
            "server", "data", 0,
        ),
        ("0.003 c say 9\n0.004 s say 99\n0.005 c ack win=0\n1 c ack\n1.1 s say 9", "client", "data",
         0),
        ("0.003 c say 100\n1.0 s say 500", "server", "data", 0),
        ("0.003 c say 100\n0.004 s say 500\n0.005 c ack\n0.6 s say 500", "server", "data", 0),
        ("0.003 c say 100\n0.004 s ack\n0.6 c say 500\n0.61 s say 3", "unclear", "data", 0),
        (f"0.003 c tell {HELLO}\n0.004 s ack\n2.0 s tell {SERVER_HELLO}", "server", "tls", 0),
        (
            f"0.003 c tell {HELLO}\n0.004 s tell {SERVER_HELLO}\n0.005 c ack\n2.0 c tell {CHANGE}",
            "client", "tls", 0,
        ),
        (
            (f"0.003 c tell {HELLO}\n0.004 s tell {SERVER_HELLO}{CHANGE}\n0.005 c tell {CHANGE}\n"
            "0.006 s ack\n2.0 c say 300\n2.01 s say 2000"),
            "client", "data", 0,
        ),
        (
            ("0.003 c tell 434f4e4e45435420613a3120485454502f312e310d0a0d0a\n0.004 s ack\n"
            "1.0 s tell 485454502f312e3120323030204f4b0d0a0d0a"),
            "server", "proxy", 0,
        ),
    ],
)  # fmt: skip
def test_the_side_that_was_expected_to_speak(
    text: str, awaited: str, stage: str, retransmissions: int
) -> None:
    found = max(pauses(BEGIN + text), key=lambda one: one.length_ns)
    assert (found.awaited, found.stage, found.retransmissions) == (awaited, stage, retransmissions)


def test_an_unanswered_syn_is_a_pause_of_connecting() -> None:
    (pause,) = pauses("0 c syn\n0.9 c resyn\n1 s synack\n1.001 c ack")
    assert (pause.awaited, pause.stage, pause.retransmissions) == ("server", "connect", 1)


def test_a_repetition_that_was_soon_heard_does_not_make_a_long_silence_unclear() -> None:
    text = "0.003 c say 100\n0.013 c again 100\n0.014 s ack\n2.0 s say 500"
    (pause,) = pauses(BEGIN + text)
    assert (pause.awaited, pause.retransmissions) == ("server", 1)
    assert (pause.loss_ns, pause.length_ns) == (11 * MS, 1_997 * MS)


def test_what_was_heard_only_with_the_answer_was_lost_until_then() -> None:
    (pause,) = pauses(BEGIN + "0.003 c say 100\n0.203 c again 100\n0.6 s say 50")
    assert pause.loss_ns == pause.length_ns


def test_short_records_of_http2_are_no_question() -> None:
    begin = f"0.003 c tell {HELLO}\n0.004 s tell {SERVER_HELLO}{CHANGE}\n0.005 c tell {CHANGE}\n"
    text = begin + "0.006 c say 300\n0.007 s say 3000\n0.008 c say 35\n0.009 s ack\n2.0 c say 300\n"
    (pause,) = pauses(BEGIN + text + "2.001 s say 900")
    assert pause.awaited == "client"


def test_tickets_and_settings_of_the_server_are_no_answer() -> None:
    begin = f"0.003 c tell {HELLO}\n0.004 s tell {SERVER_HELLO}{CHANGE}\n0.005 c tell {CHANGE}\n"
    (pause,) = pauses(BEGIN + begin + "0.006 c say 300\n0.007 s say 255\n0.01 c ack\n2 s say 999")
    assert pause.awaited == "server"


def test_there_is_no_pause_after_the_end() -> None:
    assert pauses(BEGIN + "0.003 c fin\n0.004 s ack\n3.0 s fin") == ()


def test_a_keep_alive_is_no_retransmission_and_ends_no_silence() -> None:
    text = (
        BEGIN + "0.003 c say 9\n0.004 s say 9\n0.005 c ack\n0.5 c keepalive\n0.501 s ack\n1 c say 9"
    )
    (connection,) = seen(text).connections
    (pause,) = connection.pauses
    assert (connection.sent_again, pause.length_ns) == (0, 996_000_000)


def test_a_silence_that_the_capture_ends_in_is_not_over() -> None:
    (pause,) = pauses(BEGIN + "0.003 c say 9\n0.004 s ack\n1.0 s ack")
    assert (pause.is_over, pause.awaited) == (False, "server")


def test_a_silence_that_the_client_ends_by_closing_is_not_over_and_was_never_heard() -> None:
    lost = "0.003 c say 9\n0.203 c again 9\n0.6 c again 9\n"
    (gone,) = pauses(BEGIN + lost + "2.0 c fin")
    assert (gone.is_over, gone.is_unheard) == (False, True)
    (refused,) = pauses(BEGIN + lost + "2.0 s rst")
    assert (refused.is_over, refused.is_unheard) == (True, False)
    (idle,) = pauses(BEGIN + "0.003 c say 9\n0.013 c again 9\n0.014 s ack\n2.0 c fin")
    assert (idle.is_over, idle.is_unheard) == (False, False)


SECURED = f"0.003 c tell {HELLO}\n0.004 s tell {SERVER_HELLO}{CHANGE}\n0.005 c tell {CHANGE}\n"


def test_tickets_of_any_size_before_a_question_was_heard_are_no_answer() -> None:
    """The question was asked a moment ago; the next words of the client end the silence."""
    text = SECURED + "0.0055 s say 1726\n0.006 c say 300\n0.0065 s say 99\n0.01 c ack\n2 c say 300"
    (pause,) = pauses(BEGIN + text)
    assert (pause.awaited, pause.why) == ("unclear", "the client went on before it had an answer")


def test_a_small_answer_to_a_question_is_an_answer() -> None:
    text = SECURED + "0.0055 s say 99\n0.006 c say 300\n0.3 s say 200\n0.31 c ack\n2.4 c say 300"
    first, second = pauses(BEGIN + text)
    assert (first.awaited, second.awaited) == ("server", "client")
    assert second.why == "the client had the whole answer and asked nothing new"


@pytest.mark.parametrize(
    "text",
    [
        # The next question was missed: it was the client who was silent, not the server.
        "0.003 c say 100\n0.004 s say 500\n0.005 c ack\n1.9 c skip 100\n2 s say 500\n2.1 c ack",
        # The answer was missed, and acknowledged.
        "0.003 c say 100\n0.004 s skip 500\n0.005 c ack\n2 c say 100\n2.001 s say 90",
        # Its first part was missed, and what follows it ends the silence.
        "0.003 c say 100\n0.004 s ack\n0.9 s skip 500\n2 s say 500\n2.001 c ack\n2.002 s ack",
        # The answer was missed, and then the capture ended.
        "0.003 c say 100\n0.004 s skip 500\n0.005 c ack\n2 c ack",
    ],
)
def test_where_the_capture_missed_something_nobody_is_accused(text: str) -> None:
    pause, *_ = pauses(BEGIN + text)
    assert (pause.awaited, pause.why) == (
        "unclear", "the capture missed some of what crossed meanwhile"
    )  # fmt: skip


def test_what_was_lost_on_its_way_and_came_again_was_not_missed() -> None:
    text = "0.003 c say 100\n0.004 s ack\n0.9 s skip 500\n1 s say 500\n1.2 s again 1000\n1.21 c ack"
    first, *_ = pauses(BEGIN + text)
    assert first.awaited == "server"
