"""Tells on a terminal what a client's command waits for, once it waits for more than a second."""

import sys

from kubelag.kube.transport.events import Waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kubelag.kube.transport.events import Event

_CLEAR_LINE = "\r\x1b[K"
_TOLD_FROM_S = 0.9


class Patience:
    """An observer that keeps one line up to date, and takes it away when something comes."""

    def __init__(self) -> None:
        self._is_shown = False

    def __call__(self, event: "Event") -> None:
        """Take one event."""
        if not isinstance(event, Waiting):
            self.clear()
        elif event.waited_s >= _TOLD_FROM_S and sys.stderr.isatty():
            self._is_shown = True
            print(f"{_CLEAR_LINE}{told(event)}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line away."""
        if self._is_shown:
            self._is_shown = False
            print(_CLEAR_LINE, end="", file=sys.stderr, flush=True)


def told(event: Waiting) -> str:
    """One line on what is waited for."""
    answers = f"{event.answers} answers" if event.answers > 1 else "an answer"
    what = answers if event.answers else "a connection"
    return f"kubelag: waiting for {what} of {event.server}, {event.waited_s:.0f} s"
