"""Being asked to end is as good as Ctrl-C."""

import os
import signal

import pytest

from kubelag.cli.ending import ending_as_interrupt


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_being_asked_to_end_is_an_interruption_and_only_meanwhile(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), ending_as_interrupt():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) == before


def test_a_terminal_that_goes_away_does_not_end_what_was_started_to_survive_it() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ending_as_interrupt():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
