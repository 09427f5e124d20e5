"""Stretches of time: whatever has a begin and an end."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


class Stretch(Protocol):
    """A call, a silence, a question, a span."""

    @property
    def start_ns(self) -> int:
        """When it began, on whatever clock."""

    @property
    def end_ns(self) -> int:
        """When it ended, on the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A stretch that is nothing else."""

    start_ns: int
    end_ns: int


def merged(stretches: Iterable[Stretch]) -> tuple[Moment, ...]:
    """When at least one of them was going on, in order: those that overlap or touch are one."""
    found: list[Moment] = []
    for one in sorted(stretches, key=lambda each: each.start_ns):
        if found and one.start_ns <= found[-1].end_ns:
            begin_ns = found[-1].start_ns
            found[-1] = Moment(start_ns=begin_ns, end_ns=max(found[-1].end_ns, one.end_ns))
        else:
            found.append(Moment(start_ns=one.start_ns, end_ns=one.end_ns))
    return tuple(found)


def covered_ns(stretches: Iterable[Stretch]) -> int:
    """How long at least one of them was going on: those that wait together wait once."""
    return sum(one.end_ns - one.start_ns for one in merged(stretches))
