"""Finds where the records of a capture begin: each one only says where the next one is.

That is the one sequential part of reading. It is made parallel by a guess that is verified: many
walkers start at places that look like the begin of a record and step together. Where a walker
arrives exactly where the next one had started, both were right, since the first one started at a
record that is known; at the first disagreement some records are walked one by one, and then a new
guess is made.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from kubelag.observe.capture.frames import Bytes, Flags, Ints

Sizes: TypeAlias = Callable[[Ints], Ints]
"""Bytes from each record to the next, given where records begin; what is no record may have any
size, since what is reached from there is what nobody else has found."""

_STRIDE_BYTES = 4_160
"""From walker to walker: an odd number of cache lines, or they crowd the same places of the cache.
Measured with packets of 192 bytes on average: 256 MiB took 90, 79, 82 ms of processor time with
2,048, 4,096 and 8,192, and 72 with this."""
_SEARCH_BYTES = 512
"""How far a walker looks for its first record; one that finds none is left out. Measured on the
same packets: 93, 81 and 84 ms with 256, 512 and 1,024 (every 8 KiB)."""
_MAX_STEPS = 512
"""A stride of the smallest records, twice: a walker that needs more is not waited for."""
_ASKED_EACH = 4
"""Steps from one look at who still goes on to the next. Arbitrary."""
_ALONE = 4_096
"""Records that are walked one by one before another guess; that takes about as long as a guess."""
_WORTHWHILE_BYTES = 1 << 19
"""Measured: walking this much alone takes about as long as the least that walking together does,
0.45 ms."""


class Guess(NamedTuple):
    """What the begin of a record looks like."""

    byte: int
    """One byte of it that is rare elsewhere."""
    byte_at: int
    """How far from the begin it stands."""
    fits: Callable[[Ints], Flags]
    """Whether a record may begin at each of these places, which have that byte."""


def walk(
    data: Bytes,
    span: tuple[int, int],
    sizes: Sizes,
    guess: Guess | None,
    next_size: Callable[[int], int],
) -> tuple[Ints, int]:
    """Where records begin that begin within the span, and where the last one ends.

    Args:
        data: What the places point into.
        span: Where a record is known to begin, and where the last one may begin, exclusive.
        sizes: For many places at once; must accept any place before the span's end.
        guess: None where none can be made.
        next_size: For one place; 0 or less ends the walk there.
    """
    at, stop = span
    found: list[Ints] = []
    while at < stop:
        alone = stop if guess is None or stop - at < _WORTHWHILE_BYTES else _ALONE
        if guess is not None and alone == _ALONE:
            places, at = _together(data, (at, stop), sizes, guess)
            found.append(places)
        rest: list[int] = []
        while at < stop and len(rest) < alone and (size := next_size(at)) > 0:
            rest.append(at)
            at += size
        found.append(np.array(rest, np.int64))
        if len(rest) < alone:
            break
    return np.concatenate(found or [np.empty(0, np.int64)]), at


def _together(data: Bytes, span: tuple[int, int], sizes: Sizes, guess: Guess) -> tuple[Ints, int]:
    begins = _begins(data, span, guess)
    limits = np.append(begins[1:], span[1])
    here = begins
    steps = [begins]
    for number in range(_MAX_STEPS):
        arrived = sizes(here)
        arrived += here
        goes_on: Flags = arrived < limits
        here = np.where(goes_on, arrived, here)
        # To ask costs as much as another step does; one too many changes nothing.
        if number % _ASKED_EACH == 0 and not goes_on.any():
            break
        steps.append(here)
    agreed = _agreed(begins, arrived)
    places = np.stack(steps, axis=1)[:agreed]
    is_new = np.ones(places.shape, np.bool_)
    np.not_equal(places[:, 1:], places[:, :-1], out=is_new[:, 1:])
    # The last of them may have met something that is no record, or may not have come to its end.
    is_new[-1] &= places[-1] < here[agreed - 1]
    return places[is_new], int(here[agreed - 1])


def _begins(data: Bytes, span: tuple[int, int], guess: Guess) -> Ints:
    start, stop = span
    count = max(0, (stop - start - _SEARCH_BYTES) // _STRIDE_BYTES - 1)
    first = start + _STRIDE_BYTES + guess.byte_at
    looked = np.ndarray((count, _SEARCH_BYTES), np.uint8, data, first, (_STRIDE_BYTES, 1))
    row, column = np.divmod(np.flatnonzero(looked == guess.byte), _SEARCH_BYTES)
    places = start + _STRIDE_BYTES * (row + 1) + column
    fits = guess.fits(places)
    row, places = row[fits], places[fits]
    is_first = np.diff(row, prepend=-1) > 0
    return np.concatenate([np.array([start], np.int64), places[is_first]])


def _agreed(begins: Ints, ends: Ints) -> int:
    """How many walkers, from the first on, arrived where the next one had started."""
    differs = np.flatnonzero(ends[:-1] != begins[1:])
    return int(differs[0]) + 1 if len(differs) else len(begins)
