"""What measures a cable from outside: bare segments that nobody answers, bytes, connections.

A probe is a TCP segment with the reset bit and made-up sequence numbers for a connection that
does not exist: the receiver's kernel drops it without a word, and a raw socket beside it has seen
it come. So any port and any size can be tried where real servers listen.
"""

import contextlib
import errno
import ipaddress
import secrets
import socket
import statistics
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from kubelag.errors import LabError
from kubelag.lab.network.impair.cable import Spot
from kubelag.lab.network.namespaces import Namespace

PROBE_PORT = 9
"""Where probes go if nobody says where: discard, RFC 863."""
_TCP_BYTES = 20
_IP_BYTES = {socket.AF_INET: 20, socket.AF_INET6: 40}
_RESET = 0x04
WAIT_S = 1.0
"""How long the last probe is waited for. Arbitrary; a bare cable takes 0.00001 s."""
_NEIGHBOUR_S = 0.4
"""How long ARP or its like may take: two ways of a long wire. Arbitrary; usual is 0.0001 s."""
_TAG_BYTES = 8
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h
_BUFFER_BYTES = 4 << 20
"""Room for some thousand probes that come at once, from behind a long wire. Arbitrary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """What became of probes."""

    sent: int
    times_s: tuple[float, ...]
    """From sending to receiving, for each that arrived."""

    @property
    def lost_ratio(self) -> float:
        """The part that did not arrive."""
        return 1 - len(self.times_s) / self.sent

    @property
    def median_s(self) -> float | None:
        """The usual time of one; None where none arrived."""
        return statistics.median(self.times_s) if self.times_s else None


def send_segments(  # noqa: PLR0913 - one measurement: where, how many, and what each looks like
    sender: Spot,
    receiver: Spot,
    *,
    count: int,
    size_bytes: int = 100,
    port: int = PROBE_PORT,
    source_port: int = PROBE_PORT,
    wait_s: float = WAIT_S,
) -> Arrivals:
    """Send probes one after another, and see which arrive.

    Args:
        sender: Where they come from.
        receiver: Where they go.
        count: How many.
        size_bytes: Of the whole IP packet; at least 68.
        port: The TCP port that they go to.
        source_port: The TCP port that they come from.
        wait_s: How long the last one is waited for.

    Raises:
        LabError: There is no such address, or no way from one to the other.
    """
    family = _family(receiver.address)
    with (
        sender.host.do(lambda: _raw(family)) as outgoing,
        receiver.host.do(lambda: _raw(family)) as incoming,
    ):
        padding_bytes = size_bytes - _IP_BYTES[family] - _TCP_BYTES - _TAG_BYTES

        def probe(tag: bytes) -> bytes:
            return _segment(sender, receiver, (source_port, port), tag + bytes(padding_bytes))

        try:
            outgoing.bind((sender.address, 0))
            incoming.bind((receiver.address, 0))
            outgoing.connect((receiver.address, 0))
            # The first one of all waits until the neighbours know each other.
            _send(outgoing, incoming, 1, probe, _NEIGHBOUR_S)
            times_s = _send(outgoing, incoming, count, probe, wait_s)
        except OSError as error:
            raise LabError(
                f"{sender.address} cannot send to {receiver.address}: {error.strerror}"
            ) from error
    return Arrivals(sent=count, times_s=times_s)


def transfer_s(sender: Spot, receiver: Spot, size_bytes: int, timeout_s: float) -> float | None:
    """How long TCP takes to bring so many bytes, without the handshake.

    Returns:
        None where it takes too long, or there is no connection at all.
    """
    family = _family(receiver.address)
    with (
        receiver.host.do(lambda: socket.socket(family)) as listener,
        sender.host.do(lambda: socket.socket(family)) as outgoing,
    ):
        listener.bind((receiver.address, 0))
        listener.listen()
        for one in (listener, outgoing):
            one.settimeout(timeout_s)
        try:
            outgoing.connect(listener.getsockname()[:2])
            incoming, _ = listener.accept()
        except OSError:
            return None
        with incoming:
            incoming.settimeout(timeout_s)
            # A reset at the end throws away what a black hole has kept in the sender's queue.
            outgoing.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return _timed_transfer(outgoing, incoming, size_bytes, timeout_s)


def try_connect(host: Namespace, address: str, port: int, timeout_s: float) -> str:
    """How a connection ends: empty where it stands, otherwise the kernel's word or `timeout`."""
    with host.do(lambda: socket.socket(_family(address))) as one:
        one.settimeout(timeout_s)
        try:
            one.connect((address, port))
        except TimeoutError:
            return "timeout"
        except OSError as error:
            return errno.errorcode.get(error.errno or 0, str(error))
        return ""


