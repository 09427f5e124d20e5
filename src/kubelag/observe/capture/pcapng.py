"""The block format: sections, interfaces, packets, statistics (draft-ietf-opsawg-pcapng)."""

import struct
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from kubelag.errors import CaptureError
from kubelag.observe.capture.frames import (
    MAX_PACKET_BYTES,
    MAX_RECORD_BYTES,
    Account,
    Chunks,
    Flags,
    Frames,
    Ints,
    follow,
    headers,
    overlapping,
)
from kubelag.observe.capture.walking import Guess, walk

_SECTION, _INTERFACE, _PACKET, _SIMPLE, _STATISTICS, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 5, 6
_LITTLE = b"\x4d\x3c\x2b\x1a"
_MAX_INTERFACES = 4096
_MAX_SECTIONS = 10_000
"""Each costs as much as thousands of packets. Nobody joins so many captures. Arbitrary."""
_TSRESOL, _TSOFFSET, _NAME = 9, 14, 2
_IFDROP, _OSDROP = 5, 7
_MICROSECONDS = 6


class _Interface(NamedTuple):
    """How the packets of one interface are to be read."""

    name: str
    link: int
    resolution: int
    """if_tsresol as it stands."""
    offset_s: int
    snaplen: int


def is_pcapng(begin: bytes) -> bool:
    """Whether a file that begins so is of this format."""
    return begin[:4] == b"\x0a\x0d\x0d\x0a"


def read_pcapng(chunks: Chunks, name: str, account: Account) -> Iterator[Frames]:
    """The packets in batches, up to the end or to where the file is damaged.

    Raises:
        CaptureError: Its first section is cut.
    """
    if chunks.used < 28:  # noqa: PLR2004 - a section header without options
        raise CaptureError(f"{name} ends within its header", "capture again")
    yield from follow(_Reader(chunks, account), chunks, account, 0, "block")


