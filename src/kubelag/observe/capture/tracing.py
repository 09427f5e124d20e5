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
            start = now.start[chosen]
            self._parts.append((
                now.flow[chosen], now.side[chosen], rows.ns[chosen], start,
                start + rows.payload[chosen],
            ))  # fmt: skip

    def trace(self) -> Trace:
        """All that was kept."""
        nothing = np.empty(0, np.int64)
        parts = [np.concatenate(column) for column in zip(*self._parts, strict=True)]
        flow, side, ns, start, end = parts or [nothing] * 5
        order = np.argsort(flow.astype(np.uint16), kind="stable")
        return Trace(
            connection=flow[order],
            from_server=side[order] == 1,
            ns=ns[order],
            start=start[order],
            end=end[order],
            until_ns=self._until_ns,
        )
