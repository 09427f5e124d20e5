"""Divides the wall time of one observed run among factors, exactly, in integer nanoseconds."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from kubelag.model.attribution import Attribution, Factor, Share, Span
from kubelag.model.evidence import Evidence
from kubelag.timeline import factors
from kubelag.timeline.critical_path import Segment, segments, walk_back
from kubelag.timeline.sampled import Amount, amounts_of
from kubelag.timeline.spans import spans_of

_HOLD_UP = (factors.CPU_THROTTLED, factors.MEMORY_STALL, factors.RUN_QUEUE)
_NOT_HELD_UP = factors.ON_THE_WIRE | set(_HOLD_UP)


@dataclass(slots=True)
class _Cell:
    """One stretch between two samples, with what was traced in it."""

    gap_ns: int = 0
    critical: Counter[Factor] = field(default_factory=Counter)
    exclusive: Counter[Factor] = field(default_factory=Counter)


def attribute(evidence: Evidence) -> Attribution:
    """Seconds per factor for one observed run."""
    run = evidence.run
    spans = spans_of(evidence)
    amounts = amounts_of(evidence.host, evidence.tree)
    return divide(spans, amounts, run.start_ns, run.end_ns)


def divide(
    spans: Sequence[Span], amounts: Sequence[Amount], start_ns: int, end_ns: int
) -> Attribution:
    """The pure core: spans and sampled amounts to shares that add up to the wall time."""
    path = walk_back(spans, end_ns)
    pieces = tuple(segments(spans, path, start_ns, end_ns))
    edges = _edges(amounts, start_ns, end_ns)
    cells = _fill_cells(pieces, edges)
    exclusive, union = Counter[Factor](), _unions(pieces)
    critical: Counter[Factor] = Counter()
    unexplained_ns = 0
    by_cell = _amounts_by_cell(amounts, edges)
    for cell, sampled in zip(cells, by_cell, strict=True):
        _lay_over(cell, sampled, union)
        critical.update(cell.critical)
        for factor, alone_ns in cell.exclusive.items():
            exclusive[factor] += min(alone_ns, cell.critical[factor])
        unexplained_ns += cell.gap_ns
    counts = Counter(span.factor for span in spans if span.is_counted)
    shares = (
        Share(
            factor=factor,
            exclusive_ns=exclusive[factor],
            critical_ns=critical[factor],
            union_ns=union[factor],
            count=counts[factor],
        )
        for factor in union
    )
    return Attribution(
        wall_ns=end_ns - start_ns,
        shares=tuple(sorted(shares, key=lambda share: (-share.critical_ns, share.factor))),
        unexplained_ns=unexplained_ns,
        path=path,
    )


def _edges(amounts: Iterable[Amount], start_ns: int, end_ns: int) -> list[int]:
    inner = {edge for amount in amounts for edge in (amount.start_ns, amount.end_ns)}
    return sorted({start_ns, end_ns, *(edge for edge in inner if start_ns < edge < end_ns)})


def _unions(pieces: Iterable[Segment]) -> Counter[Factor]:
    union: Counter[Factor] = Counter()
    for piece in pieces:
        for factor in piece.active:
            union[factor] += piece.length_ns
    return union


def _fill_cells(pieces: Sequence[Segment], edges: Sequence[int]) -> list[_Cell]:
    """Deal the segments out to the cells, cutting those that cross an edge."""
    cells = [_Cell() for _ in edges[1:]]
    index = 0
    for piece in pieces:
        at_ns = piece.start_ns
        while at_ns < piece.end_ns:
            while edges[index + 1] <= at_ns:
                index += 1
            until_ns = min(piece.end_ns, edges[index + 1])
            _deal(cells[index], piece, until_ns - at_ns)
            at_ns = until_ns
    return cells


def _deal(cell: _Cell, piece: Segment, length_ns: int) -> None:
    if not piece.blamed:
        cell.gap_ns += length_ns
        return
    each_ns, rest_ns = divmod(length_ns, len(piece.blamed))
    for factor in piece.blamed:
        cell.critical[factor] += each_ns
    cell.critical[piece.blamed[0]] += rest_ns
    if len(piece.active) == 1:
        cell.exclusive[next(iter(piece.active))] += length_ns


def _amounts_by_cell(amounts: Sequence[Amount], edges: Sequence[int]) -> list[dict[Factor, int]]:
    position = {edge: index for index, edge in enumerate(edges)}
    cells: list[dict[Factor, int]] = [defaultdict(int) for _ in edges[1:]]
    for amount in amounts:
        first = position.get(max(amount.start_ns, edges[0]))
        last = position.get(min(amount.end_ns, edges[-1]))
        if first is None or last is None:
            continue  # the interval lies wholly outside the run
        for index in range(first, last):
            part_ns = amount.within(edges[index], edges[index + 1])
            cells[index][amount.factor] += part_ns
    return cells


def _lay_over(cell: _Cell, sampled: dict[Factor, int], union: Counter[Factor]) -> None:
    """Take what held everything up from the cell, then let computing fill the gap."""
    for factor in _HOLD_UP:
        if wanted_ns := sampled.get(factor, 0):
            taken_ns, from_gap_ns = _take(cell, wanted_ns)
            cell.critical[factor] += taken_ns
            cell.exclusive[factor] += from_gap_ns
            union[factor] += taken_ns
    cpu_ns = sampled.get(factors.CLIENT_CPU, 0)
    filled_ns = min(cpu_ns, cell.gap_ns)
    cell.gap_ns -= filled_ns
    cell.critical[factors.CLIENT_CPU] += filled_ns
    cell.exclusive[factors.CLIENT_CPU] += filled_ns
    if cpu_ns:
        union[factors.CLIENT_CPU] += cpu_ns


def _take(cell: _Cell, wanted_ns: int) -> tuple[int, int]:
    """Take time from the gap first, then evenly from what was held up; (taken, from the gap)."""
    from_gap_ns = min(wanted_ns, cell.gap_ns)
    cell.gap_ns -= from_gap_ns
    traced = {f: ns for f, ns in cell.critical.items() if f not in _NOT_HELD_UP and ns > 0}
    total_ns = sum(traced.values())
    from_traced_ns = min(wanted_ns - from_gap_ns, total_ns)
    taken_ns = from_gap_ns
    for factor, ns in traced.items():
        part_ns = ns * from_traced_ns // total_ns
        cell.critical[factor] -= part_ns
        taken_ns += part_ns
    return taken_ns, from_gap_ns
