"""TCP segments in columns, as they stand in a batch."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kubelag.observe.capture.frames import Account, Bytes, Frames, Ints, headers
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
class Segments:
    """All columns are of the same length, in the order of the file (until they are sorted)."""

    data: Bytes
    """What `payload_at` and `ip_at` point into."""
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
    header_at: Ints
    payload_at: Ints
    known: Ints
    """Bytes of payload that were captured."""
    ip_at: Ints
    ip_id: Ints
    place: Ints
    """Tells the interfaces apart."""
    from_mac: Ints
    to_mac: Ints

    def __len__(self) -> int:
        return len(self.ns)

    def some(self, rows: Ints) -> "Segments":
        """These of them, in this order."""
        columns = {name: getattr(self, name)[rows] for name in Segments.__slots__ if name != "data"}
        return Segments(data=self.data, **columns)


def segments(frames: Frames, linked: Linked, parcels: Datagrams, account: Account) -> Segments:
    """The TCP segments of a batch; what is cut within its TCP header counts as unread."""
    is_tcp = (parcels.protocol == TCP) & (parcels.offset == 0)
    whole = is_tcp & (parcels.at + _LEAST_BYTES <= parcels.end)
    account.unread += int(np.count_nonzero(is_tcp) - np.count_nonzero(whole))
    of = np.flatnonzero(whole)
    header = headers(frames.data, parcels.at[of], _TCP)
    length = (header["length"] >> 4).astype(np.int64) * 4
    good = (length >= _LEAST_BYTES) & (length <= parcels.size[of])
    if not good.all():
        account.unread += int(len(of) - np.count_nonzero(good))
        of, header, length = of[good], header[good], length[good]
    row, at = parcels.row[of], parcels.at[of]
    payload_at = at + length
    return Segments(
        data=frames.data,
        ns=frames.ns[row],
        source=(parcels.source[of] << 16) | header["source"],
        target=(parcels.target[of] << 16) | header["target"],
        seq=header["seq"].astype(np.uint32),
        ack=header["ack"].astype(np.uint32),
        flags=header["flags"],
        window=header["window"].astype(np.uint16),
        payload=_whole_sizes(parcels, of) - length,
        header_at=at,
        payload_at=payload_at,
        known=np.maximum(parcels.end[of] - payload_at, 0),
        ip_at=linked.ip_at[row],
        ip_id=parcels.id[of],
        place=linked.place[row],
        from_mac=linked.from_mac[row],
        to_mac=linked.to_mac[row],
    )


def segment_limit(rows: Segments, row: int) -> int | None:
    """The MSS that a SYN announces; None where it does not, or was not captured."""
    begin, end = int(rows.header_at[row]) + 20, int(rows.payload_at[row])
    options = rows.data[begin:end].tobytes()
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


def _whole_sizes(parcels: Datagrams, of: Ints) -> Ints:
    """Sizes with what later fragments bring; a fragment of which the first was not seen is lost."""
    later = np.flatnonzero((parcels.protocol == TCP) & (parcels.offset > 0))
    if not len(later):
        return parcels.size[of]
    sizes = parcels.size.copy()
    first = {_packet(parcels, row): row for row in of[parcels.has_more[of]].tolist()}
    for row in later.tolist():
        if (begin := first.get(_packet(parcels, row))) is not None:
            sizes[begin] += parcels.size[row]
    return sizes[of]


def _packet(parcels: Datagrams, row: int) -> tuple[int, int, int]:
    return int(parcels.source[row]), int(parcels.target[row]), int(parcels.id[row])
