"""The same packet seen on several interfaces, as `tcpdump -i any` sees it, counts once."""

import numpy as np

from kubelag.observe.capture.frames import Ints
from kubelag.observe.capture.segments import Segments

_APART_NS = 20_000_000
"""From one interface of a machine to the next takes microseconds; no retransmission follows so
soon (200 ms at least on Linux, TCP_RTO_MIN; probes of a lost tail come after two round trips)."""


def without_copies(rows: Segments, flow: Ints) -> tuple[Segments, Ints]:
    """The first sight of each packet; rows stand by connection and then by time."""
    packets = rows.packets
    if not len(rows) or int(packets.place.min()) == int(packets.place.max()):
        return rows, flow
    ip_id, place = packets.ip_id[rows.packet], packets.place[rows.packet]
    keys = (rows.window, rows.flags, rows.payload, ip_id, rows.ack, rows.seq, rows.source, flow)
    order = np.lexsort(keys)  # stable, so that equal ones stay in the order of time
    same = np.ones(len(order) - 1, np.bool_)
    for key in keys:
        ordered = key[order]
        same &= ordered[1:] == ordered[:-1]
    near = np.diff(rows.ns[order]) <= _APART_NS
    elsewhere = np.diff(place[order]) != 0
    kept = np.ones(len(rows), np.bool_)
    kept[order[1:][same & near & elsewhere]] = False
    chosen = np.flatnonzero(kept)
    return rows.some(chosen), flow[chosen]
