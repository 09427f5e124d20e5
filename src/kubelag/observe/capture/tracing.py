"""Keeps the segments with payload, for the comparison with a capture of the other end."""

import numpy as np

from kubelag.observe.capture.frames import Account, Ints
from kubelag.observe.capture.progress import Progress
from kubelag.observe.capture.segments import Segments
from kubelag.observe.capture.standing import NEVER
from kubelag.observe.capture.wanted import Trace

_MAX_SEGMENTS = 1_000_000
"""40 bytes each; far above what one command sends. Arbitrary."""


class Tracing:
    """The first million of them."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._parts: list[tuple[Ints, ...]] = []
        self._room = _MAX_SEGMENTS
        self._until_ns = NEVER

    def add(self, chosen: Ints, rows: Segments, now: Progress) -> None:
        """Segments of one batch, by connection and then by time."""
        if len(chosen) > self._room:
            self._until_ns = min(self._until_ns, int(rows.ns[chosen].min()))
            self._account.note(f"For a comparison only its first {_MAX_SEGMENTS:,} segments count")
            chosen = chosen[: self._room]
        if len(chosen):
            self._room -= len(chosen)
            start = now.start.take(chosen)
            self._parts.append((
                now.flow.take(chosen), now.side.take(chosen), rows.ns.take(chosen), start,
                start + rows.payload.take(chosen),
            ))  # fmt: skip

    def trace(self) -> Trace:
        """All that was kept."""
        order = np.argsort(self._column(0).astype(np.uint16), kind="stable")
        # One after the other: all of them twice would be the most memory that reading takes.
        connection, side, ns, start, end = (self._column(at).take(order) for at in range(5))
        return Trace(
            connection=connection,
            from_server=side == 1,
            ns=ns,
            start=start,
            end=end,
            until_ns=self._until_ns,
        )

    def _column(self, at: int) -> Ints:
        return np.concatenate([np.empty(0, np.int64), *(part[at] for part in self._parts)])
