"""Holds back what asks us to end while something must not be cut in two."""

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that ask a process to end: Ctrl-C, a polite request, a terminal that goes away."""


@contextmanager
def endings_held_back() -> Iterator[None]:
    """What asks us to end in the meantime asks again afterwards.

    It is noted by a handler rather than blocked: a mask would be inherited by what is started here,
    and another thread could take the signal, which Python then hands to us all the same.
    """
    held: list[int] = []
    with ExitStack() as restoring:
        if threading.current_thread() is threading.main_thread():
            for number in ENDINGS:
                former = signal.signal(number, lambda caught, _: held.append(caught))
                restoring.callback(signal.signal, number, former)
        try:
            yield
        finally:
            restoring.close()
            for caught in dict.fromkeys(held):
                signal.raise_signal(caught)