def _timed_transfer(
    outgoing: socket.socket, incoming: socket.socket, size_bytes: int, timeout_s: float
) -> float | None:
    def send() -> None:
        with contextlib.suppress(OSError):  # the receiver's time is what counts
            outgoing.sendall(bytes(size_bytes))

    sending = threading.Thread(target=send)
    start_s = time.monotonic()
    sending.start()
    missing = size_bytes
    try:
        while missing and time.monotonic() < start_s + timeout_s:
            missing -= len(incoming.recv(missing))
        return None if missing else time.monotonic() - start_s
    except TimeoutError:
        return None
    finally:
        with contextlib.suppress(OSError):
            outgoing.shutdown(socket.SHUT_RDWR)
        sending.join()


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET  # noqa: PLR2004 - its name


def _raw(family: socket.AddressFamily) -> socket.socket:
    one = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
    one.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
    return one


def _send(
    outgoing: socket.socket,
    incoming: socket.socket,
    count: int,
    probe: Callable[[bytes], bytes],
    wait_s: float,
) -> tuple[float, ...]:
    """The times of those that arrive."""
    sent_ns: dict[bytes, int] = {}
    times_s: dict[bytes, float] = {}
    for _ in range(count):
        tag = secrets.token_bytes(_TAG_BYTES)
        segment = probe(tag)
        sent_ns[tag] = time.monotonic_ns()
        outgoing.send(segment)
        _collect(incoming, sent_ns, times_s, until_s=0)
    _collect(incoming, sent_ns, times_s, time.monotonic() + wait_s)
    return tuple(times_s.values())


def _collect(
    incoming: socket.socket, sent_ns: dict[bytes, int], times_s: dict[bytes, float], until_s: float
) -> None:
    """Read what has come, and wait until then for what has not."""
    while len(times_s) < len(sent_ns):
        incoming.settimeout(max(0.0, until_s - time.monotonic()))
        try:
            packet = incoming.recv(1 << 16)
        except (BlockingIOError, TimeoutError):
            return
        # An IPv4 raw socket hands over the IP header too, an IPv6 one does not.
        start = _TCP_BYTES + (_IP_BYTES[socket.AF_INET] if incoming.family == socket.AF_INET else 0)
        tag = packet[start : start + _TAG_BYTES]
        if tag in sent_ns:
            times_s.setdefault(tag, (time.monotonic_ns() - sent_ns[tag]) / 1e9)


def _segment(sender: Spot, receiver: Spot, ports: tuple[int, int], payload: bytes) -> bytes:
    addresses = b"".join(ipaddress.ip_address(one.address).packed for one in (sender, receiver))
    length = _TCP_BYTES + len(payload)
    offset_and_flags = (_TCP_BYTES // 4) << 12 | _RESET
    blank = struct.pack(">HHIIHHHH", *ports, secrets.randbits(32), 0, offset_and_flags, 0, 0, 0)
    pseudo = addresses + struct.pack(">II", length, socket.IPPROTO_TCP)
    checksum = _checksum(pseudo + blank + payload)
    return blank[:16] + struct.pack(">HH", checksum, 0) + payload


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    total: int = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
