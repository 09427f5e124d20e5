"""A batch of packets as they stand in a capture, and the bytes that they are read from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Bytes: TypeAlias = npt.NDArray[np.uint8]
Ints: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]
Records: TypeAlias = npt.NDArray[Any]
"""Structured, or of any width."""

CHUNK_BYTES = 4 << 20
"""Read at once: large enough for numpy's own cost to vanish, small enough for caches. Measured
with 5.6 million packets: 2, 4 and 8 MiB took 2.6, 2.2 and 2.3 s of processor time."""
PAD_BYTES = 256
"""Zeros after the last byte, so that a header may be read of a packet that was cut."""
MAX_PACKET_BYTES = 262_144
"""Largest packet that libpcap writes (MAXIMUM_SNAPLEN); more is damage."""
MAX_RECORD_BYTES = 1 << 20
"""Largest block that is read, of names or secrets for example; more is damage. Arbitrary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """Packets in the order of the file; all arrays are of the same length."""

    data: Bytes
    """The bytes that `at` points into, and `PAD_BYTES` more."""
    at: Ints
    """Where a packet begins."""
    captured: Ints
    """How many of its bytes there are."""
    wire: Ints
    """How long it was."""
    ns: Ints
    """Since the epoch."""
    interface: Ints
    """Number of the interface in `links`."""
    links: tuple[int, ...]
    """Link type of each interface (LINKTYPE_ numbers)."""


class Account:
    """What is said about a capture in the end; grows while it is read."""

    def __init__(self) -> None:
        self.packets = 0
        self.unread = 0
        self.lost = 0
        self.first_ns: int | None = None
        self.last_ns = 0
        self.interfaces: dict[str, None] = {}
        self.links: dict[int, None] = {}
        self._notes: dict[str, None] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """Each sentence once, in the order in which they came up."""
        return tuple(self._notes)

    def note(self, sentence: str) -> None:
        """Say what limits the capture."""
        if len(self._notes) < _MAX_NOTES:
            self._notes[sentence] = None


_MAX_NOTES = 20
"""A hostile file could give cause for millions. Arbitrary."""


class Readable(Protocol):
    """A stream of bytes."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill as much of the buffer as there is; 0 at the end."""


class Chunks:
    """A stream in pieces; what was not used of one stands before the next.

    Args:
        stream: Read from its present position on.
        chunk_bytes: How much is held at once.
    """

    def __init__(self, stream: Readable, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._stream = stream
        self._room = max(chunk_bytes, 2 * MAX_RECORD_BYTES)
        self.raw = bytearray(self._room + PAD_BYTES)
        """The piece itself: `used` bytes of the stream, then zeros. Overwritten by the next."""
        self.used = 0
        self.total = 0
        """Bytes from the stream so far."""
        self.is_over = False

    def fill(self, consumed: int) -> None:
        """Drop what was consumed and read on until the piece is full or the stream ends."""
        view = memoryview(self.raw)
        kept = bytes(view[consumed : self.used])
        view[: len(kept)] = kept
        self.used = len(kept)
        while self.used < self._room and not self.is_over:
            count = self._stream.readinto(view[self.used : self._room])
            self.is_over = not count
            self.used += count or 0
            self.total += count or 0
        view[self.used : self.used + PAD_BYTES] = bytes(PAD_BYTES)

    def array(self) -> Bytes:
        """The whole piece with its zeros."""
        return np.frombuffer(self.raw, np.uint8)


def overlapping(data: Bytes, kind: npt.DTypeLike) -> Records:
    """The bytes as items of this kind, one beginning at each byte."""
    dtype = np.dtype(kind)
    count = max(0, len(data) - dtype.itemsize + 1)
    items: Records = np.ndarray((count,), dtype, data, strides=(1,))
    return items


def headers(data: Bytes, at: Ints, kind: np.dtype[Any]) -> Records:
    """The header of this layout at each position; positions must not be beyond the data."""
    # Plain bytes are copied several times faster than structured items are.
    return overlapping(data, f"V{kind.itemsize}")[at].view(kind)


def picked(column: Ints, rows: Ints) -> Ints:
    """These rows, which are in order; nothing is copied where they are all."""
    return column if len(rows) == len(column) else column.take(rows)


def running_maximum(column: Ints) -> Ints:
    """The largest so far, at each place; none may be the least number of 64 bits.

    The same bits as spans of time: numpy goes through those in 1.0 instead of 2.7 ns each (2.4).
    """
    spans = column.view("m8[ns]")
    highest: Ints = np.maximum.accumulate(spans).view(np.int64)
    return highest


class Reader(Protocol):
    """What takes the present piece of a capture apart."""

    is_damaged: bool
    """Whether nothing after the last batch can be read."""

    def frames(self, start: int) -> Iterator[tuple[Frames, int]]:
        """Batches of the present piece from `start` on, each with where it ends."""


def follow(
    reader: Reader, chunks: Chunks, account: Account, at: int, unit: str
) -> Iterator[Frames]:
    """All batches, piece after piece, up to the end or to where the capture is damaged.

    Args:
        reader: Of the format.
        chunks: The capture.
        account: Is told where it is damaged or cut.
        at: Where the first piece's records begin.
        unit: What its records are called.
    """
    while True:
        for frames, end in reader.frames(at):
            at = end
            yield frames
        if reader.is_damaged:
            account.note(
                f"It is damaged at byte {chunks.total - chunks.used + at:,}; "
                "what comes after was not read"
            )
            return
        if chunks.is_over:
            if at < chunks.used:
                account.note(f"It is cut short: its last {unit} is not complete")
            return
        chunks.fill(at)
        at = 0
