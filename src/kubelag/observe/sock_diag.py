"""The kernel's list of sockets: questions and answers of NETLINK_SOCK_DIAG (sock_diag(7)).

Pure bytes, no socket: a request for the TCP or UDP sockets of one address family, and the decoder
of what comes back, `inet_diag_msg` with `tcp_info` as an attribute (linux/inet_diag.h,
linux/tcp.h). `tcp_info` only ever grew at its end, so a field is there when the kernel sent enough
bytes, and None otherwise: 3.x has the first 104 bytes, 4.1 the byte counters, 4.9 the smallest
round trip, 4.10 the busy times, 4.19 what was sent.

The kernel runs a small program over each socket and sends only those that it accepts. Ports are
compared with "at least" and "at most", which every kernel knows; "equal" came with 4.16.

To list TCP sockets the kernel walks its whole hash table, whatever the filter: 0.15 ms where it has
some ten thousand buckets, 6 ms with 60,000 connections in it (390 ms without a filter), those in
TIME_WAIT included. The old form of the question (TCPDIAG_GETSOCK) walks it once for both address
families, so that is the one for TCP.
"""

import os
import socket
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from kubelag.errors import KubelagError

Protocol = Literal["tcp", "udp"]
State = Literal[
    "established",
    "syn_sent",
    "syn_received",
    "fin_wait_1",
    "fin_wait_2",
    "time_wait",
    "closed",
    "close_wait",
    "last_ack",
    "listening",
    "closing",
    "other",
]
_STATES: tuple[State, ...] = get_args(State)[:-1]
"""From 1 on, in the kernel's order (net/tcp_states.h)."""

_TCP_OF_BOTH_FAMILIES, _BY_FAMILY = 18, 20
_ERROR, _DONE = 2, 3
_DUMP = 0x301
"""NLM_F_REQUEST, NLM_F_ROOT and NLM_F_MATCH: all that match."""
_PROTOCOLS: dict[Protocol, int] = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}
_INFO_EXTENSION = 2
_REQ_BYTECODE = 1
_JUMP, _AT_LEAST, _AT_MOST = 1, 4, 5
_NO_INTERFACE_NO_COOKIE = struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)

_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBBI36s12s")
_OLD_REQUEST = struct.Struct("=BBBB36s12sII")
_MESSAGE = struct.Struct("=BBBB4s16s16sIQIIIII")
_ATTRIBUTE = struct.Struct("=HH")
_PORTS = struct.Struct("!HH")
_MAX_PORTS = 1_000
"""A kernel takes 64 KiB of filter, at 20 bytes each; nobody has so many ports."""

_OLDEST = struct.Struct("=8B24I")
_BYTES_ACKED, _SEGMENTS, _SEGMENTS_AND_RTT, _BUSY, _BYTES_SENT = (
    (120, struct.Struct("=QQ")),
    (136, struct.Struct("=II")),
    (144, struct.Struct("=IIII")),
    (168, struct.Struct("=QQ")),
    (200, struct.Struct("=QQ")),
)
_UNKNOWN_RTT = 0xFFFFFFFF
_TIMESTAMPS_OPTION = 1
_TIMESTAMPS_BYTES = 12


class SocketListError(KubelagError):
    """The kernel's list of sockets or neighbours could not be asked for or read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpInfo:
    """What the kernel tells of one TCP connection; None where this kernel does not tell it."""

    state: State
    retransmits: int
    """Times that the segment (or SYN) now in flight has been sent again."""
    backoff: int
    """Doublings of the retransmission timer now in force."""
    snd_mss: int
    rcv_mss: int
    unacked: int
    """Segments sent and not acknowledged."""
    lost: int
    last_data_sent_ms: int
    """Since when nothing was sent, in steps of the kernel's tick (1 to 10 ms)."""
    last_data_recv_ms: int
    pmtu: int
    rtt_us: int
    """Smoothed round trip; 0 before the first."""
    rttvar_us: int
    snd_cwnd: int
    advmss: int
    """The segment size that we announced."""
    has_timestamps: bool
    total_retrans: int
    """Segments sent again since the connection began, SYNs included."""
    bytes_acked: int | None = None
    """Of what we sent, our SYN counted as one."""
    bytes_received: int | None = None
    """In order, the other side's FIN counted as one."""
    segs_out: int | None = None
    segs_in: int | None = None
    notsent_bytes: int | None = None
    min_rtt_us: int | None = None
    data_segs_in: int | None = None
    data_segs_out: int | None = None
    busy_us: int | None = None
    """How long there was something to send."""
    rwnd_limited_us: int | None = None
    """How long the other side's window was what kept us."""
    bytes_sent: int | None = None
    """Payload, what was sent again included."""
    bytes_retrans: int | None = None

    @property
    def timestamps_bytes(self) -> int:
        """What the timestamp option takes from each segment's payload."""
        return _TIMESTAMPS_BYTES if self.has_timestamps else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Socket:
    """One socket of this network namespace at one moment."""

    protocol: Protocol
    state: State
    """A connected UDP socket counts as `established`."""
    local: str
    """`IP:port`; an IPv4 address in an IPv6 socket is written as IPv4."""
    remote: str
    remote_address: str
    remote_port: int
    cookie: int
    """Tells it from every other socket of this boot (of those alive, before 4.11)."""
    uid: int
    inode: int
    """0 once no process holds it any more."""
    receive_queue_bytes: int
    """Arrived and not read by the program."""
    send_queue_bytes: int
    """Written by the program and not acknowledged (TCP)."""
    raw_info: bytes = b""
    """For `parse_tcp_info`; empty for UDP and in TIME_WAIT."""


