"""Finds the stretches in which nothing new crossed, and gathers what was known then."""

from collections.abc import Sequence

import numpy as np

from kubelag.model.network import LEAST_PAUSE_NS, Side
from kubelag.observe.capture.expecting import Ended, Silent, Spoke
from kubelag.observe.capture.flow import Flow
from kubelag.observe.capture.frames import Flags, Ints, running_maximum
from kubelag.observe.capture.oddities import Marks, Oddities
from kubelag.observe.capture.progress import Progress
from kubelag.observe.capture.segments import FIN, RST, Segments
from kubelag.observe.capture.standing import NEVER, Standing

_NOTHING, _CLIENT, _SERVER, _SECURED = range(4)
_SPOKE: tuple[Spoke, ...] = ("nobody", "client", "server", "secured")
_SIDES: tuple[Side, Side] = ("client", "server")
_SETTINGS_BYTES = 128
"""What a server says after the handshake before it has heard a question is no answer, of any size:
tickets alone are 168 bytes from Go and 542 from OpenSSL, 761 and 1,726 where they hold the client's
certificate. What follows may still be its SETTINGS and their acknowledgement: 99 bytes of
kube-apiserver 1.20, 104 of the lab's own server (hyper-h2);
measured with kubectl 1.20.2 and 1.33 and with OpenSSL as clients. An answer that is smaller
than what remains of this is not seen as one."""
_MAX_ROWS = 4096
"""Of one silence that are looked through for its repair. Arbitrary."""


