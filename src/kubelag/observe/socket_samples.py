"""What one look at a socket found, and what the looks at one socket have in common. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from kubelag.observe.sock_diag import Socket, State, TcpInfo

MAX_SAMPLES = 20_000
"""Kept for one connection, some 10 MB; in a longer story the newest replaces the last."""
_LONGEST_HELLO = 2
"""Segments of a client's hello; with the keys that withstand quantum computers it is 1.7 kB."""
BEFORE: frozenset[State] = frozenset({"syn_sent"})
CLIENT_CLOSED: frozenset[State] = frozenset({"fin_wait_1", "fin_wait_2", "time_wait", "closing"})
SERVER_CLOSED: frozenset[State] = frozenset({"close_wait", "last_ack"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """What is known of the servers by their ports."""

    plain_ports: frozenset[int] = frozenset()
    """No TLS is spoken there."""
    proxy_ports: frozenset[int] = frozenset()
    """A proxy listens there, which is asked to connect first."""
    name_timeout_s: float = 5.0
    """After which the resolver gives a question up (resolv.conf(5), `timeout`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One socket at one look."""

    at_ns: int
    before_ns: int | None
    """The look before; None at the first one ever."""
    socket: Socket
    info: TcpInfo | None = None

    @property
    def sent_bytes(self) -> int:
        """Payload sent, each byte once."""
        info = self.info
        if info is None:
            return 0
        if info.bytes_sent is not None and info.bytes_retrans is not None:
            return info.bytes_sent - info.bytes_retrans
        # Before 4.19: what was acknowledged, the SYN aside, and what waits for it.
        return max(0, (info.bytes_acked or 0) - 1) + self._waiting_bytes

    @property
    def received_bytes(self) -> int:
        """Payload received in order, the FIN aside."""
        told = self.info.bytes_received if self.info else None
        fin = self.socket.state in SERVER_CLOSED
        return max(0, (told or 0) - fin)

    @property
    def _waiting_bytes(self) -> int:
        unsent = (self.info.notsent_bytes or 0) if self.info else 0
        is_open = self.socket.state == "established"
        return max(0, self.socket.send_queue_bytes - unsent) if is_open else 0

    def news(self) -> tuple[object, ...]:
        """What must have changed for a look to be worth keeping."""
        one, info = self.socket, self.info
        told = (info.unacked, info.total_retrans, info.snd_cwnd, info.min_rtt_us) if info else ()
        queues = (one.send_queue_bytes > 0, one.receive_queue_bytes > 0)
        return one.state, self.sent_bytes, self.received_bytes, queues, told

    def moment_ns(self, ago_ms: int | None = None) -> int:
        """When something happened that this look saw first, by how long ago the kernel says."""
        early_ns = self.at_ns if self.before_ns is None else self.before_ns
        if ago_ms is None:
            return (early_ns + self.at_ns) // 2
        return max(early_ns, self.at_ns - ago_ms * 1_000_000)

    def sent_ns(self) -> int:
        """When the last payload left, seen at this look first."""
        return self.moment_ns(self.info.last_data_sent_ms if self.info else None)

    def heard_ns(self) -> int:
        """When the last payload arrived."""
        return self.moment_ns(self.info.last_data_recv_ms if self.info else None)


@dataclass(slots=True, kw_only=True)
class History:
    """One socket from its first sight to its last."""

    samples: list[Sample] = field(default_factory=list)
    """Where something had changed, by time."""
    last_ns: int = 0
    gone_ns: int | None = None
    """The first look that did not find it any more; None while it is there."""

    def see(self, sample: Sample) -> None:
        """Take one more look into account."""
        self.last_ns = sample.at_ns
        if self.samples and self.samples[-1].news() == sample.news():
            return
        if len(self.samples) >= MAX_SAMPLES:
            self.samples.pop()
        self.samples.append(sample)


def secured_ns(samples: Sequence[Sample], answered: Sample) -> int | None:
    """When the client first spoke after the server's first words, at the earliest.

    A look that finds more than the hello sent, and an answer to that, was late: the handshake was
    over at any time since the look before.
    """
    info = answered.info
    if answered.before_ns is None or info is None:
        return None
    spoken = (info.data_segs_out or 0) - info.total_retrans
    if spoken > _LONGEST_HELLO:
        return answered.before_ns
    if spoken > 1 and info.last_data_sent_ms <= info.last_data_recv_ms:
        return answered.sent_ns()
    after = (one for one in samples if one.at_ns > answered.at_ns)
    later = next((one for one in after if one.sent_bytes > answered.sent_bytes), None)
    return later.sent_ns() if later else None
