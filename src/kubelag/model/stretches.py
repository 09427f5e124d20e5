"""Stretches of time: whatever has a begin and an end."""

from collections.abc import Iterable
from typing import Protocol


class Stretch(Protocol):
    """A call, a silence, a question, a span."""

    @property
    def start_ns(self) -> int:
        """When it began, on whatever clock."""

    @property
    def end_ns(self) -> int:
        """When it ended, on the same."""


def covered_ns(stretches: Iterable[Stretch]) -> int:
    """How long at least one of them was going on: those that wait together wait once."""
    total_ns = until_ns = 0
    for one in sorted(stretches, key=lambda each: each.start_ns):
        total_ns += max(0, one.end_ns - max(one.start_ns, until_ns))
        until_ns = max(until_ns, one.end_ns)
    return total_ns
