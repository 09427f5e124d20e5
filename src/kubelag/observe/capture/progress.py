"""How far both sides had come before each segment of a batch: sequence numbers made offsets.

Sequence numbers wrap around (RFC 9293, section 3.4); they are read as what is nearest to where the
side was when the batch began. A batch is therefore kept so small that no side says 1 GiB in it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kubelag.observe.capture.frames import Flags, Ints, running_maximum
from kubelag.observe.capture.segments import ACK, FIN, RST, SYN, Segments, Words
from kubelag.observe.capture.standing import Standing

_APART = 1 << 34
"""Between connections in one running maximum; larger than any step within a batch."""
_BELOW = -(1 << 62)
"""Lower than any step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Columns beside the segments of a batch, which stand by connection and then by time."""

    flow: Ints
    side: Ints
    """Who sent it: 0 for the client, 1 for the server."""
    begins: Ints
    """Where each connection's segments begin."""
    ends: Ints
    start: Ints
    """Offset of the first byte; meaningless for a reset."""
    end: Ints
    """After its last byte, with SYN and FIN as one byte each."""
    sent: tuple[Ints, Ints]
    """How far each side had come before this segment."""
    acked: tuple[Ints, Ints]
    """How far it had been acknowledged before this segment."""
    reached: tuple[Ints, Ints]
    """How far each side had come with this segment."""
    confirmed: tuple[Ints, Ints]
    """How far it was acknowledged with this segment."""


def progress(rows: Segments, flow: Ints, standing: Standing) -> Progress:
    """Place the segments; fills in where offsets count from for what is new."""
    changes = np.flatnonzero(flow[1:] != flow[:-1]) + 1
    begins = np.concatenate([np.zeros(1, np.int64), changes])
    ends = np.append(changes, len(flow))
    spans = _Spans(begins, ends - begins, flow[begins])
    by_client = rows.source == spans.each(standing.client[spans.numbers])
    side = (~by_client).astype(np.int64)
    _set_origins(rows, flow, side, (begins, ends), standing)
    mine = spans.each(2 * np.arange(len(begins))) + side
    other = mine ^ 1
    isn = standing.isn[spans.numbers]
    edge, acked = standing.edge[spans.numbers], standing.acked[spans.numbers]
    length = rows.payload + (((rows.flags & SYN) >> 1) + (rows.flags & FIN))
    start = _step(rows.seq, isn, edge, mine)
    end = start + length
    ack = _step(rows.ack, isn, acked, other)
    counts = (rows.flags & RST) == 0
    heard = ((rows.flags & ACK) > 0) & counts & standing.has_isn[spans.numbers].take(other)
    said, told = spans.marked(end, counts), spans.marked(ack, heard)
    sent, reached, known, confirmed = [], [], [], []
    for which, by_it in ((0, by_client), (1, ~by_client)):
        before, after = spans.running(said, by_it, edge[:, which])
        sent.append(before)
        reached.append(after)
        before, after = spans.running(told, ~by_it, acked[:, which])
        known.append(before)
        confirmed.append(after)
    base = edge.take(mine)
    return Progress(
        flow=flow,
        side=side,
        begins=begins,
        ends=ends,
        start=start + base,
        end=end + base,
        sent=(sent[0], sent[1]),
        reached=(reached[0], reached[1]),
        acked=(known[0], known[1]),
        confirmed=(confirmed[0], confirmed[1]),
    )


def _step(words: Words, isn: Words, offset: Ints, which: Ints) -> Ints:
    """Signed distance from where that side was when the batch began.

    Args:
        words: Of each segment.
        isn: Of the batch's connections, both sides beside one another.
        offset: Where each of these sides was.
        which: Which of these sides each segment is about.
    """
    reference = isn + offset.astype(np.uint32)
    distance: Ints = (words - reference.take(which)).view(np.int32).astype(np.int64)
    return distance


class _Spans(NamedTuple):
    """Where each connection's segments stand, so that one running maximum serves all of them."""

    begins: Ints
    lengths: Ints
    numbers: Ints

    def each(self, column: Ints) -> Ints:
        """What each connection has, for each of its segments."""
        return np.repeat(column, self.lengths)

    def marked(self, steps: Ints, counts: Flags) -> Ints:
        """The steps set apart from other connections', and those that do not count far below."""
        return np.where(counts, steps + self.each(self.numbers * _APART), _BELOW)

    def running(self, marked: Ints, mine: Flags, base: Ints) -> tuple[Ints, Ints]:
        """How far a side was before and with each segment.

        Args:
            marked: Steps from where the side was when the batch began.
            mine: Which of them are of that side.
            base: By connection, where the side was then; it never falls below.
        """
        apart = self.numbers * _APART
        highest = np.where(mine, marked, _BELOW)
        highest[self.begins] = np.maximum(highest[self.begins], apart)
        after = running_maximum(highest)
        after -= self.each(apart - base)
        before = np.empty_like(after)
        before[1:] = after[:-1]
        before[self.begins] = base
        return before, after


def _set_origins(
    rows: Segments, flow: Ints, side: Ints, spans: tuple[Ints, Ints], standing: Standing
) -> None:
    has_isn = standing.has_isn
    begins, ends = spans
    new = np.flatnonzero(~has_isn[flow[begins]].all(axis=1))
    for begin, end in zip(begins[new].tolist(), ends[new].tolist(), strict=True):
        number = int(flow[begin])
        for row in range(begin, end):
            which, flags = int(side[row]), int(rows.flags[row])
            if flags & RST:
                continue
            _set_origin(standing, number, which, int(rows.seq[row]))
            if flags & ACK:
                _set_origin(standing, number, 1 - which, int(rows.ack[row]))
            if has_isn[number].all():
                break


def _set_origin(standing: Standing, flow: int, side: int, word: int) -> None:
    if not standing.has_isn[flow, side]:
        standing.has_isn[flow, side] = True
        standing.isn[flow, side] = word


def is_long(rows: Segments) -> bool:
    """Whether one side may say so much that its sequence numbers could be misread."""
    return int(rows.payload.sum()) > _LONG_BYTES


_LONG_BYTES = 1 << 30
