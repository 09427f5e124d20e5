"""Paired differences and their intervals; pure but for the numbers that it draws from a seed.

Interval: percentile bootstrap of the median (4,000 draws). Under six pairs the bootstrap alone
is too narrow: its widest possible interval [min, max] covers the median with probability
1 - 2^(1 - n) only, 75 % for three pairs. There the interval is the hull of the bootstrap's and of
Student's t, which is valid for as few as two pairs where differences are roughly normal.
"""

import math
import statistics
from collections.abc import Sequence

from kubelag.model.experiment import Estimate

_DRAWS = 4_000
# Any seed does; a fixed one makes a saved bundle give the same report twice.
_SEED = 20
# Two-sided 97.5 % points of Student's t by degrees of freedom (standard tables).
_STUDENT_T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}
# diagnosis.md section 4: stop when the half-width is under max(5 % of the wall time, half the
# effect); 20 blocks at most. Its five-pair minimum is lowered to three for an effect of at least
# half the wall time: at t = 4.3 even three pairs then need a spread under a tenth of the effect.
MIN_PAIRS = 5
MIN_PAIRS_LARGE = 3
# A command this slow is not run more often than needed: two pairs do, which at t = 12.7 settle it
# only where they differ by under a twelfth of the effect, if the observed run took as long as the
# timed ones and so tells of the noise in place of a third. Both figures are arbitrary; watching a
# slow command costs less than the second (docs/performance.md).
MIN_PAIRS_SLOW = 2
_SLOW_NS, _ALIKE_RATIO = 5_000_000_000, 0.10
MAX_PAIRS = 20
_LARGE_EFFECT = 0.5
_HALF_WIDTH_OF_WALL = 0.05
_Z = 1.96


def median_ns(values: Sequence[int]) -> int:
    """The median, rounded to whole nanoseconds."""
    return round(statistics.median(values))


def paired(unchanged_ns: Sequence[int], treated_ns: Sequence[int]) -> Estimate | None:
    """How much the treated arm saved, block by block; None under two pairs."""
    saved = [a - b for a, b in zip(unchanged_ns, treated_ns, strict=False)]
    if len(saved) < 2:  # noqa: PLR2004 - one difference has no spread
        return None
    low, high = interval(saved)
    return Estimate(
        saving_ns=median_ns(saved),
        low_ns=math.floor(low),
        high_ns=math.ceil(high),
        pairs=len(saved),
    )


def interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % interval of the median of at least two values, one for each block."""
    low, high = _bootstrap(values)
    if len(values) - 1 in _STUDENT_T:
        mean = statistics.fmean(values)
        half = _STUDENT_T[len(values) - 1] * statistics.stdev(values) / math.sqrt(len(values))
        low, high = min(low, mean - half), max(high, mean + half)
    return low, high


def least_pairs(base_ns: int, observed_ns: int) -> int:
    """How many pairs a large effect needs at the least.

    Args:
        base_ns: Median wall time of the timed runs in which nothing was removed.
        observed_ns: Wall time of the observed run.
    """
    is_alike = abs(observed_ns - base_ns) <= _ALIKE_RATIO * base_ns
    return MIN_PAIRS_SLOW if base_ns >= _SLOW_NS and is_alike else MIN_PAIRS_LARGE


def is_settled(estimate: Estimate | None, wall_ns: int, least: int = MIN_PAIRS_LARGE) -> bool:
    """Whether more pairs would not change the verdict; `least` is what a large effect needs."""
    if estimate is None:
        return False
    effect_ns = abs(estimate.saving_ns)
    large = effect_ns >= _LARGE_EFFECT * wall_ns
    if estimate.pairs < (least if large else MIN_PAIRS):
        return False
    half_ns = (estimate.high_ns - estimate.low_ns) / 2
    return half_ns < max(_HALF_WIDTH_OF_WALL * wall_ns, effect_ns / 2)


def pairs_needed(unchanged_ns: Sequence[int], treated_ns: Sequence[int]) -> int | None:
    """About how many pairs would tell the effect from noise: (1.96 sigma / delta)^2."""
    saved = [a - b for a, b in zip(unchanged_ns, treated_ns, strict=False)]
    if len(saved) < 2 or not sum(saved):  # noqa: PLR2004 - one difference has no spread
        return None
    needed = (_Z * statistics.stdev(saved) / statistics.fmean(saved)) ** 2
    return max(MIN_PAIRS, math.ceil(needed))


def _bootstrap(saved: Sequence[float]) -> tuple[float, float]:
    import numpy as np  # noqa: PLC0415 - 0.1 s that a run without experiments does not pay

    values = np.asarray(saved, dtype=np.float64)
    draws = np.random.default_rng(_SEED).choice(values, size=(_DRAWS, len(values)))
    low, high = np.percentile(np.median(draws, axis=1), [2.5, 97.5])
    return float(low), float(high)
