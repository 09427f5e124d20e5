"""Finds where the records of a capture begin: each one only says where the next one is.

That is the one sequential part of reading. It is made parallel by a guess that is verified: many
walkers start at places that look like the begin of a record and step together. Where a walker
arrives exactly where the next one had started, both were right, since the first one started at a
record that is known; from the first disagreement on, the rest is walked one by one.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from kubelag.observe.capture.frames import Ints

Sizes: TypeAlias = Callable[[Ints], Ints]
"""Bytes from each record to the next, given where records begin; 0 or less where none can be."""
Likely: TypeAlias = Callable[[Ints], np.ndarray[tuple[int], np.dtype[np.bool_]]]
"""Whether a record may begin at each of these places."""

_STRIDE_BYTES = 32_768
"""From walker to walker: so near that one step of all is much work for numpy. Measured."""
_SEARCH_BYTES = 512
"""How far a walker looks for its first record; one that finds none is left out. Measured."""
_WORTHWHILE_BYTES = 1 << 20
"""Below that, walking alone is as fast."""


def walk(
    start: int, stop: int, sizes: Sizes, likely: Likely, next_size: Callable[[int], int]
) -> tuple[Ints, int]:
    """Where records begin from `start` on that begin before `stop`, and where the last one ends.

    Args:
        start: Where a record is known to begin.
        stop: Records that would begin here or later are left alone.
        sizes: For many places at once; must accept any place before `stop`.
        likely: The guess, for many places at once.
        next_size: For one place; 0 or less ends the walk there.
    """
    found: Ints = np.empty(0, np.int64)
    at = start
    if stop - start > _WORTHWHILE_BYTES:
        found, at = _together(start, stop, sizes, likely)
    rest = []
    while at < stop and (size := next_size(at)) > 0:
        rest.append(at)
        at += size
    return np.concatenate([found, np.array(rest, np.int64)]), at


def _together(start: int, stop: int, sizes: Sizes, likely: Likely) -> tuple[Ints, int]:
    begins = _begins(start, stop, likely)
    limits = np.append(begins[1:], stop)
    at = begins.copy()
    walking = np.arange(len(begins))
    steps = []
    while len(walking):
        here = at[walking]
        size = sizes(here)
        row = np.full(len(begins), -1, np.int64)
        row[walking] = here
        steps.append(row)
        at[walking] = np.where(size > 0, here + size, -1)
        walking = walking[(size > 0) & (at[walking] < limits[walking])]
    agreed = _agreed(begins, at)
    places = np.stack(steps, axis=1)[:agreed].ravel()
    places = places[places >= 0]
    end = int(at[agreed - 1])
    if end < 0:  # the last of them met something that is no record
        return places[:-1], int(places[-1])
    return places, end


def _begins(start: int, stop: int, likely: Likely) -> Ints:
    nominal = np.arange(start + _STRIDE_BYTES, stop, _STRIDE_BYTES)
    nominal = nominal[nominal + _SEARCH_BYTES < stop]
    candidates = nominal[:, None] + np.arange(_SEARCH_BYTES)
    fits = likely(candidates.ravel()).reshape(candidates.shape)
    first = fits.argmax(axis=1)
    guessed = (nominal + first)[fits.any(axis=1)]
    return np.unique(np.append(guessed, start))


def _agreed(begins: Ints, ends: Ints) -> int:
    """How many walkers, from the first on, arrived where the next one had started."""
    differs = np.flatnonzero(ends[:-1] != begins[1:])
    return int(differs[0]) + 1 if len(differs) else len(begins)