class Silences:
    """Those that end in one batch."""

    def __init__(
        self, *, rows: Segments, now: Progress, marks: Marks, oddities: Oddities,
        flows: Sequence[Flow], standing: Standing,
    ) -> None:  # fmt: skip
        self._rows, self._now, self._marks = rows, now, marks
        self._oddities, self._flows, self._standing = oddities, flows, standing
        sums = [np.cumsum(marks.again & (now.side == side)) for side in (0, 1)]
        self._again = [np.concatenate([[0], one]) for one in sums]

    def find(self) -> None:
        """Add them to their connections, and carry over what the next batch needs."""
        now, standing = self._now, self._standing
        news = np.flatnonzero(self._marks.news)
        of, ns = now.flow.take(news), self._rows.ns.take(news)
        is_first = np.diff(of, prepend=-1) != 0
        before = np.where(is_first, standing.news_ns[of], np.roll(ns, 1))
        weights = self._weights(news, of, ns)
        spoke = self._last_words(weights, of, is_first)
        for at in np.flatnonzero(ns - before >= LEAST_PAUSE_NS).tolist():
            number, row = int(of[at]), int(news[at])
            since = -1 if is_first[at] else int(news[at - 1])
            said = int(standing.spoke[number]) if is_first[at] else int(spoke[at - 1])
            self._add(row, since, int(before[at]), said, int(weights[at]))
        self._carry(news, of, ns, spoke)

    def _weights(self, news: Ints, of: Ints, ns: Ints) -> Ints:
        """What each news says: words of a side that count, the handshake's last, or nothing."""
        standing = self._standing
        payload, side = self._rows.payload.take(news), self._now.side.take(news)
        secured_ns = standing.secured_ns.take(of)
        is_after = ns > secured_ns
        is_short = payload <= standing.note_limit.take(of)
        is_client = side == 0
        columns = of, ns, self._now.end.take(news)
        is_note = is_after & is_short
        is_note |= self._is_unasked(
            is_after & is_client & ~is_short, is_after & ~is_client, columns
        )
        weights = np.where((payload == 0) | is_note, _NOTHING, side + 1)
        return np.where((ns == secured_ns) & (payload > 0), _SECURED, weights)

    def _is_unasked(
        self, is_asking: Flags, is_server: Flags, columns: tuple[Ints, Ints, Ints]
    ) -> Flags:
        """Whether it is what a server says of itself: tickets, then SETTINGS."""
        standing, (of, ns, end) = self._standing, columns
        asking = np.flatnonzero(is_asking & (standing.asked_ns.take(of) == NEVER))
        np.minimum.at(standing.asked_ns, of[asking], ns[asking])
        soonest_ns = (standing.asked_ns + standing.way_ns).take(of)
        early = np.flatnonzero(is_server & (ns < soonest_ns))
        np.maximum.at(standing.greeting_end, of[early], end[early])
        is_unasked: Flags = is_server & (end <= (standing.greeting_end + _SETTINGS_BYTES).take(of))
        return is_unasked

    def _last_words(
        self, weights: Ints, of: Ints, is_first: "np.ndarray[tuple[int], np.dtype[np.bool_]]"
    ) -> Ints:
        """Who had said something that counts last, this news included."""
        marks = np.where((weights > 0) | is_first, np.arange(len(of)), 0)
        latest = running_maximum(marks)
        said = np.where((weights == 0) & is_first, self._standing.spoke.take(of), weights)
        return said.take(latest)

    def _add(self, row: int, since: int, start_ns: int, said: int, weight: int) -> None:
        now = self._now
        number, end_ns = int(now.flow[row]), int(self._rows.ns[row])
        flow = self._flows[number]
        begin = since + 1 if since >= 0 else int(np.searchsorted(now.flow, number))
        again = [int(sums[row + 1] - sums[begin]) for sums in self._again]
        if since < 0:
            again = [
                had + int(self._standing.again_since[number, side])
                for side, had in enumerate(again)
            ]
        flow.silent(
            Silent(
                start_ns=start_ns,
                end_ns=end_ns,
                is_connected=is_connected(flow, start_ns),
                spoke=_SPOKE[said],
                ended=self._ended(row, weight),
                client_open=int(now.sent[0][row] - now.acked[0][row]),
                server_open=int(now.sent[1][row] - now.acked[1][row]),
                client_again=again[0],
                server_again=again[1],
                recovered_ns=self._recovered_ns(begin, row) if any(again) else None,
                closed=self._closed(number, begin, row, start_ns),
                has_missed=any(
                    now.confirmed[side][row] > now.reached[side][row] for side in (0, 1)
                ),
            )
        )

    def _ended(self, row: int, weight: int) -> Ended:
        is_server = bool(self._now.side[row])
        if not self._rows.payload[row]:
            closing: Ended = "server_closing" if is_server else "client_closing"
            return closing if self._rows.flags[row] & (FIN | RST) else "nothing"
        if weight == _NOTHING:
            return "server_note" if is_server else "client_note"
        return "server" if is_server else "client"

    def _recovered_ns(self, begin: int, end: int) -> int | None:
        """When all was acknowledged after the last repetition before the end."""
        now, again = self._now, self._marks.again
        if again[end] or end - begin > _MAX_ROWS:
            return None
        repeated = np.flatnonzero(again[begin:end])
        first = begin + int(repeated[-1]) if len(repeated) else begin
        rows = slice(first, end)
        done = (now.confirmed[0][rows] >= now.reached[0][rows]) & (
            now.confirmed[1][rows] >= now.reached[1][rows]
        )
        return int(self._rows.ns[first + int(done.argmax())]) if done.any() else None

    def _closed(self, number: int, begin: int, end: int, start_ns: int) -> Side | None:
        """Whose window was closed for at least half of it."""
        changes = self._oddities.windows.get(number, [])
        flow, end_ns = self._flows[number], int(self._rows.ns[end])
        for side in (0, 1):
            mine = [(row, closed) for row, of, closed in changes if of == side]
            is_closed = not mine[0][1] if mine else flow.closed_ns[side] is not None
            closed_ns, since_ns = 0, start_ns
            for row, closes in mine:
                if row >= end:
                    break
                at_ns = max(start_ns, int(self._rows.ns[row])) if row >= begin else start_ns
                closed_ns += at_ns - since_ns if is_closed else 0
                is_closed, since_ns = closes, at_ns
            closed_ns += end_ns - since_ns if is_closed else 0
            if 2 * closed_ns >= end_ns - start_ns:
                return _SIDES[side]
        return None

    def _carry(self, news: Ints, of: Ints, ns: Ints, spoke: Ints) -> None:
        standing, now = self._standing, self._now
        if len(news):
            last = np.flatnonzero(np.diff(of, append=-1))
            standing.news_ns[of[last]] = ns[last]
            standing.spoke[of[last]] = spoke[last]
            standing.again_since[of[last]] = 0
        begins = now.begins.copy()
        numbers = now.flow[begins]
        if len(news):
            latest = np.searchsorted(news, now.ends) - 1
            has_news = (latest >= 0) & (news[latest] >= begins)
            begins = np.where(has_news, news[latest] + 1, begins)
        for side, sums in enumerate(self._again):
            standing.again_since[numbers, side] += sums[now.ends] - sums[begins]


def last_silence(flow: Flow, number: int, standing: Standing, end_ns: int) -> Silent | None:
    """The one that lasted until the capture ended, if it was long enough."""
    start_ns = int(standing.news_ns[number])
    if end_ns - start_ns < LEAST_PAUSE_NS or flow.ended_ns is not None:
        return None
    opened = standing.edge[number] - standing.acked[number]
    closed: Side | None = None
    for side in (0, 1):
        since_ns = flow.closed_ns[side]
        if since_ns is not None and 2 * (end_ns - max(since_ns, start_ns)) >= end_ns - start_ns:
            closed = _SIDES[side]
    again = standing.again_since[number]
    return Silent(
        start_ns=start_ns,
        end_ns=end_ns,
        is_connected=is_connected(flow, start_ns),
        spoke=_SPOKE[int(standing.spoke[number])],
        ended="nothing",
        client_open=int(opened[0]),
        server_open=int(opened[1]),
        client_again=int(again[0]),
        server_again=int(again[1]),
        recovered_ns=start_ns if again.any() and not opened.any() else None,
        closed=closed,
        has_missed=bool((opened < 0).any()),
    )


def is_connected(flow: Flow, at_ns: int) -> bool:
    """Whether both ends had agreed by then; implied where the begin was not seen."""
    if flow.established_ns is not None:
        return flow.established_ns <= at_ns
    return flow.syn_ns is None
