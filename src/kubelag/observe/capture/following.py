"""Follows all connections of a capture through its batches."""

import numpy as np

from kubelag.observe.capture.bursts import Bursts
from kubelag.observe.capture.copies import without_copies
from kubelag.observe.capture.flow import Flow
from kubelag.observe.capture.frames import Account, Flags, Ints
from kubelag.observe.capture.greeting import Greeting
from kubelag.observe.capture.numbering import Numbering
from kubelag.observe.capture.oddities import Marks, Oddities, marks_of
from kubelag.observe.capture.progress import Progress, is_long, progress
from kubelag.observe.capture.segments import ACK, Segments
from kubelag.observe.capture.silences import Silences
from kubelag.observe.capture.standing import NEVER, Standing
from kubelag.observe.capture.tracing import Tracing

_NOTE_BYTES = 48
"""Two WINDOW_UPDATE frames of HTTP/2 in one TLS 1.3 record: 26 bytes, 22 around them. A request
is hardly smaller: a HEADERS frame with a path of any length."""
_NOTE_BYTES_TLS12 = 55
"""The same in a record of TLS 1.2 (AES-GCM: 29 bytes around)."""
_USUAL_SEGMENTS = 8
"""Of a greeting, so that not many more are made ready. 5 to 10 is usual."""
_GREETING_SEGMENTS = 160
"""A greeting has given up before so many."""