def states_mask(*states: State) -> int:
    """The bits of some states."""
    return sum(1 << (_STATES.index(state) + 1) for state in states)


def encode_request(
    *, family: int, protocol: Protocol, states: int, ports: Collection[int], sequence: int
) -> bytes:
    """The question for all sockets in some states, to some remote ports (all, where none).

    Args:
        family: AF_INET or AF_INET6; for TCP also AF_UNSPEC, both at once.
        protocol: `tcp` or `udp`.
        states: By `states_mask`.
        ports: Remote ports.
        sequence: The number that the answer will carry.
    """
    if family == socket.AF_UNSPEC:
        kind, nowhere = _TCP_OF_BOTH_FAMILIES, _NO_INTERFACE_NO_COOKIE
        body = _OLD_REQUEST.pack(0, 0, 0, _INFO_EXTENSION, b"", nowhere, states, 0)
    else:
        kind, number = _BY_FAMILY, _PROTOCOLS[protocol]
        nowhere = _NO_INTERFACE_NO_COOKIE
        body = _REQUEST.pack(family, number, _INFO_EXTENSION, 0, states, b"", nowhere)
    if ports:
        program = port_filter(ports)
        body += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(program), _REQ_BYTECODE) + program
    return _HEADER.pack(_HEADER.size + len(body), kind, _DUMP, sequence, 0) + body


def port_filter(ports: Collection[int]) -> bytes:
    """The kernel's program that accepts a socket whose remote port is one of these.

    An instruction is (code, step if true, step if false), steps in bytes; to end exactly behind
    the program is to accept, further behind is to reject.

    Raises:
        SocketListError: For more ports than a kernel takes, or for what is no port.
    """
    wanted = sorted(set(ports))
    if not 0 < len(wanted) <= _MAX_PORTS or wanted[0] < 0 or wanted[-1] > 0xFFFF:  # noqa: PLR2004 - the largest port
        raise SocketListError(f"{len(wanted)} ports cannot be asked for at once")
    last = len(wanted) - 1
    return b"".join(_one_port(port, last - index) for index, port in enumerate(wanted))


def _one_port(port: int, others: int) -> bytes:
    """Two comparisons of 8 bytes, then a jump of 4 to the end, which the last does not need.

    Its jump left out, the last is 16 bytes long: the same step of 20 to the next port leads past
    the end, which rejects.
    """
    compared = struct.pack(
        "=BBHBBHBBHBBH", _AT_LEAST, 8, 20, 0, 0, port, _AT_MOST, 8, 12, 0, 0, port
    )
    return compared + (struct.pack("=BBH", _JUMP, 4, others * 20) if others else b"")


def decode(
    data: bytes | memoryview, protocol: Protocol, sequence: int
) -> tuple[list[Socket], bool]:
    """The sockets in one piece of the answer, and whether it was the last.

    What answers another question is passed over.

    Raises:
        SocketListError: Where the kernel refuses, or the bytes are no such answer.
    """
    found: list[Socket] = []
    for kind, body in messages(data, sequence):
        if kind == _DONE:
            return found, True
        if kind in {_BY_FAMILY, _TCP_OF_BOTH_FAMILIES}:
            found.append(_socket(body, protocol))
    return found, False


def messages(data: bytes | memoryview, sequence: int) -> Iterator[tuple[int, memoryview]]:
    """Kind and body of each netlink message that answers this question.

    Raises:
        SocketListError: Where the kernel refuses, or the bytes are no netlink messages.
    """
    view = memoryview(data)
    while view:
        if len(view) < _HEADER.size:
            raise SocketListError("the kernel's answer ends within a header")
        length, kind, _, answers, _ = _HEADER.unpack_from(view)
        if not _HEADER.size <= length <= len(view):
            raise SocketListError(f"the kernel's answer has a message of {length} bytes")
        body = view[_HEADER.size : length]
        if answers == sequence:
            if kind == _ERROR:
                _raise_refusal(body)
            yield kind, body
        view = view[(length + 3) & ~3 :]


