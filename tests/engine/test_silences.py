"""Who kept the connections waiting, in sentences."""

from typing import Any

import pytest

from evidence import MS, START, S, connection, evidence, pause
from kubelag.engine.silences import silences
from kubelag.model.network import Comparison


def said(*pauses: Any, **changes: Any) -> list[str]:
    return list(silences(evidence(connections=(connection(0, 9 * S, pauses=pauses),), **changes)))


def test_nobody_was_silent() -> None:
    assert said() == []


@pytest.mark.parametrize(
    ("awaited", "words"),
    [
        ("client", "the line was silent for 2.00 s while the client itself had to speak"),
        ("server", "the line was silent for 2.00 s while the server had to speak"),
        ("unclear", "the line was silent for 2.00 s while nobody can tell who had to speak"),
    ],
)
def test_who_was_awaited_is_told_with_when_and_how_long(awaited: str, words: str) -> None:
    assert said(pause(S, 2 * S, awaited=awaited)) == [f"{words} (1 pause: 2.00 s at 1.00 s)"]


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("connect", "the server had to answer the SYN"),
        ("proxy", "the proxy had to answer CONNECT"),
        ("tls", "the server had to go on with the TLS handshake"),
    ],
)
def test_what_the_other_end_owed_is_told(stage: str, words: str) -> None:
    (told,) = said(pause(S, 2 * S, awaited="server", stage=stage))
    assert f" while {words} (" in told


def test_a_silence_of_one_round_trip_is_the_ways() -> None:
    far = connection(0, 9 * S, rtt_ns=300 * MS, pauses=(pause(S, 310 * MS), pause(3 * S, 900 * MS)))
    servers, ways = silences(evidence(connections=(far,)))
    assert "900 ms while the server had to speak" in servers
    assert "310 ms while packets were on their way there and back" in ways


def test_a_pause_in_which_something_was_sent_again_is_nobodys() -> None:
    (told,) = said(pause(S, 2 * S, retransmissions=1))
    assert "while what had been sent had to be sent again" in told


def test_a_pause_that_went_on_after_its_loss_was_repaired_is_the_servers() -> None:
    soon, late = (START + S + after for after in (200 * MS, 1_500 * MS))
    servers, nobodys = said(
        pause(S, 2 * S, retransmissions=1, recovered_ns=soon),
        pause(S, 2 * S, retransmissions=1, recovered_ns=late, awaited="unclear"),
    )
    assert "while the server had to speak" in servers
    assert "while what had been sent had to be sent again" in nobodys


def test_silences_that_overlap_count_once_and_the_longest_are_shown() -> None:
    (told,) = said(*(pause(n * S // 2, S + n * MS) for n in range(7)))
    assert told.startswith("the line was silent for 4.01 s while the server had to speak (7 pauses")
    assert told.count(" at ") == 5


def test_the_verdict_of_both_ends_comes_first() -> None:
    both = Comparison(
        matched_segments=4,
        offset_ns=0,
        offset_error_ns=1,
        connections=1,
        forth_ns=(1, 1),
        back_ns=(1, 1),
        lost_forth=0,
        lost_back=0,
        sentence="The client was silent",
    )
    assert said(pause(S, 2 * S), comparison=both)[0] == "The client was silent"
