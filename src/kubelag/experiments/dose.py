"""What a series of doses says: how much longer each added second of delay makes the command. Pure.

Each block gives one slope, by least squares over its arms; the interval is that of paired
differences (see `statistics`), so that blocks and not runs are drawn.
"""

import math
import statistics
from collections.abc import Sequence

from kubelag.experiments.statistics import interval
from kubelag.model.experiment import DoseResponse

# A slope needs two doses, and whether it is one a third.
_LEAST_DOSES, _LEAST_BLOCKS = 3, 2


def dose_response(
    kind: str, doses_ns: Sequence[int], blocks: Sequence[Sequence[int]]
) -> DoseResponse | None:
    """The response, None where doses or blocks are too few.

    Args:
        kind: The experiment's id.
        doses_ns: Each arm's delay, ascending, from none.
        blocks: For each block the wall times in nanoseconds, in the order of the doses.
    """
    if len(doses_ns) < _LEAST_DOSES or len(blocks) < _LEAST_BLOCKS:
        return None
    slopes = [_slope(doses_ns, walls_ns) for walls_ns in blocks]
    bends = [_bend(doses_ns, walls_ns) for walls_ns in blocks]
    low, high = interval(slopes)
    bend_low, bend_high = interval(bends)
    return DoseResponse(
        kind=kind,
        doses_ns=tuple(doses_ns),
        slope=statistics.median(slopes),
        low=low,
        high=high,
        bend_ns=round(statistics.median(bends)),
        bend_low_ns=math.floor(bend_low),
        bend_high_ns=math.ceil(bend_high),
        blocks=len(blocks),
    )


def _slope(doses_ns: Sequence[int], walls_ns: Sequence[int]) -> float:
    return statistics.linear_regression(doses_ns, walls_ns).slope


def _bend(doses_ns: Sequence[int], walls_ns: Sequence[int]) -> float:
    """What the last dose added beyond what the first one foretold."""
    first, last = doses_ns[1] - doses_ns[0], doses_ns[-1] - doses_ns[0]
    return (walls_ns[-1] - walls_ns[0]) - (walls_ns[1] - walls_ns[0]) * last / first
