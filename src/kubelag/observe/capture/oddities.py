"""What is rare in a connection, one segment after the other: begin, end, losses, windows."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kubelag.observe.capture.flow import Flow
from kubelag.observe.capture.frames import Flags, Ints
from kubelag.observe.capture.progress import Progress
from kubelag.observe.capture.segments import ACK, FIN, RST, SYN, Segments, segment_limit

_REORDERED_NS = 3_000_000
"""What comes later than one round trip after it was overtaken was sent again (as tshark has it);
this long where no round trip is known."""
_COPY_NS = 5_000_000
"""Copies of one packet, as a mirror port makes them, follow at once. Arbitrary."""
_LOOK_BACK = 16
"""Segments of a connection between a packet and its copy, at most. Arbitrary."""


class Marks(NamedTuple):
    """Columns that this module fills in."""

    news: Flags
    """Whether the segment brought anything new."""
    fresh: Ints
    """New bytes of payload."""
    again: Flags
    """Whether it, or its SYN or FIN, had been sent before."""
    copy: Flags
    """Whether it is a second sight of the same packet."""


def marks_of(rows: Segments, now: Progress) -> tuple[Marks, Ints]:
    """What is plain in all of them at once, and which ones must be looked at alone."""
    before = np.where(now.side == 0, now.sent[0], now.sent[1])
    has_payload = rows.payload > 0
    in_order = now.start == before
    special = (rows.flags & (SYN | FIN | RST)) > 0
    odd = (has_payload & ~in_order) | (now.start > before) | special | (rows.window == 0)
    plain = has_payload & ~odd
    zero = np.flatnonzero((rows.window == 0) & ~special)
    after = (_next_of_side(now, at) for at in zero.tolist())
    odd[[row for row in after if row]] = True
    marks = Marks(
        news=plain,
        fresh=np.where(plain, rows.payload, 0),
        again=np.zeros(len(rows), np.bool_),
        copy=np.zeros(len(rows), np.bool_),
    )
    return marks, np.flatnonzero(odd)


def _next_of_side(now: Progress, at: int) -> int:
    """The next segment of the same side, 0 where there is none in the batch."""
    for row in range(at + 1, len(now.flow)):
        if now.flow[row] != now.flow[at]:
            return 0
        if now.side[row] == now.side[at]:
            return row
    return 0


class Oddities:
    """Looks at the odd segments of one batch.

    Args:
        rows: The batch.
        now: How far each side had come.
        marks: Filled in here.
        flows: By number.
    """

    def __init__(self, rows: Segments, now: Progress, marks: Marks, flows: Sequence[Flow]) -> None:
        self._rows = rows
        self._now = now
        self._marks = marks
        self._flows = flows
        self.windows: dict[int, list[tuple[int, int, bool]]] = {}
        """By connection: row, side, and whether its window was closed or opened there."""

    def look(self, odd: Ints) -> None:
        """Go through them in order."""
        rows, now = self._rows, self._now
        columns = zip(
            odd.tolist(), now.flow[odd].tolist(), now.side[odd].tolist(),
            rows.flags[odd].tolist(), rows.ns[odd].tolist(), rows.payload[odd].tolist(),
            rows.window[odd].tolist(), strict=True,
        )  # fmt: skip
        for row, number, side, flags, ns, payload, window in columns:
            flow = self._flows[number]
            if flags & SYN:
                self._syn(flow, row, ns, is_answer=bool(flags & ACK))
            if payload:
                self._payload(flow, row, side, ns)
            elif not flags & (SYN | RST):
                self._nothing(flow, row, side, ns)
            if flags & FIN:
                self._fin(flow, row, side, ns)
            if flags & RST:
                self._reset(flow, row, side, ns)
            elif not flags & SYN:
                self._window(flow, number, row, side, ns, is_closed=window == 0)

    def _syn(self, flow: Flow, row: int, ns: int, *, is_answer: bool) -> None:
        limit = segment_limit(self._rows, row)
        if limit is not None:
            flow.limit = limit if flow.limit is None else min(flow.limit, limit)
        if is_answer:
            if flow.established_ns is None:
                flow.established_ns = ns
                self._marks.news[row] = True
                if flow.last_syn_ns is not None:
                    flow.measured(ns - flow.last_syn_ns)
            else:
                self._marks.again[row] = True
            return
        if self._is_copy(row):
            return
        flow.syns += 1
        flow.last_syn_ns = ns
        if flow.syn_ns is None:
            flow.syn_ns = ns
            self._marks.news[row] = True
        else:
            self._marks.again[row] = True

    def _payload(self, flow: Flow, row: int, side: int, ns: int) -> None:
        start, end = int(self._now.start[row]), int(self._now.end[row])
        payload = int(self._rows.payload[row])
        end = start + payload
        before = int(self._now.sent[side][row])
        marks = self._marks
        if start >= before:
            if start > before:
                flow.holes[side].skip(before, start, ns)
            marks.news[row], marks.fresh[row] = True, payload
            return
        filled = flow.holes[side].fill(start, end)
        beyond = max(0, end - before)
        fresh = filled.fresh_bytes + beyond
        if fresh:
            marks.news[row], marks.fresh[row] = True, fresh
            if filled.fresh_bytes:
                was_late = ns - filled.skipped_ns > (flow.rtt_ns or _REORDERED_NS)
                marks.again[row] = was_late
            else:
                marks.again[row] = True
        elif self._is_copy(row) or self._is_keep_alive(row, side, start, before, payload):
            return
        else:
            marks.again[row] = True
        if marks.again[row]:
            flow.again[side] += 1
            flow.largest_again = max(flow.largest_again, payload)

    def _nothing(self, flow: Flow, row: int, side: int, ns: int) -> None:
        """What says nothing tells how far its side had come: what was not seen may come later."""
        start, before = int(self._now.start[row]), int(self._now.sent[side][row])
        if start > before:
            flow.holes[side].skip(before, start, ns)

    def _is_keep_alive(self, row: int, side: int, start: int, before: int, payload: int) -> bool:
        """One byte that was acknowledged long ago asks whether the other end is there."""
        acked = int(self._now.acked[side][row])
        return payload == 1 and start == before - 1 and acked >= before

    def _is_copy(self, row: int) -> bool:
        """Whether the very same packet stands shortly before, by its IP identification."""
        rows, now = self._rows, self._now
        begin = max(0, row - _LOOK_BACK)
        *earlier, number = rows.packets.ip_id[rows.packet[begin : row + 1]].tolist()
        if number == 0 or number not in earlier:
            return False
        same = (
            (now.flow[begin:row] == now.flow[row])
            & (now.side[begin:row] == now.side[row])
            & (np.array(earlier) == number)
            & (rows.seq[begin:row] == rows.seq[row])
            & (rows.payload[begin:row] == rows.payload[row])
            & (rows.ns[row] - rows.ns[begin:row] <= _COPY_NS)
        )
        self._marks.copy[row] = bool(same.any())
        return bool(self._marks.copy[row])

    def _fin(self, flow: Flow, row: int, side: int, ns: int) -> None:
        if flow.fins[side]:
            self._marks.again[row] = True
            return
        flow.fins[side] = True
        self._marks.news[row] = True
        if flow.ending == "open":
            flow.ending = "server_fin" if side else "client_fin"
            flow.ended_ns = ns

    def _reset(self, flow: Flow, row: int, side: int, ns: int) -> None:
        self._marks.news[row] = True
        if flow.ending == "open":
            flow.ending = "server_reset" if side else "client_reset"
            flow.ended_ns = ns

    def _window(
        self, flow: Flow, number: int, row: int, side: int, ns: int, *, is_closed: bool
    ) -> None:
        was_closed = flow.closed_ns[side] is not None
        if is_closed == was_closed:
            return
        flow.zero_windows += is_closed
        flow.closed_ns[side] = ns if is_closed else None
        self.windows.setdefault(number, []).append((row, side, is_closed))
