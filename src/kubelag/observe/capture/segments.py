"""TCP segments in columns, as they stand in a batch."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kubelag.observe.capture.frames import Account, Bytes, Flags, Frames, Ints, headers, picked
from kubelag.observe.capture.internet import TCP, Datagrams
from kubelag.observe.capture.link import Linked

FIN, SYN, RST, ACK = 1, 2, 4, 16
_LEAST_BYTES = 20
_TCP = np.dtype(
    [
        ("source", ">u2"),
        ("target", ">u2"),
        ("seq", ">u4"),
        ("ack", ">u4"),
        ("length", "u1"),
        ("flags", "u1"),
        ("window", ">u2"),
        ("sum", ">u2"),
        ("urgent", ">u2"),
    ]
)
Words = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Packets:
    """What of a batch is looked at seldom: it stays in the order of the file."""

    data: Bytes
    """What the places point into."""
    end: Ints
    """Where the captured bytes of the IP packet end."""
    header_at: Ints
    """Where the TCP header begins."""
    payload_at: Ints
    ip_at: Ints
    ip_id: Ints
    place: Ints
    """Tells the interfaces apart."""
    from_mac: Ints
    to_mac: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """All columns are of the same length, in the order of the file (until they are sorted)."""

    packets: Packets
    packet: Ints
    """Which of the packets each segment is."""
    ns: Ints
    source: Ints
    """Host's number and port: `host << 16 | port`."""
    target: Ints
    seq: Words
    ack: Words
    flags: npt.NDArray[np.uint8]
    window: npt.NDArray[np.uint16]
    payload: Ints
    """Bytes of payload, as IP says."""

    def __len__(self) -> int:
        return len(self.ns)

    def some(self, rows: Ints) -> "Segments":
        """These of them, in this order."""
        names = (name for name in Segments.__slots__ if name != "packets")
        columns = {name: getattr(self, name).take(rows) for name in names}
        return Segments(packets=self.packets, **columns)

    def words(self, row: int) -> bytes:
        """As much of its payload as was captured."""
        packets, which = self.packets, int(self.packet[row])
        at, end = int(packets.payload_at[which]), int(packets.end[which])
        return packets.data[at : min(end, at + int(self.payload[row]))].tobytes()

    def options(self, row: int) -> bytes:
        """The options of its TCP header."""
        packets, which = self.packets, int(self.packet[row])
        begin, end = int(packets.header_at[which]) + _LEAST_BYTES, int(packets.payload_at[which])
        return packets.data[begin:end].tobytes()


def segments(frames: Frames, linked: Linked, parcels: Datagrams, account: Account) -> Segments:
    """The TCP segments of a batch; what is cut within its TCP header counts as unread."""
    is_tcp = (parcels.protocol == TCP) & (parcels.offset == 0)
    whole = is_tcp & (parcels.at + _LEAST_BYTES <= parcels.end)
    account.unread += int(np.count_nonzero(is_tcp) - np.count_nonzero(whole))
    firsts = _whole_sizes(parcels, whole)
    header = headers(frames.data, firsts.at, _TCP)
    length = (header["length"] >> 4).astype(np.int64) * 4
    good = (length >= _LEAST_BYTES) & (length <= firsts.size)
    if not good.all():
        account.unread += int(len(good) - np.count_nonzero(good))
        firsts, header, length = firsts.some(np.flatnonzero(good)), header[good], length[good]
    return Segments(
        packets=_packets(frames, linked, firsts, length),
        packet=np.arange(len(length)),
        ns=picked(frames.ns, firsts.row),
        source=(firsts.source << 16) | header["source"],
        target=(firsts.target << 16) | header["target"],
        seq=header["seq"].astype(np.uint32),
        ack=header["ack"].astype(np.uint32),
        flags=header["flags"],
        window=header["window"].astype(np.uint16),
        payload=firsts.size - length,
    )


def _packets(frames: Frames, linked: Linked, firsts: Datagrams, length: Ints) -> Packets:
    return Packets(
        data=frames.data,
        end=firsts.end,
        header_at=firsts.at,
        payload_at=firsts.at + length,
        ip_at=picked(linked.ip_at, firsts.row),
        ip_id=firsts.id,
        place=picked(linked.place, firsts.row),
        from_mac=picked(linked.from_mac, firsts.row),
        to_mac=picked(linked.to_mac, firsts.row),
    )


def segment_limit(rows: Segments, row: int) -> int | None:
    """The MSS that a SYN announces; None where it does not, or was not captured."""
    options = rows.options(row)
    at = 0
    while at < len(options) and options[at] != 0:
        if options[at] == 1:
            at += 1
            continue
        kind, length = options[at], options[at + 1] if at + 1 < len(options) else 0
        if kind == 2 and length == 4 and at + 4 <= len(options):  # noqa: PLR2004 - MSS, RFC 9293
            return int.from_bytes(options[at + 2 : at + 4], "big") or None
        at += max(2, length)
    return None


def _whole_sizes(parcels: Datagrams, whole: Flags) -> Datagrams:
    """Those that begin a segment, with the size that later fragments give it.

    A fragment of which the first was not seen is lost.
    """
    if whole.all():
        return parcels
    of = np.flatnonzero(whole)
    later = np.flatnonzero((parcels.protocol == TCP) & (parcels.offset > 0))
    first = {_packet(parcels, row): row for row in of[parcels.has_more[of]].tolist()}
    for row in later.tolist():
        if (begin := first.get(_packet(parcels, row))) is not None:
            parcels.size[begin] += parcels.size[row]
    return parcels.some(of)


def _packet(parcels: Datagrams, row: int) -> tuple[int, int, int]:
    return int(parcels.source[row]), int(parcels.target[row]), int(parcels.id[row])
