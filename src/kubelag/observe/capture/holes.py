"""Bytes of one side that were skipped when they should have come: lost, or only late."""

from typing import NamedTuple

_MAX_HOLES = 128
"""Per side; a hostile capture could open millions, and each is looked at. Arbitrary."""


class Filled(NamedTuple):
    """What a segment brought that had been skipped."""

    fresh_bytes: int
    skipped_ns: int
    """When the oldest of it had been skipped; 0 where nothing was."""


class Holes:
    """Skipped ranges in order; offsets as in the side's stream."""

    def __init__(self) -> None:
        self._ranges: list[tuple[int, int, int]] = []
        self.uncounted_bytes = 0
        """Skipped bytes that there was no room to remember."""

    def __bool__(self) -> bool:
        return bool(self._ranges)

    def skip(self, start: int, end: int, ns: int) -> None:
        """Bytes from `start` to `end` did not come when they should have."""
        if len(self._ranges) < _MAX_HOLES:
            self._ranges.append((start, end, ns))
        else:
            self.uncounted_bytes += end - start

    def fill(self, start: int, end: int) -> Filled:
        """These bytes came after all, or once more."""
        fresh, skipped_ns = 0, 0
        left = []
        for low, high, ns in self._ranges:
            if high <= start or end <= low:
                left.append((low, high, ns))
                continue
            fresh += min(high, end) - max(low, start)
            skipped_ns = skipped_ns or ns
            left += [(a, b, ns) for a, b in ((low, start), (end, high)) if a < b]
        self._ranges = left[:_MAX_HOLES]
        return Filled(fresh, skipped_ns)

    def missed(self, begin_ns: int, end_ns: int, acked: int) -> bool:
        """Whether bytes never came, though they were acknowledged, that were skipped then."""
        return any(
            low < acked and begin_ns < skipped_ns <= end_ns for low, _, skipped_ns in self._ranges
        )

    def before(self, offset: int) -> int:
        """Bytes that never came, up to this offset."""
        return self.uncounted_bytes + sum(
            min(high, offset) - low for low, high, _ in self._ranges if low < offset
        )
