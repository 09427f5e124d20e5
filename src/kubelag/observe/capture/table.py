"""Numbers the connections of a capture: from two endpoints to a small number, many at once."""

import numpy as np
import numpy.typing as npt

from kubelag.observe.capture.frames import Flags, Ints

MAX_CONNECTIONS = 65_000
"""So that a number fits into 16 bits, which sort several times faster; and a bound on memory."""
_MAX_KEYS = 500_000
"""Also of endpoints that are left out; beyond that they are looked at again each time."""
_SLOT_BITS = 20
_SIGHT_BITS = 16
"""For one batch, which has fewer connections."""
_MIX = np.uint64(0x9E3779B97F4A7C15)
_MIX_MORE = np.uint64(0xD6E8FEB86659FD93)

Keys = npt.NDArray[np.uint64]


def keys_of(source: Ints, target: Ints) -> Keys:
    """One key for both directions between two endpoints."""
    low = np.minimum(source, target).view(np.uint64)
    high = np.maximum(source, target).view(np.uint64)
    mixed: Keys = (low * _MIX) ^ ((high * _MIX_MORE) >> np.uint64(3)) ^ (high << np.uint64(17))
    return mixed * _MIX


def firsts(keys: Keys) -> Ints:
    """Where each key stands first, in order; several times faster than sorting them all."""
    order = np.arange(len(keys))
    slots = (keys >> np.uint64(64 - _SIGHT_BITS)).astype(np.int64)
    sight = np.empty(1 << _SIGHT_BITS, np.int64)
    sight[slots[::-1]] = order[::-1]  # of several, the one that is written last stays
    sight = sight[slots]
    found = np.flatnonzero(sight == order)
    crowded = np.flatnonzero(keys[sight] != keys)
    if not len(crowded):
        return found
    _, at = np.unique(keys[crowded], return_index=True)
    return np.sort(np.concatenate([found, crowded[at]]))


class Table:
    """Keys that are known, with the number that each stands for at present."""

    def __init__(self) -> None:
        self._slots = np.full(1 << _SLOT_BITS, -1, np.int64)
        self._keys = np.zeros(1024, np.uint64)
        self._numbers = np.zeros(1024, np.int64)
        self._count = 0
        self._crowded: dict[int, int] = {}
        """Entries whose slot was taken."""

    def numbers(self, keys: Keys) -> tuple[Ints, Flags]:
        """The number of each key, and whether it is known at all."""
        entries = self._slots.take((keys >> np.uint64(64 - _SLOT_BITS)).view(np.int64))
        known: Flags = (entries >= 0) & (self._keys[entries] == keys)
        numbers = self._numbers[entries]
        if self._crowded:
            rest = np.flatnonzero(~known & (entries >= 0))
            some, back = np.unique(keys[rest], return_inverse=True)
            entries_of = [self._crowded.get(key, -1) for key in some.tolist()]
            found = np.array(entries_of, np.int64)[back]
            known[rest] = found >= 0
            numbers[rest] = self._numbers[found]
        return numbers, known

    def set(self, key: int, number: int) -> None:
        """Let a key stand for this number from now on."""
        slot = key >> (64 - _SLOT_BITS)
        entry = int(self._slots[slot])
        if entry >= 0 and int(self._keys[entry]) == key:
            self._numbers[entry] = number
        elif key in self._crowded:
            self._numbers[self._crowded[key]] = number
        else:
            self._add(key, number, slot)

    def _add(self, key: int, number: int, slot: int) -> None:
        if self._count == _MAX_KEYS:
            return
        if self._count == len(self._keys):
            self._keys = np.concatenate([self._keys, np.zeros_like(self._keys)])
            self._numbers = np.concatenate([self._numbers, np.zeros_like(self._numbers)])
        self._keys[self._count] = key
        self._numbers[self._count] = number
        if self._slots[slot] < 0:
            self._slots[slot] = self._count
        else:
            self._crowded[key] = self._count
        self._count += 1