class _Reader:
    """The blocks of one piece after the other; interfaces last until the next section."""

    def __init__(self, chunks: Chunks, account: Account) -> None:
        self._chunks = chunks
        self._account = account
        self._order: Literal["<", ">"] = "<"
        self._interfaces: list[_Interface] = []
        self._dropped: dict[int, int] = {}
        self._sections = 0
        self.is_damaged = False

    def frames(self, start: int) -> Iterator[tuple[Frames, int]]:
        """Batches of the present piece, each with where it ends; a section ends a batch."""
        at = start
        while True:
            if self._is_section(at):
                self._sections += 1
                self.is_damaged = self._sections > _MAX_SECTIONS
                if self.is_damaged:
                    return
                self._order = "<" if self._chunks.raw[at + 8 : at + 12] == _LITTLE else ">"
                self._interfaces, self._dropped = [], {}
            begins, end = self._walk(at)
            begins, end = self._complete(begins, end)
            if not len(begins):
                return
            yield self._frames(begins), end
            if not self._is_section(end):
                return
            at = end

    def _is_section(self, at: int) -> bool:
        return at + 12 <= self._chunks.used and is_pcapng(bytes(self._chunks.raw[at : at + 4]))

    def _complete(self, begins: Ints, end: int) -> tuple[Ints, int]:
        if end > self._chunks.used:
            return begins[:-1], int(begins[-1])
        return begins, end

    def _walk(self, start: int) -> tuple[Ints, int]:
        raw, used = self._chunks.raw, self._chunks.used
        data = self._chunks.array()
        words = overlapping(data, f"{self._order}u4")
        two = struct.Struct(f"{self._order}II")

        def sizes(at: Ints) -> Ints:
            size = words[at + 4].astype(np.int64)
            fits = (size >= 12) & (size <= MAX_RECORD_BYTES) & (size % 4 == 0)  # noqa: PLR2004
            fits &= (words[at] != _SECTION) | (at == start)
            return np.where(fits, size, 0)

        def fits(at: Ints) -> Flags:
            size = words[at + 4].astype(np.int64)
            good: Flags = (at % 4 == start % 4) & (size >= 32) & (size < MAX_PACKET_BYTES)  # noqa: PLR2004
            good &= (words[at] == _ENHANCED) & (at + size <= used)
            some = np.flatnonzero(good)
            good[some] = words[at[some] + size[some] - 4] == size[some]
            return good

        def next_size(at: int) -> int:
            kind, size = two.unpack_from(raw, at)
            if kind == _SECTION and at != start:
                return 0
            if size % 4 or not 12 <= size <= MAX_RECORD_BYTES:  # noqa: PLR2004
                self.is_damaged = True
                return 0
            return int(size)

        guess = Guess(_ENHANCED, 0 if self._order == "<" else 3, fits)
        return walk(data, (start, max(start, used - 11)), sizes, guess, next_size)

    def _frames(self, begins: Ints) -> Frames:
        data = self._chunks.array()
        kinds = overlapping(data, f"{self._order}u4")[begins]
        is_packet = (kinds == _ENHANCED) | (kinds == _PACKET) | (kinds == _SIMPLE)
        for at in begins[(kinds == _INTERFACE) | (kinds == _STATISTICS)].tolist():
            self._told(at)
        return self._packets(begins[is_packet], kinds[is_packet])

    def _packets(self, begins: Ints, kinds: Ints) -> Frames:
        data = self._chunks.array()
        order = self._order
        words = ("kind", "size", "interface", "high", "low", "kept", "wire")
        block = headers(data, begins, np.dtype([(name, f"{order}u4") for name in words]))
        columns = {name: block[name].astype(np.int64) for name in words[1:]}
        columns["header"] = np.full(len(begins), 28, np.int64)
        self._old_ones(begins, kinds, columns)
        self._simple_ones(kinds, columns)
        room = columns["size"] - columns["header"] - 4
        is_good = (columns["interface"] < len(self._interfaces)) & (room >= 0)
        is_good &= columns["kept"] <= np.minimum(room, MAX_PACKET_BYTES)
        self._account.unread += int(len(begins) - is_good.sum())
        good = {name: column[is_good] for name, column in columns.items()}
        stamps = (good["high"].astype(np.uint64) << np.uint64(32)) | good["low"].astype(np.uint64)
        return Frames(
            data=data,
            at=begins[is_good] + good["header"],
            captured=good["kept"],
            wire=good["wire"],
            ns=self._moments(stamps, good["interface"]),
            interface=good["interface"],
            links=tuple(one.link for one in self._interfaces),
        )

    def _old_ones(self, begins: Ints, kinds: Ints, columns: dict[str, Ints]) -> None:
        """The obsolete packet block keeps a drop count in half of the interface's word."""
        old = np.flatnonzero(kinds == _PACKET)
        if len(old):
            half = overlapping(self._chunks.array(), f"{self._order}u2")
            columns["interface"][old] = half[begins[old] + 8]

    def _simple_ones(self, kinds: Ints, columns: dict[str, Ints]) -> None:
        """A simple packet block has neither moment nor interface."""
        simple = np.flatnonzero(kinds == _SIMPLE)
        if not len(simple):
            return
        self._account.note("It has packets without a moment; they count as of 1970")
        snaplen = self._interfaces[0].snaplen if self._interfaces else 0
        wire = columns["interface"][simple]
        kept = np.minimum(wire, columns["size"][simple] - 16)
        columns["wire"][simple] = wire
        columns["kept"][simple] = np.minimum(kept, snaplen) if snaplen else kept
        columns["header"][simple] = 12
        for name in ("interface", "high", "low"):
            columns[name][simple] = 0

    def _moments(self, stamps: "np.ndarray[tuple[int], np.dtype[np.uint64]]", of: Ints) -> Ints:
        moments = np.zeros(len(stamps), np.int64)
        for number in np.unique(of).tolist():
            mine = of == number
            moments[mine] = _nanoseconds(stamps[mine], self._interfaces[number])
        return moments

    def _told(self, at: int) -> None:
        raw, order = self._chunks.raw, self._order
        kind, size = struct.unpack_from(f"{order}II", raw, at)
        if kind == _STATISTICS:
            number = struct.unpack_from(f"{order}I", raw, at + 8)[0]
            self._drops(number, _options(raw, at + 20, at + size - 4, order))
            return
        if len(self._interfaces) == _MAX_INTERFACES:
            self.is_damaged = True
            return
        link, snaplen = struct.unpack_from(f"{order}H2xI", raw, at + 8)
        options = _options(raw, at + 16, at + size - 4, order)
        name = options.get(_NAME, b"").decode("utf-8", "replace").rstrip("\0")
        offset = options.get(_TSOFFSET, b"")
        one = _Interface(
            name=name or str(len(self._interfaces)),
            link=link,
            resolution=(options.get(_TSRESOL) or bytes([_MICROSECONDS]))[0],
            offset_s=struct.unpack(f"{order}q", offset)[0] if len(offset) == 8 else 0,  # noqa: PLR2004
            snaplen=snaplen,
        )
        self._interfaces.append(one)
        if len(self._account.interfaces) < _MAX_INTERFACES:
            self._account.interfaces[one.name] = None
        self._account.links[link] = None

    def _drops(self, number: int, options: dict[int, bytes]) -> None:
        """Counts are cumulative for each interface, so the last one counts."""
        lost = sum(
            struct.unpack(f"{self._order}Q", value)[0]
            for code in (_IFDROP, _OSDROP)
            if len(value := options.get(code, b"")) == 8  # noqa: PLR2004
        )
        lost = min(lost, 1 << 62)
        self._account.lost += lost - self._dropped.get(number, 0)
        self._dropped[number] = lost


