"""Walks back from the end of a run along what finished last, and divides the time between.

The method is CRISP's (walk back from the last-finishing child, exclusive time on the path) with
two changes: a request on the path shares its time with a cache lock held meanwhile, since the
log cannot tell whether it was waiting for that lock; and a stretch that the path jumps over is
shared by whatever was active, never thrown away. So by construction, for every factor,
exclusive <= critical <= union, and all critical parts and gaps add up to the wall time.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kubelag.model.attribution import Factor, Span
from kubelag.timeline.factors import LOCK_HOLDERS, REQUESTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch during which the set of active factors did not change."""

    start_ns: int
    end_ns: int
    active: frozenset[Factor]
    """What was in the way."""
    blamed: tuple[Factor, ...]
    """Who shares this stretch, equally; empty where nothing was in the way."""

    @property
    def length_ns(self) -> int:
        """How long it is."""
        return self.end_ns - self.start_ns


def walk_back(spans: Sequence[Span], end_ns: int) -> tuple[Span, ...]:
    """The chain of last-finishing spans, earliest first; they never overlap."""
    chain: list[Span] = []
    cursor_ns = end_ns
    latest_first = sorted(spans, key=lambda span: (span.end_ns, -span.start_ns), reverse=True)
    for span in latest_first:
        if span.end_ns <= cursor_ns and span.start_ns < span.end_ns:
            chain.append(span)
            cursor_ns = span.start_ns
    return tuple(reversed(chain))


def segments(
    spans: Sequence[Span], path: Sequence[Span], start_ns: int, end_ns: int
) -> Iterator[Segment]:
    """The run cut wherever a span begins or ends, each piece with whom to blame for it."""
    opens: dict[int, list[Factor]] = {}
    closes: dict[int, list[Factor]] = {}
    for span in spans:
        opens.setdefault(span.start_ns, []).append(span.factor)
        closes.setdefault(span.end_ns, []).append(span.factor)
    on_path = {span.start_ns: span for span in path}
    counts: Counter[Factor] = Counter()
    chosen: Span | None = None
    edges = sorted({start_ns, end_ns, *opens, *closes})
    for first, last in pairwise(edges):
        counts.update(opens.get(first, ()))
        counts.subtract(closes.get(first, ()))
        chosen = on_path.get(first, chosen if chosen and chosen.end_ns > first else None)
        active = frozenset(factor for factor, count in counts.items() if count > 0)
        yield Segment(start_ns=first, end_ns=last, active=active, blamed=_blame(chosen, active))


def _blame(chosen: Span | None, active: frozenset[Factor]) -> tuple[Factor, ...]:
    if chosen is None:
        return tuple(sorted(active))
    if chosen.factor in REQUESTS:
        return (chosen.factor, *sorted(active & LOCK_HOLDERS))
    return (chosen.factor,)
