"""Who spoke when: runs of payload of one side, built from columns, kept within bounds."""

import itertools

import numpy as np

from kubelag.model.network import Burst, Side
from kubelag.observe.capture.frames import Account, Flags, Ints, running_maximum
from kubelag.observe.capture.standing import Standing

MAX_BURSTS = 4096
"""Of one connection, as the model says."""
_MAX_IN_ALL = 131_072
"""Of one capture: a bound on memory, far above what one command needs. Arbitrary."""
_GAP_NS = 5_000_000
"""The model's definition."""
_SIDES: tuple[Side, Side] = ("client", "server")


class Bursts:
    """Collects them batch by batch; one that goes on in the next batch is joined in the end."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._batches: list[tuple[Ints, ...]] = []
        self._room = _MAX_IN_ALL

    def add(
        self, news: Ints, flow: Ints, side: Ints, columns: tuple[Ints, Ints], standing: Standing
    ) -> None:
        """One batch's payload.

        Args:
            news: Rows that brought new payload, by connection and then by time.
            flow: Of each row of the batch.
            side: Of each row.
            columns: Moment and new bytes of each row.
            standing: Counts what was kept of each connection.
        """
        if not len(news) or not self._room:
            return
        ns, fresh, of, by = (one.take(news) for one in (*columns, flow, side))
        breaks: Flags = (np.diff(of) != 0) | (np.diff(by) != 0) | (np.diff(ns) > _GAP_NS)
        begins = np.concatenate([[0], np.flatnonzero(breaks) + 1])
        ends = np.append(begins[1:], len(news))
        number = of[begins]
        kept = np.flatnonzero(_rank(number) + standing.bursts[number] < MAX_BURSTS)
        if len(kept) > self._room:
            self._account.note(f"Of its bursts only the first {_MAX_IN_ALL:,} were kept")
            kept = kept[: self._room]
        self._room -= len(kept)
        np.add.at(standing.bursts, number[kept], 1)
        lines = (
            number,
            by[begins],
            ns[begins],
            ns[ends - 1],
            np.add.reduceat(fresh, begins),
            ends - begins,
        )
        self._batches.append(tuple(column[kept] for column in lines))

    def of_flows(self, count: int) -> list[tuple[Burst, ...]]:
        """The bursts of each connection in order."""
        if not self._batches:
            return [()] * count
        columns = [np.concatenate(column) for column in zip(*self._batches, strict=True)]
        order = np.argsort(columns[0].astype(np.uint16), kind="stable")
        number, *rest = _joined([column[order] for column in columns])
        made = [
            Burst(
                sender=_SIDES[side],
                start_ns=start_ns,
                end_ns=end_ns,
                payload_bytes=size,
                segments=segments,
            )
            for side, start_ns, end_ns, size, segments in zip(
                *(column.tolist() for column in rest), strict=True
            )
        ]
        limits = np.searchsorted(number, np.arange(count + 1)).tolist()
        return [tuple(made[begin:end]) for begin, end in itertools.pairwise(limits)]


def _joined(columns: list[Ints]) -> list[Ints]:
    """Those that go on in the next batch become one; they stand by connection and time."""
    number, side, start_ns, end_ns, size, segments = columns
    breaks: Flags = (np.diff(number) != 0) | (np.diff(side) != 0)
    breaks |= start_ns[1:] - end_ns[:-1] > _GAP_NS
    begins = np.concatenate([[0], np.flatnonzero(breaks) + 1])
    ends = np.append(begins[1:], len(number)) - 1
    sums = [np.add.reduceat(column, begins) for column in (size, segments)]
    return [number[begins], side[begins], start_ns[begins], end_ns[ends], *sums]


def _rank(number: Ints) -> Ints:
    """Position of each within its connection; equal numbers stand together."""
    begins = np.flatnonzero(np.diff(number, prepend=-1))
    marks = np.zeros(len(number), np.int64)
    marks[begins] = begins
    rank: Ints = np.arange(len(number)) - running_maximum(marks)
    return rank
