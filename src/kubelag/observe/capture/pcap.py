"""The classic format: one header, then packets (draft-ietf-opsawg-pcap)."""

import struct
from collections.abc import Iterator
from typing import Literal

import numpy as np

from kubelag.errors import CaptureError
from kubelag.observe.capture.frames import (
    MAX_PACKET_BYTES,
    Account,
    Chunks,
    Flags,
    Frames,
    Ints,
    Records,
    follow,
    headers,
    overlapping,
)
from kubelag.observe.capture.walking import Guess, walk

Order = Literal["<", ">"]

_FILE_BYTES = 24
_RECORD_BYTES = 16
_MAGICS: dict[bytes, tuple[Order, int]] = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
"""Byte order, and nanoseconds per unit of a record's second word."""
_LIKELY_S = 86_400
"""Moments that differ more from the first packet's are not taken for a guess; any are read."""


def is_pcap(begin: bytes) -> bool:
    """Whether a file that begins so is of this format."""
    return begin[:4] in _MAGICS


def read_pcap(chunks: Chunks, name: str, account: Account) -> Iterator[Frames]:
    """The packets in batches, up to the end or to where the file is damaged.

    Raises:
        CaptureError: The file's own header is cut.
    """
    if chunks.used < _FILE_BYTES:
        raise CaptureError(f"{name} ends within its header", "capture again")
    order, unit_ns = _MAGICS[bytes(chunks.raw[:4])]
    link = struct.unpack_from(f"{order}I", chunks.raw, 20)[0] & 0x0FFFFFFF
    account.links[link] = None
    reader = _Reader(chunks, order, unit_ns, (link,))
    yield from follow(reader, chunks, account, _FILE_BYTES, "packet")


class _Reader:
    """The records of one piece after the other."""

    def __init__(self, chunks: Chunks, order: Order, unit_ns: int, links: tuple[int, ...]) -> None:
        self._chunks = chunks
        self._unit_ns = unit_ns
        self._links = links
        self._words = struct.Struct(f"{order}8xI")
        self._layout = np.dtype([(name, f"{order}u4") for name in ("s", "part", "kept", "wire")])
        self._word = f"{order}u4"
        self.is_damaged = False

    def frames(self, start: int) -> Iterator[tuple[Frames, int]]:
        """The complete records of the present piece from `start` on, and where they end."""
        raw, used, words = self._chunks.raw, self._chunks.used, self._words
        data = self._chunks.array()
        kept_at = overlapping(data[8:], "V4")  # plain bytes are copied faster
        word = np.dtype(self._word)
        self.is_damaged = False

        def sizes(at: Ints) -> Ints:
            size: Ints = kept_at[at].view(word).astype(np.int64)
            size += _RECORD_BYTES
            return size

        def next_size(at: int) -> int:
            kept: int = words.unpack_from(raw, at)[0]
            if kept <= MAX_PACKET_BYTES:
                return kept + _RECORD_BYTES
            self.is_damaged = True
            return 0

        stop = max(start, used - _RECORD_BYTES + 1)
        guess = self._guess(start) if stop - start > _RECORD_BYTES else None
        begins, end = walk(data, (start, stop), sizes, guess, next_size)
        if end > used:  # the last one is not complete
            end = int(begins[-1])
            begins = begins[:-1]
        record = headers(data, begins, self._layout)
        if (blank := _first_blank(record)) is not None:
            self.is_damaged = True
            begins, record, end = begins[:blank], record[:blank], int(begins[blank])
        yield self._frames(begins, record), end

    def _guess(self, start: int) -> Guess:
        data = self._chunks.array()
        first_s = int(headers(data, np.array([start]), self._layout)[0]["s"])

        def fits(at: Ints) -> Flags:
            one = headers(data, at, self._layout)
            good: Flags = np.abs(one["s"].astype(np.int64) - first_s) < _LIKELY_S
            good &= one["part"] < 1_000_000_000 // self._unit_ns
            good &= (one["kept"] <= one["wire"]) & (one["kept"] > 0)
            return good & (one["wire"] <= MAX_PACKET_BYTES)

        return Guess(first_s >> 24, 3 if self._word == "<u4" else 0, fits)

    def _frames(self, begins: Ints, record: Records) -> Frames:
        seconds = record["s"].astype(np.int64)
        return Frames(
            data=self._chunks.array(),
            at=begins + _RECORD_BYTES,
            captured=record["kept"].astype(np.int64),
            wire=record["wire"].astype(np.int64),
            ns=seconds * 1_000_000_000 + record["part"].astype(np.int64) * self._unit_ns,
            interface=np.zeros(len(begins), np.int64),
            links=self._links,
        )


def _first_blank(record: Records) -> int | None:
    """A header of zeros: what a crash leaves of a file, and never a packet."""
    empty = np.flatnonzero(record["kept"] == 0)
    some = record[empty]
    blank = empty[(some["s"] == 0) & (some["part"] == 0) & (some["wire"] == 0)]
    return int(blank[0]) if len(blank) else None
