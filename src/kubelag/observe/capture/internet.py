"""IPv4 and IPv6: who sent what to whom, and where the transport's header begins."""

import ipaddress
from dataclasses import dataclass

import numpy as np

from kubelag.observe.capture.frames import (
    Account,
    Flags,
    Frames,
    Ints,
    headers,
    overlapping,
    picked,
)
from kubelag.observe.capture.link import IPV4, IPV6, Linked

ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
_HOP, _ROUTING, _FRAGMENT, _AUTH, _OPTIONS, _MOBILITY = 0, 43, 44, 51, 60, 135
_EXTENSIONS = (_HOP, _ROUTING, _FRAGMENT, _AUTH, _OPTIONS, _MOBILITY)
_MAX_EXTENSIONS = 8
"""More than that nobody sends but to do harm. Arbitrary."""
_MAX_OFFLOAD_BYTES = 1 << 20
"""More than any card is given at once (Linux: 512 KiB, GSO_MAX_SIZE)."""
_IS_V6 = 1 << 46
"""A host's number is its IPv4 address, or this bit and 46 mixed bits of its IPv6 address."""

_V4 = np.dtype(
    [
        ("version", "u1"),
        ("service", "u1"),
        ("total", ">u2"),
        ("id", ">u2"),
        ("fragment", ">u2"),
        ("ttl", "u1"),
        ("protocol", "u1"),
        ("sum", ">u2"),
        ("source", ">u4"),
        ("target", ">u4"),
    ]
)
_V6 = np.dtype(
    [
        ("version", "u1"),
        ("flow", "V3"),
        ("length", ">u2"),
        ("next", "u1"),
        ("hops", "u1"),
        ("source", ">u8", (2,)),
        ("target", ">u8", (2,)),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Datagrams:
    """IP packets whose transport header can be found, and later fragments (`offset` > 0)."""

    row: Ints
    """Which frame it is."""
    protocol: Ints
    at: Ints
    """Where the transport's header begins."""
    end: Ints
    """Where the captured bytes end."""
    size: Ints
    """Bytes of transport header and payload, as IP says."""
    source: Ints
    """Number of the host."""
    target: Ints
    id: Ints
    """The packet's number, 0 where there is none."""
    offset: Ints
    """Of a fragment, in bytes."""
    has_more: Flags
    """Whether fragments follow."""

    def some(self, rows: Ints) -> "Datagrams":
        """These of them."""
        return Datagrams(**{name: getattr(self, name)[rows] for name in Datagrams.__slots__})


def datagrams(frames: Frames, linked: Linked, account: Account) -> Datagrams:
    """The IP packets of a batch, in order; what is cut within its IP header counts as unread."""
    parts = []
    room = frames.at + frames.captured - linked.ip_at
    for kind, least, take in ((IPV4, _V4.itemsize, _version4), (IPV6, _V6.itemsize, _version6)):
        of_kind = linked.kind == kind
        rows = np.flatnonzero(of_kind & (room >= least))
        account.unread += int(np.count_nonzero(of_kind)) - len(rows)
        if len(rows):
            part = take(frames, picked(linked.ip_at, rows), rows)
            account.unread += len(rows) - len(part.row)
            parts.append(part)
    if len(parts) == 1:
        return parts[0]
    return _joined(parts)


def host_of(address: str) -> int:
    """The number of the host with this address.

    Raises:
        ValueError: It is no address.
    """
    parsed = ipaddress.ip_address(address)
    if parsed.version == 4:  # noqa: PLR2004 - versions
        return int(parsed)
    halves = np.frombuffer(parsed.packed, ">u8").reshape(1, 2)
    return int(_mixed(halves)[0])


def address_at(data: "np.ndarray[tuple[int], np.dtype[np.uint8]]", at: int, size: int) -> str:
    """The address that stands here, of 4 or 16 bytes."""
    raw = data[at : at + size].tobytes()
    if size == 4:  # noqa: PLR2004 - IPv4, which is written ten times faster so
        return ".".join(map(str, raw))
    return str(ipaddress.ip_address(raw))


def is_version6(host: int) -> bool:
    """Whether this number stands for an IPv6 address."""
    return bool(host & _IS_V6)


def _version4(frames: Frames, at: Ints, rows: Ints) -> Datagrams:
    header = headers(frames.data, at, _V4)
    length = (header["version"] & 15).astype(np.int64) * 4
    good = (header["version"] >> 4 == 4) & (length >= _V4.itemsize)  # noqa: PLR2004 - versions
    if not good.all():
        at, rows, header, length = at[good], rows[good], header[good], length[good]
    total = header["total"].astype(np.int64)
    if not total.all():  # the card cuts the segment later, and its length did not fit
        rest = np.minimum(frames.at[rows] + frames.wire[rows] - at, _MAX_OFFLOAD_BYTES)
        total = np.where(total == 0, rest, total)
    captured_end = picked(frames.at, rows) + picked(frames.captured, rows)
    fragment = header["fragment"].astype(np.int64)
    return Datagrams(
        row=rows,
        protocol=header["protocol"].astype(np.int64),
        at=at + length,
        end=np.minimum(captured_end, at + total),
        size=np.maximum(total - length, 0),
        source=header["source"].astype(np.int64),
        target=header["target"].astype(np.int64),
        id=header["id"].astype(np.int64),
        offset=(fragment & 0x1FFF) * 8,
        has_more=(fragment & 0x2000) != 0,
    )


def _version6(frames: Frames, at: Ints, rows: Ints) -> Datagrams:
    header = headers(frames.data, at, _V6)
    size = header["length"].astype(np.int64)
    # Zero means a jumbogram or a segment that the card cuts later.
    rest = frames.at[rows] + frames.wire[rows] - at - _V6.itemsize
    size = np.where(size == 0, np.minimum(rest, _MAX_OFFLOAD_BYTES), size)
    made = Datagrams(
        row=rows,
        protocol=header["next"].astype(np.int64),
        at=at + _V6.itemsize,
        end=np.minimum(frames.at[rows] + frames.captured[rows], at + _V6.itemsize + size),
        size=np.maximum(size, 0),
        source=_mixed(header["source"]),
        target=_mixed(header["target"]),
        id=np.zeros(len(rows), np.int64),
        offset=np.zeros(len(rows), np.int64),
        has_more=np.zeros(len(rows), np.bool_),
    )
    for _ in range(_MAX_EXTENSIONS):
        if not _skip_extension(frames, made):
            break
    return made


def _skip_extension(frames: Frames, made: Datagrams) -> bool:
    """Move past one extension header wherever there is one; False where there is none."""
    is_extension = np.isin(made.protocol, _EXTENSIONS) & (made.at + 8 <= made.end)
    some = np.flatnonzero(is_extension & (made.offset == 0))
    if not len(some):
        return False
    at, kind = made.at[some], made.protocol[some]
    word = frames.data[at + 1].astype(np.int64)
    length = np.where(kind == _AUTH, (word + 2) * 4, np.where(kind == _FRAGMENT, 8, word * 8 + 8))
    pieces = some[kind == _FRAGMENT]
    if len(pieces):
        field = overlapping(frames.data, ">u2")[made.at[pieces] + 2]
        made.offset[pieces] = field & 0xFFF8
        made.has_more[pieces] = (field & 1) == 1
        made.id[pieces] = overlapping(frames.data, ">u4")[made.at[pieces] + 4]
    made.protocol[some] = frames.data[at]
    made.at[some] += length
    made.size[some] = np.maximum(made.size[some] - length, 0)
    return True


def _mixed(halves: "np.ndarray[tuple[int, int], np.dtype[np.uint64]]") -> Ints:
    high = halves[:, 0].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    low = (halves[:, 1].astype(np.uint64) ^ (high >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return ((low ^ high) >> np.uint64(18)).astype(np.int64) | _IS_V6


def _joined(parts: list[Datagrams]) -> Datagrams:
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts] or [np.empty(0, np.int64)])
        for name in Datagrams.__slots__
    }
    order = np.argsort(columns["row"], kind="stable")
    columns = {name: column[order] for name, column in columns.items()}
    columns["has_more"] = columns["has_more"].astype(np.bool_)
    return Datagrams(**columns)
