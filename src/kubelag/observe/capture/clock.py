"""Keeps moments from going back: a clock may be set while packets are recorded."""

import numpy as np

from kubelag.model.units import seconds
from kubelag.observe.capture.frames import Account, Ints

_JUMP_NS = 100_000_000
"""Packets of several processors or cards may stand out of order by far less. Arbitrary."""
_LEAP_NS = 86_400 * 10**9
"""Nobody captures a day long without a packet; rather the clock was set. Arbitrary."""


class Clock:
    """Moments in the order of the file, made so that they never go back."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._last_ns: int | None = None
        """The latest moment as it was given out."""
        self._added_ns = 0
        """What all jumps back were, together."""

    def steady(self, ns: Ints) -> Ints:
        """The next moments of the file; after a jump back they go on from before it."""
        if not len(ns):
            return ns
        last_ns = int(ns[0]) if self._last_ns is None else self._last_ns - self._added_ns
        steps = np.diff(ns, prepend=last_ns)
        if int(steps.max()) > _LEAP_NS:
            leap = seconds(int(steps.max()))
            self._account.note(f"The clock leapt by {leap}, or no packet came for so long")
        if int(steps.min()) >= 0:
            self._last_ns = int(ns[-1]) + self._added_ns
            return ns + self._added_ns
        back = np.where(steps < -_JUMP_NS, -steps, 0)
        if back.any():
            worst = seconds(int(back.max()))
            self._account.note(
                f"The clock jumped back by {worst}; moments after that go on from before it"
            )
        steadied: Ints = np.maximum.accumulate(ns + np.cumsum(back) + self._added_ns)
        if self._last_ns is not None:
            steadied = np.maximum(steadied, self._last_ns)
        self._added_ns += int(back.sum())
        self._last_ns = int(steadied[-1])
        return steadied
