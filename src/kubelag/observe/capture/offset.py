"""How far two clocks are apart, from segments that crossed in both directions.

A segment arrives after it left. So what must be added to the far clock is at least
(near, when it left - far, when it arrived) of every segment of the client, and at most
(near, when it arrived - far, when it left) of every segment of the server. The tightest of each
bound it; this is NTP's filter of the smallest round trip (RFC 5905, section 10).
"""

from dataclasses import dataclass

import numpy as np

from kubelag.observe.capture.frames import Ints

_LEAST = 8
"""Segments in each direction and half, before a drift is spoken of. Arbitrary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offset:
    """What must be added to the far clock."""

    ns: int
    error_ns: int
    """Half the smallest round trip."""
    drift_ns: int
    """By how much it changed from the first half to the second, where more than the errors."""


def offset(forth: tuple[Ints, Ints], back: tuple[Ints, Ints]) -> Offset | None:
    """The offset of the clocks; None where segments of one direction only were seen at both ends.

    Args:
        forth: Moments of the client's segments at the near and at the far end.
        back: The same of the server's.
    """
    if not len(forth[0]) or not len(back[0]):
        return None
    low, high = _bounds(forth, back)
    first, second = _halves(forth, back)
    drift = 0
    if first is not None and second is not None:
        change = sum(second) // 2 - sum(first) // 2
        noise = (first[1] - first[0] + second[1] - second[0]) // 2
        drift = change if abs(change) > abs(noise) else 0
    return Offset(ns=(low + high) // 2, error_ns=abs(high - low) // 2, drift_ns=drift)


_Bounds = tuple[int, int]


def _bounds(forth: tuple[Ints, Ints], back: tuple[Ints, Ints]) -> _Bounds:
    return int((forth[0] - forth[1]).max()), int((back[0] - back[1]).min())


def _halves(
    forth: tuple[Ints, Ints], back: tuple[Ints, Ints]
) -> tuple[_Bounds | None, _Bounds | None]:
    middle = int(np.median(np.concatenate([forth[0], back[0]])))
    halves: list[_Bounds | None] = []
    for is_late in (False, True):
        parts = [
            tuple(column[(one[0] > middle) == is_late] for column in one) for one in (forth, back)
        ]
        enough = all(len(part[0]) >= _LEAST for part in parts)
        halves.append(
            _bounds((parts[0][0], parts[0][1]), (parts[1][0], parts[1][1])) if enough else None
        )
    return halves[0], halves[1]