class Following:
    """Feed it segments in the order of the file.

    Args:
        servers: As in `Wanted`.
        account: Hears of limits.
    """

    def __init__(self, servers: frozenset[str] | None, account: Account) -> None:
        self.numbering = Numbering(servers, account)
        self.standing = Standing()
        self.bursts = Bursts(account)
        self.tracing = Tracing(account)

    def feed(self, rows: Segments) -> None:
        """The next segments."""
        if is_long(rows) and len(rows) > 1:
            half = np.arange(len(rows))
            self.feed(rows.some(half[: len(half) // 2]))
            self.feed(rows.some(half[len(half) // 2 :]))
            return
        rows, flow = self.numbering.sort(rows)
        rows, flow = without_copies(rows, flow)
        if len(rows):
            self.standing.grow(self.numbering.clients)
            self._follow(rows, flow)

    def _follow(self, rows: Segments, flow: Ints) -> None:
        flows, standing = self.numbering.flows, self.standing
        now = progress(rows, flow, standing)
        self._first_sight(rows, now)
        marks, odd = marks_of(rows, now)
        oddities = Oddities(rows, now, marks, flows)
        oddities.look(odd)
        self._greet(rows, now, marks)
        Silences(
            rows=rows, now=now, marks=marks, oddities=oddities, flows=flows, standing=standing
        ).find()
        has_payload = (rows.payload > 0) & ~marks.copy
        speech = np.flatnonzero(marks.fresh > 0)
        self.bursts.add(speech, flow, now.side, (rows.ns, marks.fresh), standing)
        self.tracing.add(np.flatnonzero(has_payload), rows, now)
        self._hardware(rows, now)
        self._measure(rows, now, marks)
        self._sum_up(rows, now, marks, has_payload)

    def _first_sight(self, rows: Segments, now: Progress) -> None:
        standing = self.standing
        numbers, first_ns = now.flow[now.begins], rows.ns[now.begins]
        new = standing.first_ns[numbers] < 0
        standing.first_ns[numbers[new]] = first_ns[new]
        standing.news_ns[numbers[new]] = first_ns[new]

    def _greet(self, rows: Segments, now: Progress, marks: Marks) -> None:
        """Hand the first words of each connection to its greeting."""
        standing = self.standing
        some = np.flatnonzero(standing.is_greeting[now.flow] & (marks.fresh > 0))
        if not len(some):
            return
        begins = np.flatnonzero(np.diff(now.flow[some], prepend=-1))
        for begin, end in zip(begins.tolist(), [*begins[1:].tolist(), len(some)], strict=True):
            self._greet_one(rows, now, some[begin : min(end, begin + _GREETING_SEGMENTS)])

    def _greet_one(self, rows: Segments, now: Progress, some: Ints) -> None:
        number = int(now.flow[some[0]])
        flow = self.numbering.flows[number]
        greeting = flow.greeting
        for side, seen_ns in enumerate((flow.syn_ns, flow.established_ns)):
            if seen_ns is not None:
                greeting.begins(side)
        for begin in range(0, len(some), _USUAL_SEGMENTS):
            _listen(greeting, rows, now, some[begin : begin + _USUAL_SEGMENTS])
            if greeting.is_done:
                self._greeted(number, flow)
                return

    def _greeted(self, number: int, flow: Flow) -> None:
        standing, greeting = self.standing, flow.greeting
        standing.is_greeting[number] = False
        if greeting.secured_ns is not None:
            standing.secured_ns[number] = greeting.secured_ns
            standing.note_limit[number] = _NOTE_BYTES if greeting.is_tls13 else _NOTE_BYTES_TLS12
            standing.greeting_end[number] = greeting.server_end
            standing.way_ns[number] = flow.rtt_ns or 0

    def _hardware(self, rows: Segments, now: Progress) -> None:
        """Where the server's side changed its hardware address."""
        packets = rows.packets
        for direction, macs in ((0, packets.to_mac), (1, packets.from_mac)):
            some = np.flatnonzero(now.side == direction)
            flow, values = now.flow.take(some), macs.take(rows.packet.take(some))
            changes = np.ones(len(some), np.bool_)
            changes[1:] = (flow[1:] != flow[:-1]) | (values[1:] != values[:-1])
            for at in np.flatnonzero(changes).tolist():
                self.numbering.flows[int(flow[at])].heard_mac(direction, int(values[at]))

    def _measure(self, rows: Segments, now: Progress, marks: Marks) -> None:
        """Round trips of data that was acknowledged by the next segment."""
        side = now.side
        said = (rows.payload > 0) & ~marks.again
        confirmed = np.where(side[1:] == 0, now.confirmed[1][1:], now.confirmed[0][1:])
        fits: Flags = said[:-1] & (side[1:] != side[:-1]) & (now.flow[1:] == now.flow[:-1])
        fits &= ((rows.flags[1:] & ACK) > 0) & (confirmed == now.end[:-1])
        took = np.append(np.where(fits, np.diff(rows.ns), NEVER), NEVER)
        least = np.minimum.reduceat(took, now.begins)
        numbers = now.flow[now.begins]
        self.standing.rtt_ns[numbers] = np.minimum(self.standing.rtt_ns[numbers], least)

    def _sum_up(self, rows: Segments, now: Progress, marks: Marks, has_payload: Flags) -> None:
        standing, begins, last = self.standing, now.begins, now.ends - 1
        numbers = now.flow[begins]
        standing.last_ns[numbers] = rows.ns[last]
        for side in (0, 1):
            mine = now.side == side
            said = mine & has_payload
            standing.edge[numbers, side] = now.reached[side][last]
            standing.acked[numbers, side] = now.confirmed[side][last]
            fresh = np.where(mine, marks.fresh, 0)
            standing.sent_bytes[numbers, side] += np.add.reduceat(fresh, begins)
            standing.sent_segments[numbers, side] += np.add.reduceat(said, begins, dtype=np.int64)
            largest = np.maximum.reduceat(np.where(said, rows.payload, 0), begins)
            standing.largest[numbers, side] = np.maximum(standing.largest[numbers, side], largest)


def _listen(greeting: Greeting, rows: Segments, now: Progress, some: Ints) -> None:
    """Hand over these segments, until it has heard enough."""
    columns = (some, now.side[some], now.start[some], rows.payload[some], rows.ns[some])
    for row, side, start, payload, ns in zip(*(one.tolist() for one in columns), strict=True):
        greeting.feed(side, start, payload, rows.words(row), ns)
        if greeting.is_done:
            return
