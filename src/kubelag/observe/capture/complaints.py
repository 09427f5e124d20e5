"""ICMP errors (RFC 792, RFC 4443) about one of the connections."""

import ipaddress
from typing import Literal, NamedTuple

import numpy as np

from kubelag.model.network import PathMessage
from kubelag.observe.capture.flow import Flow
from kubelag.observe.capture.frames import Frames
from kubelag.observe.capture.internet import ICMP, ICMP6, TCP, Datagrams, address_at
from kubelag.observe.capture.link import Linked

Kind = Literal["too_big", "unreachable", "refused", "other"]

_MAX_MESSAGES = 10_000
"""Arbitrary; a router sends at most some per second."""
_UNREACHABLE4, _TIME4, _TOO_BIG_CODE, _PORT4, _PROTOCOL4 = 3, 11, 4, 3, 2
_UNREACHABLE6, _TOO_BIG6, _TIME6, _PARAMETER6, _PORT6 = 1, 2, 3, 4, 4
_REFUSING4 = (9, 10, 13)
"""Administratively prohibited (RFC 1812, section 5.2.7.1)."""
_REFUSING6 = (1, 5, 6)


class _About(NamedTuple):
    source: str
    target: str


class Complaints:
    """Fed batch by batch; which connections they are about is settled in the end."""

    def __init__(self) -> None:
        self._found: list[tuple[_About, PathMessage]] = []

    def feed(self, frames: Frames, linked: Linked, parcels: Datagrams) -> None:
        """Look for errors in a batch."""
        is_icmp = (parcels.protocol == ICMP) | (parcels.protocol == ICMP6)
        rows = np.flatnonzero(is_icmp)
        rows = rows[(parcels.offset[rows] == 0) & (parcels.at[rows] + 36 <= parcels.end[rows])]
        for row in rows[: max(0, _MAX_MESSAGES - len(self._found))].tolist():
            begin, frame = int(parcels.at[row]), int(parcels.row[row])
            body = frames.data[begin : int(parcels.end[row])].tobytes()
            is_v6 = int(parcels.protocol[row]) == ICMP6
            about = _about(body[8:])
            kind = _kind(body[0], body[1], is_v6=is_v6)
            if about is None or kind is None:
                continue
            ip_at = int(linked.ip_at[frame])
            sender = address_at(frames.data, ip_at + (8 if is_v6 else 12), 16 if is_v6 else 4)
            mtu = int.from_bytes(body[4:8] if is_v6 else body[6:8], "big")
            self._found.append((about, PathMessage(
                at_ns=int(frames.ns[frame]),
                sender=sender,
                kind=kind,
                about=about.target,
                mtu_bytes=mtu or None if kind == "too_big" else None,
            )))  # fmt: skip

    def settle(self, flows: list[Flow]) -> tuple[PathMessage, ...]:
        """Those about one of these connections, by either side; marks what is not reachable."""
        by_ends = {(flow.client, flow.server): flow for flow in flows}
        told = []
        for about, message in self._found:
            flow = by_ends.get(about)
            if flow is not None and message.kind in {"unreachable", "refused"}:
                flow.is_reachable = False
            flow = flow or by_ends.get((about.target, about.source))
            if flow is not None:
                told.append(_renamed(message, flow.server))
        return tuple(told)


def _renamed(message: PathMessage, server: str) -> PathMessage:
    return PathMessage(
        at_ns=message.at_ns,
        sender=message.sender,
        kind=message.kind,
        about=server,
        mtu_bytes=message.mtu_bytes,
    )


def _kind(kind: int, code: int, *, is_v6: bool) -> Kind | None:
    """None where it is no error."""
    if is_v6:
        if kind == _TOO_BIG6:
            return "too_big"
        if kind == _UNREACHABLE6:
            return "refused" if code == _PORT6 or code in _REFUSING6 else "unreachable"
        return "other" if kind in {_TIME6, _PARAMETER6} else None
    if kind == _UNREACHABLE4:
        if code == _TOO_BIG_CODE:
            return "too_big"
        return "refused" if code in {_PORT4, _PROTOCOL4, *_REFUSING4} else "unreachable"
    return "other" if kind in {4, 5, _TIME4, 12} else None


def _about(packet: bytes) -> _About | None:
    """The endpoints of the TCP packet that an error quotes."""
    version = packet[0] >> 4
    if version == 4:  # noqa: PLR2004 - versions
        at, protocol = (packet[0] & 15) * 4, packet[9]
        hosts = packet[12:16], packet[16:20]
    elif version == 6 and len(packet) >= 44:  # noqa: PLR2004 - versions; a header and ports
        at, protocol = 40, packet[6]
        hosts = packet[8:24], packet[24:40]
    else:
        return None
    ports = packet[at : at + 4]
    if protocol != TCP or len(ports) < 4:  # noqa: PLR2004 - two ports
        return None
    shape = "[{}]:{}" if version == 6 else "{}:{}"  # noqa: PLR2004 - versions
    ends = [
        shape.format(ipaddress.ip_address(host), int.from_bytes(ports[at : at + 2], "big"))
        for host, at in zip(hosts, (0, 2), strict=True)
    ]
    return _About(ends[0], ends[1])
