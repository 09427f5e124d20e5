"""Which connection each segment belongs to, which side sent it, and in what order they stand."""

import numpy as np

from kubelag.observe.capture.flow import Flow
from kubelag.observe.capture.frames import Account, Ints
from kubelag.observe.capture.internet import address_at, host_of, is_version6
from kubelag.observe.capture.segments import ACK, SYN, Segments
from kubelag.observe.capture.table import MAX_CONNECTIONS, Keys, Table, firsts, keys_of

_SERVER_PORTS = frozenset({2379, 6443, 8001, 8080, 8443, 9443, 10250, 16443})
"""Above 1023, where API servers, balancers, proxies and their kin usually listen."""
_SYSTEM_PORTS = 1024
_EPHEMERAL_PORTS = 32_768
"""Where Linux begins to number clients (net.ipv4.ip_local_port_range)."""
_FEW = 16
_NONE = -1


class Numbering:
    """Numbers connections in the order in which they come up.

    Args:
        servers: As in `Wanted`.
        account: Hears what is left out.
    """

    def __init__(self, servers: frozenset[str] | None, account: Account) -> None:
        self._account = account
        self._wanted = (
            None
            if servers is None
            else np.array([_endpoint(one) for one in sorted(servers)], np.int64)
        )
        self._table = Table()
        self.flows: list[Flow] = []
        self.clients: list[int] = []
        """The client's endpoint of each flow, as `Segments` has it."""

    def sort(self, rows: Segments) -> tuple[Segments, Ints]:
        """Those that belong to a connection, by connection and then by time, with its number."""
        if self._wanted is not None:  # nothing is copied where all are wanted
            rows = rows.some(self._relevant(rows))
        keys = keys_of(rows.source, rows.target)
        numbers, known = self._table.numbers(keys)
        if not known.all():
            new = np.flatnonzero(~known)
            self._meet(rows, keys, new)
            numbers[new], known[new] = self._table.numbers(keys[new])
        numbers[~known] = _NONE
        order = np.argsort(numbers.astype(np.uint16), kind="stable")
        # Where there is none, the number is the largest of 16 bits.
        order = order[: len(order) - int(np.count_nonzero(numbers == _NONE))]
        return self._renewed(rows.some(order), numbers[order], keys, order)

    def _relevant(self, rows: Segments) -> Ints:
        wanted = self._wanted
        if wanted is None:
            return np.arange(len(rows))
        if len(wanted) > _FEW:
            return np.flatnonzero(np.isin(rows.source, wanted) | np.isin(rows.target, wanted))
        found = np.zeros(len(rows), np.bool_)
        for one in wanted.tolist():
            found |= (rows.source == one) | (rows.target == one)
        return np.flatnonzero(found)

    def _meet(self, rows: Segments, keys: Keys, new: Ints) -> None:
        for row in new[firsts(keys[new])].tolist():
            self._table.set(int(keys[row]), self._open(rows, row))

    def _open(self, rows: Segments, row: int) -> int:
        """A new flow that begins with this segment; -1 where there can be none."""
        is_answer = self._is_from_server(rows, row)
        if is_answer is None:
            self._account.note(
                "Connections of which neither side is known as the server's were left out"
            )
            return _NONE
        if len(self.flows) >= MAX_CONNECTIONS:
            self._account.note(
                f"It has more than {MAX_CONNECTIONS:,} connections; later ones were left out"
            )
            return _NONE
        ends = [int(rows.source[row]), int(rows.target[row])]
        texts = [_text(rows, row, end, which) for which, end in enumerate(ends)]
        flow = Flow(client=texts[is_answer], server=texts[not is_answer])
        if rows.flags[row] & SYN:
            flow.syn_seq = int(rows.ack[row]) - 1 if is_answer else int(rows.seq[row])
        self.flows.append(flow)
        self.clients.append(ends[is_answer])
        return len(self.flows) - 1

    def _is_from_server(self, rows: Segments, row: int) -> bool | None:
        source, target = int(rows.source[row]), int(rows.target[row])
        if source == target:
            return None
        if self._wanted is not None:
            ours = [end in self._wanted for end in (source, target)]
            if ours[0] != ours[1]:
                return ours[0]
        if rows.flags[row] & SYN:
            return bool(rows.flags[row] & ACK)
        return _by_ports(source & 0xFFFF, target & 0xFFFF)

    def _renewed(
        self, rows: Segments, numbers: Ints, keys: Keys, order: Ints
    ) -> tuple[Segments, Ints]:
        """A SYN with a new number begins a new connection between the same endpoints."""
        renewals: dict[int, int] = {}
        for row in np.flatnonzero(rows.flags & (SYN | ACK) == SYN).tolist():
            number, seq = int(numbers[row]), int(rows.seq[row])
            latest = renewals.get(number, number)
            if latest != _NONE and self.flows[latest].syn_seq == seq:
                continue
            opened = self._open(rows, row)
            renewals[number] = opened
            self._table.set(int(keys[order[row]]), opened)
            numbers[row] = opened if opened != _NONE else _LEFT_OUT
        if not renewals:
            return rows, numbers
        return _resorted(rows, numbers, keys[order])


_LEFT_OUT = MAX_CONNECTIONS + 1


def _resorted(rows: Segments, numbers: Ints, keys: Keys) -> tuple[Segments, Ints]:
    """What follows a renewal between the same endpoints belongs to it."""
    begins = np.flatnonzero(
        np.concatenate([[True], (keys[1:] != keys[:-1]) | (numbers[1:] > numbers[:-1])])
    )
    marks = np.zeros(len(numbers), np.int64)
    marks[begins] = begins
    numbers = numbers[np.maximum.accumulate(marks)]
    order = np.argsort(numbers.astype(np.uint16), kind="stable")
    order = order[numbers[order] != _LEFT_OUT]
    return rows.some(order), numbers[order]


def _by_ports(source: int, target: int) -> bool | None:
    listening = [port < _SYSTEM_PORTS or port in _SERVER_PORTS for port in (source, target)]
    if listening[0] != listening[1]:
        return listening[0]
    high = [port >= _EPHEMERAL_PORTS for port in (source, target)]
    if high[0] != high[1]:
        return high[1]
    return None


def _endpoint(text: str) -> int:
    host, _, port = text.rpartition(":")
    return (host_of(host.strip("[]")) << 16) | int(port)


def _text(rows: Segments, row: int, end: int, which: int) -> str:
    """`192.0.2.1:6443` or `[2001:db8::1]:6443`."""
    packets, port = rows.packets, end & 0xFFFF
    at = int(packets.ip_at[rows.packet[row]])
    if is_version6(end >> 16):
        return f"[{address_at(packets.data, at + 8 + 16 * which, 16)}]:{port}"
    return f"{address_at(packets.data, at + 12 + 4 * which, 4)}:{port}"
