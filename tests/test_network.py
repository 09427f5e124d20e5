"""What a connection tells of itself."""

from evidence import MS, START, S, connection, pause


def test_what_was_heard_when_the_command_had_gone_was_not_heard() -> None:
    sent_again = pause(S, 4 * S, retransmissions=5)
    (met,) = connection(0, 6 * S, pauses=(sent_again,)).waited_until(START + 4 * S).pauses
    assert met.is_unheard
    assert (met.length_ns, met.loss_ns) == (3 * S, 3 * S)
    assert not sent_again.is_unheard


def test_a_loss_that_was_made_good_before_stays_so() -> None:
    lossy = pause(S, 4 * S, retransmissions=1, recovered_ns=START + S + 200 * MS)
    (met,) = connection(0, 6 * S, pauses=(lossy,)).waited_until(START + 4 * S).pauses
    assert not met.is_unheard
    assert met.loss_ns == 200 * MS


def test_silences_of_the_time_of_the_command_stay_and_later_ones_are_not_its() -> None:
    seen = connection(0, 6 * S, pauses=(pause(0, S), pause(4 * S, S)))
    assert seen.waited_until(START + 3 * S).pauses == seen.pauses[:1]
    assert seen.waited_until(START + 5 * S) is seen


def test_no_more_was_sent_again_than_the_time_allows() -> None:
    """0.2, 0.6, 1.4 and 3 s after it was lost, and once as a probe."""
    seen = connection(0, 9 * S, pauses=(pause(S, 6 * S, retransmissions=9),))
    counts = [
        seen.waited_until(START + S + took_ns).pauses[0].retransmissions
        for took_ns in (150 * MS, 250 * MS, 700 * MS, 5 * S)
    ]
    assert counts == [1, 2, 3, 5]


def test_what_is_left_of_a_silence_is_none_if_it_is_too_short() -> None:
    seen = connection(0, 9 * S, pauses=(pause(S, 6 * S),))
    assert not seen.waited_until(START + S + 90 * MS).pauses
