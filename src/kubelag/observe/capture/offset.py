"""How far two clocks are apart, from segments that crossed in both directions.

A segment arrives after it left. So what must be added to the far clock is at least
(near, when it left - far, when it arrived) of every segment of the client, and at most
(near, when it arrived - far, when it left) of every segment of the server. The tightest of each
bound it; this is NTP's filter of the smallest round trip (RFC 5905, section 10).

Where one clock runs faster, no such number fits all of them, or only a narrow band does. Then what
is added changes steadily, as fast as leaves the widest band between the bounds: the slower the
clocks are taken to part, the smaller would the smallest round trip have to be.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kubelag.observe.capture.frames import Ints

_LEAST = 8
"""Segments in each direction and half, before a drift is believed that need not be. Arbitrary."""
_STEEPEST = 0.001
"""Each clock is steered by at most 500 parts in a million (adjtimex(2), ADJ_FREQUENCY)."""
_ROUNDS = 50
"""Halvings, nearly: the ratio is then known to less than a nanosecond in a year."""
_STAMP_NS = 2_000
"""Both stamps are cut to microseconds in the classic format."""
_WANDER_NS = 1_000_000
"""Clocks that are being steered wander about a straight line; a clock that was set moves by more.
Arbitrary."""
_Floats = npt.NDArray[np.float64]


class ClocksError(ValueError):
    """No clock fits: says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offset:
    """What must be added to the far clock."""

    ns: int
    """In the middle of the capture."""
    error_ns: int
    """Half the smallest round trip."""
    middle_ns: int = 0
    """When that is, by the far clock."""
    drift_ratio: float = 0.0
    """How much more must be added for each nanosecond after that."""
    drift_ns: int = 0
    """By how much it changed from the first segment to the last."""

    def near(self, far_ns: Ints) -> Ints:
        """Moments of the far clock as the near one has them."""
        drifted = np.rint((far_ns - self.middle_ns) * self.drift_ratio).astype(np.int64)
        moments: Ints = far_ns + self.ns + drifted
        return moments


def offset(forth: tuple[Ints, Ints], back: tuple[Ints, Ints]) -> Offset | None:
    """The offset of the clocks; None where segments of one direction only were seen at both ends.

    Args:
        forth: Moments of the client's segments at the near and at the far end.
        back: The same of the server's.

    Raises:
        ClocksError: No steady clock fits: the ends are exchanged, or a clock was set meanwhile.
    """
    if not len(forth[0]) or not len(back[0]):
        return None
    bounds = _bounds(forth, back)
    constant, best = bounds.band(0.0), bounds.steepest()
    band, ratio = constant, 0.0
    if constant.width < -_STAMP_NS or (2 * constant.width < best.width and _are_many(forth, back)):
        band, ratio = best, best.ratio
    if band.width < -_STAMP_NS:
        _refuse(band, bounds)
    span_ns = max(int(column[-1] - column[0]) for column in (np.sort(forth[1]), np.sort(back[1])))
    return Offset(
        ns=bounds.base_ns + round(band.middle),
        error_ns=abs(round(band.width / 2)),
        middle_ns=bounds.middle_ns,
        drift_ratio=ratio,
        drift_ns=round(ratio * span_ns),
    )


class _Band(NamedTuple):
    """What an offset may be for a given drift."""

    middle: float
    width: float
    """Negative where nothing fits."""
    ratio: float


class _Bounds(NamedTuple):
    """Lower bounds by the client's segments, upper ones by the server's, less a common number."""

    base_ns: int
    middle_ns: int
    low: _Floats
    low_at: _Floats
    high: _Floats
    high_at: _Floats

    def band(self, ratio: float) -> _Band:
        """The band for this drift."""
        low = float((self.low - ratio * self.low_at).max())
        high = float((self.high - ratio * self.high_at).min())
        return _Band((low + high) / 2, high - low, ratio)

    def steepest(self) -> _Band:
        """The widest band; its width has one maximum, since it is a minimum of straight lines."""
        left, right = -_STEEPEST, _STEEPEST
        for _ in range(_ROUNDS):
            third = (right - left) / 3
            if self.band(left + third).width < self.band(right - third).width:
                left += third
            else:
                right -= third
        return self.band((left + right) / 2)

    def exchanged(self) -> "_Bounds":
        """As if near and far had been given the other way round."""
        return _Bounds(self.base_ns, self.middle_ns, self.high, self.high_at, self.low, self.low_at)


def _bounds(forth: tuple[Ints, Ints], back: tuple[Ints, Ints]) -> _Bounds:
    base_ns = int(forth[0][0] - forth[1][0])
    middle_ns = int(min(forth[1].min(), back[1].min())) + int(max(forth[1].max(), back[1].max()))
    middle_ns //= 2
    columns: list[_Floats] = []
    for near, far in (forth, back):
        columns += [
            (near - far - base_ns).astype(np.float64), (far - middle_ns).astype(np.float64)
        ]  # fmt: skip
    return _Bounds(base_ns, middle_ns, *columns)


def _are_many(forth: tuple[Ints, Ints], back: tuple[Ints, Ints]) -> bool:
    middle = float(np.median(np.concatenate([forth[0], back[0]])))
    return all(
        min(np.count_nonzero(near > middle), np.count_nonzero(near <= middle)) >= _LEAST
        for near, _ in (forth, back)
    )


def _refuse(band: _Band, bounds: _Bounds) -> None:
    if bounds.exchanged().steepest().width > _STAMP_NS:
        raise ClocksError("the client's segments were seen there before they left here")
    if band.width < -_WANDER_NS:
        raise ClocksError("a clock was set while they were taken")
