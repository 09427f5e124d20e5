"""How a long command ends early: whoever asks for it, everything of ours is cleaned up."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = 128 + signal.SIGINT
"""Exit code after Ctrl-C, as a shell's."""


@contextmanager
def ending_as_interrupt() -> Iterator[None]:
    """A request to end, or a terminal that goes away, cleans up as Ctrl-C does."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    asked = (signal.SIGTERM, signal.SIGHUP)
    # What is ignored (nohup) stays ignored.
    before = {one: signal.getsignal(one) for one in asked}
    heard = [one for one, handler in before.items() if handler is signal.SIG_DFL]
    for one in heard:
        signal.signal(one, interrupt)
    try:
        yield
    finally:
        for one in heard:
            signal.signal(one, before[one])