def _options(raw: bytearray, at: int, end: int, order: str) -> dict[int, bytes]:
    """Options by code, the first of each; ends quietly where they are damaged."""
    found: dict[int, bytes] = {}
    while at + 4 <= end:
        code, length = struct.unpack_from(f"{order}HH", raw, at)
        if code == 0 or at + 4 + length > end:
            break
        found.setdefault(code, bytes(raw[at + 4 : at + 4 + length]))
        at += 4 + (length + 3) // 4 * 4
    return found


def _nanoseconds(stamps: "np.ndarray[tuple[int], np.dtype[np.uint64]]", how: _Interface) -> Ints:
    exponent = how.resolution & 0x7F
    if how.resolution & 0x80:
        whole = stamps >> np.uint64(min(exponent, 63))
        part = stamps - (whole << np.uint64(min(exponent, 63)))
        down = max(0, exponent - 32)  # more digits than nanoseconds need
        part = ((part >> np.uint64(min(down, 63))) * np.uint64(10**9)) >> np.uint64(exponent - down)
        ns = np.minimum(whole, _LATEST_S).astype(np.int64) * 10**9 + part.astype(np.int64)
    elif exponent <= 9:  # noqa: PLR2004 - nanoseconds
        factor = 10 ** (9 - exponent)
        ns = np.minimum(stamps, _LATEST_S * np.uint64(10**9 // factor)).astype(np.int64) * factor
    else:
        ns = (stamps // np.uint64(10 ** min(exponent - 9, 19))).clip(max=_LATEST_NS)
        ns = ns.astype(np.int64)
    offset_s = max(-int(_LATEST_S), min(how.offset_s, int(_LATEST_S)))
    moments: Ints = np.maximum(ns + offset_s * 10**9, 0)
    return moments


_LATEST_S = np.uint64(4_294_967_295)
"""As late as the classic format can say: the year 2106."""
_LATEST_NS = np.uint64(4_294_967_295 * 10**9)
