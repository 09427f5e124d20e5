"""Questions to name servers and their answers, matched."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from kubelag.model.network import Lookup
from kubelag.observe.capture.frames import Account, Frames, headers
from kubelag.observe.capture.internet import UDP, Datagrams, address_at, is_version6
from kubelag.observe.capture.link import Linked
from kubelag.observe.capture.segments import Segments

if TYPE_CHECKING:
    from kubelag.observe.capture.questions import Message

_UDP = np.dtype([("source", ">u2"), ("target", ">u2"), ("size", ">u2"), ("sum", ">u2")])
_MAX_LOOKUPS = 20_000
"""Questions and answers that are read. One command asks some tens. Arbitrary."""

_Key = tuple[str, str, int, str, str]
"""Client's socket, name server, id, name, type."""


class Lookups:
    """Fed batch by batch.

    Args:
        ports: Where name servers listen.
        account: Hears of limits.
    """

    def __init__(self, ports: Iterable[int], account: Account) -> None:
        self._ports = np.array(sorted(ports), np.int64)
        self._account = account
        self._asked: dict[_Key, int] = {}
        self._found: list[Lookup] = []
        self._read = 0

    def found(self) -> tuple[Lookup, ...]:
        """In the order of asking."""
        return tuple(self._found)

    def feed(self, frames: Frames, linked: Linked, parcels: Datagrams, streams: Segments) -> None:
        """Look for questions and answers in a batch."""
        self._note_streams(streams)
        rows = np.flatnonzero(parcels.protocol == UDP)
        rows = rows[(parcels.offset[rows] == 0) & (parcels.at[rows] + 8 <= parcels.end[rows])]
        if not len(rows):
            return
        header = headers(frames.data, parcels.at[rows], _UDP)
        is_answer = np.isin(header["source"], self._ports)
        is_question = np.isin(header["target"], self._ports)
        for at in np.flatnonzero(is_answer | is_question).tolist():
            self._read += 1
            if self._read > _MAX_LOOKUPS:
                self._account.note(f"Only its first {_MAX_LOOKUPS:,} DNS messages were read")
                return
            ports = int(header["source"][at]), int(header["target"][at])
            self._message(frames, linked, parcels, int(rows[at]), ports)

    def _note_streams(self, streams: Segments) -> None:
        targets = streams.target & 0xFFFF
        if any((targets == port).any() for port in self._ports):
            self._account.note("DNS over TCP is in it and was not read")

    def _message(
        self, frames: Frames, linked: Linked, parcels: Datagrams, row: int, ports: tuple[int, int]
    ) -> None:
        from kubelag.observe.capture.questions import parsed  # noqa: PLC0415 - as it says itself

        begin, end = int(parcels.at[row]) + 8, int(parcels.end[row])
        message = parsed(frames.data[begin:end].tobytes())
        if message is None:
            self._account.unread += 1
            return
        frame = int(parcels.row[row])
        ends = _ends(frames, int(linked.ip_at[frame]), int(parcels.source[row]), ports)
        ns = int(frames.ns[frame])
        if message.is_answer:
            self._answer(message, (ends[1], ends[0]), ns)
        else:
            self._question(message, ends, ns)

    def _question(self, message: "Message", ends: tuple[str, str], ns: int) -> None:
        key = _key(message, ends)
        if key in self._asked and self._found[self._asked[key]].answered_ns is None:
            at = self._asked[key]
            self._found[at] = replace(self._found[at], asked_times=self._found[at].asked_times + 1)
            return
        self._asked[key] = len(self._found)
        self._found.append(
            Lookup(
                server=ends[1],
                asked_ns=ns,
                answered_ns=None,
                seen_by="capture",
                name=message.name,
                kind=message.kind,
            )
        )

    def _answer(self, message: "Message", ends: tuple[str, str], ns: int) -> None:
        at = self._asked.get(_key(message, ends))
        if at is None or self._found[at].answered_ns is not None:
            return
        self._found[at] = replace(
            self._found[at], answered_ns=ns, code=message.code, addresses=message.addresses
        )


def _key(message: "Message", ends: tuple[str, str]) -> _Key:
    return (*ends, message.id, message.name, message.kind)


def _ends(frames: Frames, ip_at: int, host: int, ports: tuple[int, int]) -> tuple[str, str]:
    """Source and target as `IP:port`."""
    if is_version6(host):
        first, second = (address_at(frames.data, ip_at + at, 16) for at in (8, 24))
        return f"[{first}]:{ports[0]}", f"[{second}]:{ports[1]}"
    first, second = (address_at(frames.data, ip_at + at, 4) for at in (12, 16))
    return f"{first}:{ports[0]}", f"{second}:{ports[1]}"
