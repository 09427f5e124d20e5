"""Link layers: where the IP header begins, and which card a packet came from or goes to."""

from dataclasses import dataclass

import numpy as np

from kubelag.observe.capture.frames import Flags, Frames, Ints, Records, headers, overlapping

LINK_NAMES = {
    0: "NULL",
    1: "EN10MB",
    12: "RAW",
    14: "RAW",
    101: "RAW",
    108: "LOOP",
    113: "LINUX_SLL",
    228: "IPV4",
    229: "IPV6",
    276: "LINUX_SLL2",
}
"""The link types that are read, by LINKTYPE_ number (12 and 14 are how DLT_RAW was written)."""
IPV4, IPV6 = 0x0800, 0x86DD
_TAGS = (0x8100, 0x88A8, 0x9100)
"""VLAN, QinQ (802.1ad), and QinQ as it was before the standard."""
_MAX_TAGS = 4
_INCOMING = 0
"""Packet type of LINUX_SLL: sent to us by somebody else."""

_ETHERNET = np.dtype(
    [
        ("to_high", ">u2"),
        ("to_low", ">u4"),
        ("from_high", ">u2"),
        ("from_low", ">u4"),
        ("kind", ">u2"),
    ]
)
_SLL = np.dtype(
    [
        ("type", ">u2"),
        ("arp", ">u2"),
        ("length", ">u2"),
        ("high", ">u2"),
        ("low", ">u4"),
        ("rest", ">u2"),
        ("kind", ">u2"),
    ]
)
_SLL2 = np.dtype(
    [
        ("kind", ">u2"),
        ("zero", ">u2"),
        ("index", ">u4"),
        ("arp", ">u2"),
        ("type", "u1"),
        ("length", "u1"),
        ("high", ">u2"),
        ("low", ">u4"),
        ("rest", ">u2"),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """What the link layer says of each packet; arrays as long as the frames'."""

    ip_at: Ints
    """Where the IP header begins."""
    kind: Ints
    """`IPV4` or `IPV6`; anything else is not read further."""
    from_mac: Ints
    """Of 48 bits; 0 where it is not told."""
    to_mac: Ints
    place: Ints
    """Tells the interfaces apart."""


def unlink(frames: Frames) -> Linked:
    """Take off the link layer of a batch."""
    if len(set(frames.links)) == 1:
        return _of_one(frames, frames.links[0])
    parts = []
    for link in sorted(set(frames.links)):
        numbers = np.flatnonzero(np.array(frames.links) == link)
        rows = np.flatnonzero(np.isin(frames.interface, numbers))
        parts.append((rows, _of_one(_some(frames, rows), link)))
    return _joined(parts, len(frames.at))


def _some(frames: Frames, rows: Ints) -> Frames:
    return Frames(
        data=frames.data,
        at=frames.at[rows],
        captured=frames.captured[rows],
        wire=frames.wire[rows],
        ns=frames.ns[rows],
        interface=frames.interface[rows],
        links=frames.links,
    )


def _joined(parts: list[tuple[Ints, Linked]], count: int) -> Linked:
    columns = {name: np.zeros(count, np.int64) for name in Linked.__slots__}
    for rows, part in parts:
        for name, column in columns.items():
            column[rows] = getattr(part, name)
    return Linked(**columns)


def _of_one(frames: Frames, link: int) -> Linked:
    name = LINK_NAMES.get(link, "")
    if name == "EN10MB":
        return _ethernet(frames)
    if name == "LINUX_SLL2":
        return _cooked2(frames)
    if name == "LINUX_SLL":
        return _cooked(frames)
    if name in {"NULL", "LOOP"}:
        return _bare(frames, 4)
    return _bare(frames, 0 if name else None)


def _ethernet(frames: Frames) -> Linked:
    header = headers(frames.data, frames.at, _ETHERNET)
    ip_at, kind = _untagged(frames, frames.at + 14, header["kind"].astype(np.int64))
    return Linked(
        ip_at=ip_at,
        kind=kind,
        from_mac=_mac(header["from_high"], header["from_low"]),
        to_mac=_mac(header["to_high"], header["to_low"]),
        place=frames.interface,
    )


def _cooked(frames: Frames) -> Linked:
    header = headers(frames.data, frames.at, _SLL)
    ip_at, kind = _untagged(frames, frames.at + 16, header["kind"].astype(np.int64))
    arrived = header["type"] == _INCOMING
    return Linked(
        ip_at=ip_at,
        kind=kind,
        from_mac=np.where(arrived, _mac(header["high"], header["low"]), 0),
        to_mac=np.zeros(len(kind), np.int64),
        place=(frames.interface << 3) | (header["type"] & 7),
    )


def _cooked2(frames: Frames) -> Linked:
    header = headers(frames.data, frames.at, _SLL2)
    ip_at, kind = _untagged(frames, frames.at + 20, header["kind"].astype(np.int64))
    arrived = header["type"] == _INCOMING
    return Linked(
        ip_at=ip_at,
        kind=kind,
        from_mac=np.where(arrived, _mac(header["high"], header["low"]), 0),
        to_mac=np.zeros(len(kind), np.int64),
        place=(frames.interface << 32) | header["index"],
    )


def _bare(frames: Frames, skip: int | None) -> Linked:
    """Without a link layer worth the name: the version is IP's own first half byte."""
    ip_at = frames.at + (skip or 0)
    version = frames.data[ip_at] >> 4
    kind = np.select([version == 4, version == 6], [IPV4, IPV6], 0)  # noqa: PLR2004 - versions
    nothing = np.zeros(len(kind), np.int64)
    return Linked(
        ip_at=ip_at,
        kind=kind.astype(np.int64) if skip is not None else nothing,
        from_mac=nothing,
        to_mac=nothing,
        place=frames.interface,
    )


def _untagged(frames: Frames, at: Ints, kind: Ints) -> tuple[Ints, Ints]:
    """Past VLAN tags, also several."""
    pairs = overlapping(frames.data, ">u2")
    for _ in range(_MAX_TAGS):
        tagged: Flags = (kind == _TAGS[0]) | (kind == _TAGS[1]) | (kind == _TAGS[2])
        rows = np.flatnonzero(tagged)
        if not len(rows):
            break
        at, kind = at.copy(), kind.copy()
        kind[rows] = pairs[at[rows] + 2]
        at[rows] += 4
    return at, kind


def _mac(high: Records, low: Records) -> Ints:
    return (high.astype(np.int64) << 32) | low