def attributes(view: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Kind and content of each netlink attribute; what is cut short ends them.

    Raises:
        SocketListError: Where a length cannot be.
    """
    while len(view) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(view)
        if not _ATTRIBUTE.size <= length <= len(view):
            raise SocketListError(f"the kernel's answer has an attribute of {length} bytes")
        yield kind, view[_ATTRIBUTE.size : length]
        view = view[(length + 3) & ~3 :]


def _raise_refusal(body: memoryview) -> None:
    number = struct.unpack_from("=i", body)[0] if len(body) >= 4 else 0  # noqa: PLR2004 - an int
    if number:
        told = os.strerror(-number).lower()
        raise SocketListError(f"the kernel does not list sockets or neighbours ({told})")


def _socket(body: memoryview, protocol: Protocol) -> Socket:
    if len(body) < _MESSAGE.size:
        raise SocketListError(f"the kernel's answer has a socket of {len(body)} bytes")
    family, state, _, _, ports, source, target, _, cookie, _, received, sent, uid, inode = (
        _MESSAGE.unpack_from(body)
    )
    local_port, remote_port = _PORTS.unpack(ports)
    remote_address = ip_text(family, target)
    info = next((bytes(raw) for kind, raw in attributes(body[_MESSAGE.size :]) if kind == 2), b"")  # noqa: PLR2004 - INET_DIAG_INFO
    return Socket(
        protocol=protocol,
        state=_state(state),
        local=with_port(ip_text(family, source), local_port),
        remote=with_port(remote_address, remote_port),
        remote_address=remote_address,
        remote_port=remote_port,
        cookie=cookie,
        uid=uid,
        inode=inode,
        receive_queue_bytes=received,
        send_queue_bytes=sent,
        raw_info=info if protocol == "tcp" else b"",
    )


def ip_text(family: int, raw: bytes) -> str:
    """An address as text; IPv4 within IPv6 (RFC 4291 section 2.5.5.2) as IPv4.

    Raises:
        SocketListError: Where it is of neither family, or too short.
    """
    try:
        if family == socket.AF_INET:
            return socket.inet_ntop(socket.AF_INET, raw[:4])
        if family == socket.AF_INET6:
            if raw.startswith(b"\0" * 10 + b"\xff\xff"):
                return socket.inet_ntop(socket.AF_INET, raw[12:])
            return socket.inet_ntop(socket.AF_INET6, raw)
    except ValueError as error:
        raise SocketListError(f"the kernel's answer has an address of {len(raw)} bytes") from error
    raise SocketListError(f"the kernel's answer has the address family {family}")


def with_port(address: str, port: int) -> str:
    """`192.0.2.1:6443`, `[2001:db8::1]:6443`."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _state(number: int) -> State:
    return _STATES[number - 1] if 1 <= number <= len(_STATES) else "other"


def parse_tcp_info(raw: bytes) -> TcpInfo:
    """What `tcp_info` says, as much as this kernel sends.

    Raises:
        SocketListError: For less than the oldest kernel sends.
    """
    if len(raw) < _OLDEST.size:
        raise SocketListError(f"the kernel's tcp_info has only {len(raw)} bytes")
    state, _, retransmits, _, backoff, options, _, _, *words = _OLDEST.unpack_from(raw)
    acked, received = _later(raw, _BYTES_ACKED)
    segs_out, segs_in = _later(raw, _SEGMENTS)
    notsent, min_rtt, data_in, data_out = _later(raw, _SEGMENTS_AND_RTT)
    busy, rwnd_limited = _later(raw, _BUSY)
    sent, sent_again = _later(raw, _BYTES_SENT)
    return TcpInfo(
        state=_state(state),
        retransmits=retransmits,
        backoff=backoff,
        has_timestamps=bool(options & _TIMESTAMPS_OPTION),
        snd_mss=words[2],
        rcv_mss=words[3],
        unacked=words[4],
        lost=words[6],
        last_data_sent_ms=words[9],
        last_data_recv_ms=words[11],
        pmtu=words[13],
        rtt_us=words[15],
        rttvar_us=words[16],
        snd_cwnd=words[18],
        advmss=words[19],
        total_retrans=words[23],
        bytes_acked=acked,
        bytes_received=received,
        segs_out=segs_out,
        segs_in=segs_in,
        notsent_bytes=notsent,
        min_rtt_us=None if min_rtt == _UNKNOWN_RTT else min_rtt,
        data_segs_in=data_in,
        data_segs_out=data_out,
        busy_us=busy,
        rwnd_limited_us=rwnd_limited,
        bytes_sent=sent,
        bytes_retrans=sent_again,
    )


def _later(raw: bytes, piece: tuple[int, struct.Struct]) -> tuple[int | None, ...]:
    """Fields that newer kernels added, None each where this one has them not."""
    offset, layout = piece
    if len(raw) >= offset + layout.size:
        return layout.unpack_from(raw, offset)
    return (None,) * (len(layout.format) - 1)
