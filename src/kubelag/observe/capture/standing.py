"""How far each connection had come when the last batch ended, in columns."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from kubelag.observe.capture.frames import Flags, Ints
    from kubelag.observe.capture.segments import Words

NEVER = 2**62
"""Later than any moment."""
_LEAST_ROOM = 64


class Standing:
    """One line per connection; where there are two columns, they are client and server."""

    def __init__(self) -> None:
        self.isn: Words = np.zeros((0, 2), np.uint32)
        """Sequence number that offsets count from: the SYN's, else the first that was seen."""
        self.has_isn: Flags = np.zeros((0, 2), np.bool_)
        self.edge: Ints = np.zeros((0, 2), np.int64)
        """Offset after the last byte (or SYN, FIN) that was seen of a side."""
        self.acked: Ints = np.zeros((0, 2), np.int64)
        """How far the other side acknowledged it."""
        self.sent_bytes: Ints = np.zeros((0, 2), np.int64)
        self.sent_segments: Ints = np.zeros((0, 2), np.int64)
        self.largest: Ints = np.zeros((0, 2), np.int64)
        self.client: Ints = np.zeros(0, np.int64)
        """Its endpoint, as segments have it."""
        self.first_ns: Ints = np.zeros(0, np.int64)
        """-1 until its first segment."""
        self.last_ns: Ints = np.zeros(0, np.int64)
        self.news_ns: Ints = np.zeros(0, np.int64)
        """When something new came last."""
        self.spoke: Ints = np.zeros(0, np.int64)
        """Who said something that counts last, as numbered in `silences`."""
        self.again_since: Ints = np.zeros((0, 2), np.int64)
        """Segments sent again since the last news."""
        self.rtt_ns: Ints = np.zeros(0, np.int64)
        """Smallest time from data to its acknowledgement."""
        self.note_limit: Ints = np.zeros(0, np.int64)
        """Payloads up to this size are no question and no answer; 0 without TLS."""
        self.secured_ns: Ints = np.zeros(0, np.int64)
        self.asked_ns: Ints = np.zeros(0, np.int64)
        """When the client first asked something after the handshake."""
        self.way_ns: Ints = np.zeros(0, np.int64)
        """No answer comes sooner after its question."""
        self.greeting_end: Ints = np.zeros(0, np.int64)
        """Up to this offset the server may still have spoken of itself."""
        self.is_greeting: Flags = np.zeros(0, np.bool_)
        """Whether its first words are still being read."""
        self.bursts: Ints = np.zeros(0, np.int64)
        """How many were kept."""
        self._count = 0

    def grow(self, clients: Sequence[int]) -> None:
        """Make room for new connections.

        Args:
            clients: The client's endpoint of every connection.
        """
        count = len(clients)
        if count > len(self.spoke):
            self._widen(max(_LEAST_ROOM, 2 * count))
        new = slice(self._count, count)
        self.client[new] = clients[self._count :]
        self.secured_ns[new] = NEVER
        self.asked_ns[new] = NEVER
        self.rtt_ns[new] = NEVER
        self.first_ns[new] = -1
        self.is_greeting[new] = True
        self._count = count

    def _widen(self, room: int) -> None:
        for name, column in list(vars(self).items()):
            if isinstance(column, np.ndarray):
                wider = np.zeros((room, *column.shape[1:]), column.dtype)
                wider[: len(column)] = column
                setattr(self, name, wider)
