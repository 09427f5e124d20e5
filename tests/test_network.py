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
