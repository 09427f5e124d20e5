"""What crossed the network during the observed run: look-ups, connections and their silences.

All moments are nanoseconds since the epoch on the wall clock, as everywhere in the evidence.
Addresses are written `192.0.2.1:6443` and `[2001:db8::1]:6443`.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

from kubelag.model.units import seconds

Side = Literal["client", "server"]
Awaited = Literal["client", "server", "unclear"]
Stage = Literal["connect", "proxy", "tls", "data"]
Ending = Literal["open", "client_fin", "server_fin", "client_reset", "server_reset"]
Witness = Literal["capture", "sockets", "syscalls"]

LEAST_PAUSE_NS = 100_000_000
"""A shorter silence is none: what people perceive as instant (Nielsen, Usability Engineering)."""
_FIRST_REPEAT_NS = 200_000_000
"""How soon a segment is sent again at the earliest (TCP_RTO_MIN, include/net/tcp.h)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """Payload of one side, sent while the other said nothing and with no gap over 5 ms."""

    sender: Side
    start_ns: int
    end_ns: int
    payload_bytes: int
    """Without what was sent again."""
    segments: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A stretch in which nothing new crossed a connection that was not at its end."""

    start_ns: int
    end_ns: int
    awaited: Awaited
    """Who was expected to speak next, by what had been sent and acknowledged before."""
    stage: Stage
    why: str
    """One clause: `the server had acknowledged everything and did not answer`."""
    retransmissions: int = 0
    """Segments sent again meanwhile: with any, the network was lossy or the other end gone."""
    recovered_ns: int | None = None
    """When all of that had been acknowledged; None where nothing was sent again, or only what ended
    the silence told of it."""
    is_over: bool = True
    """False where the connection, or the capture, ended in it, or the client closed it."""

    @property
    def length_ns(self) -> int:
        """How long it was."""
        return self.end_ns - self.start_ns

    @property
    def is_unheard(self) -> bool:
        """Whether what was sent again had still not been heard when the connection ended."""
        return bool(self.retransmissions) and self.recovered_ns is None and not self.is_over

    @property
    def loss_ns(self) -> int:
        """How long what was sent again was waited for; the silence may go on for other reasons."""
        if not self.retransmissions:
            return 0
        return (self.end_ns if self.recovered_ns is None else self.recovered_ns) - self.start_ns

    def until(self, end_ns: int) -> "Pause":
        """As far as it was known at that moment."""
        if self.end_ns <= end_ns:
            return self
        is_recovered = self.recovered_ns is not None and self.recovered_ns <= end_ns
        return replace(
            self,
            end_ns=end_ns,
            retransmissions=min(self.retransmissions, _repeats_within(end_ns - self.start_ns)),
            recovered_ns=self.recovered_ns if is_recovered else None,
            is_over=False,
        )


def _repeats_within(length_ns: int) -> int:
    """How often one segment can be sent again in that time: a probe, then with doubled patience."""
    return 1 + int(math.log2(1 + length_ns / _FIRST_REPEAT_NS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One TCP connection of the observed command, or one attempt at it."""

    client: str
    server: str
    seen_by: Witness
    first_ns: int
    """First segment, or first sight."""
    last_ns: int
    syn_ns: int | None = None
    """When the first SYN left; None where its begin was not seen."""
    established_ns: int | None = None
    """When the SYN was answered; None where it never was, or its begin was not seen."""
    proxy_asked_ns: int | None = None
    """First byte of an HTTP CONNECT request, None where there was none."""
    proxy_answered_ns: int | None = None
    hello_ns: int | None = None
    """First byte of the client's TLS hello (of its payload, where TLS cannot be told)."""
    server_hello_ns: int | None = None
    """First byte of the server's TLS answer."""
    secured_ns: int | None = None
    """When the TLS handshake was through on the client's side."""
    syns: int = 0
    """SYNs sent; more than one means that the first was lost or ignored."""
    ending: Ending = "open"
    sent_bytes: int = 0
    """Payload of the client, each byte once."""
    received_bytes: int = 0
    sent_segments: int = 0
    received_segments: int = 0
    sent_again: int = 0
    """Segments of the client that had been sent before, SYNs aside."""
    received_again: int = 0
    missing_bytes: int = 0
    """Payload that the other side acknowledged and the witness never saw: its own loss."""
    zero_windows: int = 0
    """How often either side closed its window."""
    rtt_ns: int | None = None
    """Smallest round trip seen: the SYN and its answer, else data and its acknowledgement."""
    rtt_smoothed_ns: int | None = None
    """The kernel's own smoothed estimate (tcpi_rtt)."""
    congestion_window: int | None = None
    """tcpi_snd_cwnd at its smallest, in segments."""
    largest_sent_bytes: int = 0
    """Largest payload of one segment; more than the MTU means that the card cuts it later."""
    largest_received_bytes: int = 0
    largest_sent_again_bytes: int = 0
    """Largest payload of a segment that had to be sent again, by either side."""
    segment_limit_bytes: int | None = None
    """Smallest MSS that either side announced."""
    is_reachable: bool = True
    """False where a router said that the server or its port is not."""
    macs: tuple[str, ...] = ()
    """Hardware addresses of the server's side in order; more than one: the address moved."""
    server_name: str = ""
    """The name that the client asked for (SNI), where it could be read."""
    protocol: str = ""
    """`h2` or `http/1.1`, where it could be seen."""
    backend: str = ""
    """Which API server behind a balancer served it, where that is known."""
    pauses: tuple[Pause, ...] = ()
    """Silences of at least `LEAST_PAUSE_NS`, in order."""
    bursts: tuple[Burst, ...] = ()
    """Who spoke when, in order; the first 4,096."""

    @property
    def is_established(self) -> bool:
        """Whether both ends had agreed, seen or implied."""
        return self.established_ns is not None or self.received_bytes > 0

    @property
    def connect_ns(self) -> int | None:
        """From the first SYN to its answer."""
        if self.syn_ns is None or self.established_ns is None:
            return None
        return self.established_ns - self.syn_ns

    @property
    def tls_ns(self) -> int | None:
        """From the client's hello to the end of the handshake."""
        if self.hello_ns is None or self.secured_ns is None:
            return None
        return self.secured_ns - self.hello_ns

    @property
    def outline(self) -> str:
        """For example `10.0.0.10:6443: connect 0.21 ms, TLS 2.10 ms, 3 segments sent again`."""
        parts = []
        if self.connect_ns is not None:
            parts.append(f"connect {seconds(self.connect_ns)}")
        elif self.syns:
            parts.append(f"never connected, {self.syns} SYN sent")
        if self.tls_ns is not None:
            parts.append(f"TLS {seconds(self.tls_ns)}")
        if self.sent_again or self.received_again:
            parts.append(f"{self.sent_again + self.received_again} segments sent again")
        return f"{self.server}: {', '.join(parts) or 'seen'}"

    def waited_until(self, end_ns: int) -> "Connection":
        """With its silences as a command met them that ended at that moment.

        What the system still sends for a command that has gone may be heard when nobody waits.
        """
        met = (one.until(end_ns) for one in self.pauses if one.start_ns < end_ns)
        pauses = tuple(one for one in met if one.length_ns >= LEAST_PAUSE_NS)
        return self if pauses == self.pauses else replace(self, pauses=pauses)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """One question to a name server, with its answer."""

    server: str
    """`IP:port` of the name server."""
    asked_ns: int
    answered_ns: int | None
    """None where no answer came."""
    seen_by: Witness
    name: str = ""
    """As asked, without the last dot; empty where only the exchange was seen."""
    kind: str = ""
    """`A`, `AAAA` or another type; empty where only the exchange was seen."""
    code: str = ""
    """`NOERROR`, `NXDOMAIN`, `SERVFAIL`…; empty without an answer."""
    addresses: tuple[str, ...] = ()
    asked_times: int = 1
    """How often the very same question was sent to this server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureFile:
    """What one packet capture is, and how much of it could be used."""

    name: str
    """The file's own name without its directory; `live` for our own."""
    packets: int
    file_bytes: int
    start_ns: int
    end_ns: int
    interfaces: tuple[str, ...] = ()
    link_types: tuple[str, ...] = ()
    """For example `EN10MB`, `LINUX_SLL2`."""
    lost_packets: int = 0
    """What the kernel or the card dropped, as far as it was told."""
    unread_packets: int = 0
    """Packets that could not be taken apart."""
    notes: tuple[str, ...] = ()
    """Sentences on what limits it: cut short, a clock that jumped, begins in the middle…"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathMessage:
    """An ICMP message that a router sent about one of the connections."""

    at_ns: int
    sender: str
    kind: Literal["too_big", "unreachable", "refused", "other"]
    about: str
    """The server whose packet it was about, `IP:port`."""
    mtu_bytes: int | None = None
    """The next hop's MTU in a `too_big`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """One pause, as both ends saw it."""

    client: str
    server: str
    start_ns: int
    """On the near capture's clock."""
    end_ns: int
    silent: Literal["client", "server", "network", "unclear"]
    """Who kept the connection waiting: the end that was awaited and did not send, or the way
    between, where something that one end had sent reached the other late or never."""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two captures of the same connections, taken at both ends."""

    matched_segments: int
    offset_ns: int
    """What must be added to the far capture's clock."""
    offset_error_ns: int
    """Half the smallest round trip: a clock cannot be told more exactly than that."""
    connections: int
    """Connections seen by both."""
    forth_ns: tuple[int, int]
    """One-way delay from client to server: median and largest, give or take the offset's error."""
    back_ns: tuple[int, int]
    """The same from server to client."""
    lost_forth: int
    """Segments that left the near end and never reached the far one."""
    lost_back: int
    silences: tuple[Silence, ...] = ()
    sentence: str = ""
    """The verdict in one sentence: who was silent, and for how long."""
