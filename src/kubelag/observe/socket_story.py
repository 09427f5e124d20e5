"""What samples of a socket tell: when it connected, what it moved, who kept it waiting. Pure.

Times are good to the interval between two looks, and better where the kernel says how long ago it
last sent or received. What sockets cannot tell:

- Which bytes are TLS. On `Roles.plain_ports` there is none and on `Roles.proxy_ports` it comes
  after the proxy's answer, so no TLS moments are given; everywhere else the first bytes count as
  the hellos and the client's next ones after the server's first as the end of the handshake, which
  is right for TLS 1.3 and one server flight early for TLS 1.2.
- Which request an answer belongs to. Whoever spoke last is taken to await the other. With many
  requests at once in one connection, a server that has answered some of them and owes the rest
  looks like a server that awaits its client; the client's log tells them apart.
- What UDP moved. A question counts as asked when its socket was first seen and as answered when it
  was last seen, unless the socket lived for the resolver's timeout, or to the end of the run, with
  nothing ever waiting in it to be read. A refused question looks like an answered one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from kubelag.model.network import Awaited, Connection, Ending, Lookup, Pause, Side, Stage
from kubelag.observe.sock_diag import Socket, State, TcpInfo

MIN_PAUSE_NS = 100_000_000
"""As `Connection.pauses` has them."""
MAX_CONTROL_BYTES = 48
"""A client that sends no more asks for nothing: two WINDOW_UPDATEs of 13 bytes (RFC 9113 section
6.9) in one TLS 1.3 record, which adds 22 (RFC 8446 section 5.2). Any request is longer."""
MAX_SAMPLES = 20_000
"""Kept for one connection, some 10 MB; in a longer story the newest replaces the last."""
_LEAST_FLIGHT_BYTES = 600
"""A server's first TLS flight, with its certificate, is longer; a proxy's answer to CONNECT is not,
as far as seen (arbitrary)."""
_TIMEOUT_SLACK_RATIO = 0.98
"""A socket that lived for this part of the timeout was closed by it: looks are rare beside it."""
_BEFORE: frozenset[State] = frozenset({"syn_sent"})
_CLIENT_CLOSED: frozenset[State] = frozenset({"fin_wait_1", "fin_wait_2", "time_wait", "closing"})
_SERVER_CLOSED: frozenset[State] = frozenset({"close_wait", "last_ack"})


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
        fin = self.socket.state in _SERVER_CLOSED
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


def lookup_of(history: History, roles: Roles, run_end_ns: int) -> Lookup:
    """The question that a UDP socket to a name server was for."""
    first = history.samples[0]
    lived_ns = history.last_ns - first.at_ns
    has_heard = any(sample.socket.receive_queue_bytes for sample in history.samples)
    outlived = lived_ns >= roles.name_timeout_s * 1e9 * _TIMEOUT_SLACK_RATIO
    is_open = history.gone_ns is None or history.gone_ns >= run_end_ns
    was_in_vain = not has_heard and (outlived or is_open)
    return Lookup(
        server=first.socket.remote,
        asked_ns=first.at_ns,
        answered_ns=None if was_in_vain else history.last_ns,
        seen_by="sockets",
    )


def connection_of(history: History, roles: Roles) -> Connection:
    """The story of one TCP socket."""
    samples = history.samples
    first, last = samples[0], _last_told(samples)
    begun = [sample for sample in samples if sample.socket.state not in _BEFORE]
    syn_retrans = _syn_retransmissions(samples)
    told = [sample.info for sample in begun if sample.info]
    info = last.info
    established_ns = _established_ns(samples)
    connection = Connection(
        client=first.socket.local,
        server=first.socket.remote,
        seen_by="sockets",
        first_ns=first.at_ns,
        last_ns=history.last_ns,
        syn_ns=_syn_ns(first, established_ns),
        established_ns=established_ns,
        syns=syn_retrans + 1 if first.before_ns is not None else 0,
        ending=_ending(samples),
        sent_bytes=max(sample.sent_bytes for sample in samples),
        received_bytes=max(sample.received_bytes for sample in samples),
        sent_segments=(info.data_segs_out or 0) if info else 0,
        received_segments=(info.data_segs_in or 0) if info else 0,
        sent_again=max((one.total_retrans for one in told), default=syn_retrans) - syn_retrans,
        rtt_ns=min((one.min_rtt_us * 1_000 for one in told if one.min_rtt_us), default=None),
        rtt_smoothed_ns=info.rtt_us * 1_000 if info and info.rtt_us else None,
        congestion_window=min((one.snd_cwnd for one in told), default=None),
        segment_limit_bytes=_segment_limit(told),
        pauses=tuple(_pauses(history, roles)),
    )
    return _with_first_words(connection, samples, roles)


def _last_told(samples: Sequence[Sample]) -> Sample:
    """The last one with TCP_INFO; TIME_WAIT has none."""
    return next((one for one in reversed(samples) if one.info), samples[-1])


def _syn_retransmissions(samples: Sequence[Sample]) -> int:
    early = (one.info for one in samples if one.socket.state in _BEFORE and one.info)
    return max((max(one.retransmits, one.total_retrans) for one in early), default=0)


def _established_ns(samples: Sequence[Sample]) -> int | None:
    """When the SYN was answered: the kernel counts its "last sent" from there until it sends."""
    there = next((one for one in samples if one.socket.state not in _BEFORE), None)
    if there is None or there.before_ns is None or there.info is None:
        return None
    if not there.sent_bytes:
        return there.sent_ns()
    return there.moment_ns()


def _syn_ns(first: Sample, established_ns: int | None) -> int | None:
    """A socket that was never seen waiting connected within an interval: its SYN's round trip."""
    if first.before_ns is None:
        return None
    if first.socket.state in _BEFORE:
        return first.moment_ns()
    rtt_us = first.info.min_rtt_us or first.info.rtt_us if first.info else 0
    return None if established_ns is None or not rtt_us else established_ns - rtt_us * 1_000


def _with_first_words(
    connection: Connection, samples: Sequence[Sample], roles: Roles
) -> Connection:
    asked = next((one for one in samples if one.sent_bytes), None)
    answered = next((one for one in samples if one.received_bytes), None)
    asked_ns = _within(asked, asked.sent_ns()) if asked else None
    answered_ns = _within(answered, answered.heard_ns()) if answered else None
    port = samples[0].socket.remote_port
    if port in roles.proxy_ports:
        return replace(connection, proxy_asked_ns=asked_ns, proxy_answered_ns=answered_ns)
    has_tls = port not in roles.plain_ports
    secured_ns = _secured_ns(samples, answered) if has_tls and answered else None
    return replace(
        connection, hello_ns=asked_ns, server_hello_ns=answered_ns, secured_ns=secured_ns
    )


def _within(sample: Sample, guess_ns: int) -> int | None:
    """A moment before the first look of all is not known."""
    return None if sample.before_ns is None else guess_ns


def _secured_ns(samples: Sequence[Sample], answered: Sample) -> int | None:
    """When the client first spoke after the server's first words."""
    info = answered.info
    if answered.before_ns is None or info is None:
        return None
    has_spoken = (info.data_segs_out or 0) > 1
    if has_spoken and info.last_data_sent_ms <= info.last_data_recv_ms:
        return answered.sent_ns()
    after = (one for one in samples if one.at_ns > answered.at_ns)
    spoken = next((one for one in after if one.sent_bytes > answered.sent_bytes), None)
    return spoken.sent_ns() if spoken else None


def _segment_limit(told: Sequence[TcpInfo]) -> int | None:
    """Ours, or what the first look found in use, its option added (a path may lower it later)."""
    if not told:
        return None
    return min(told[0].advmss, told[0].snd_mss + told[0].timestamps_bytes)


def _ending(samples: Sequence[Sample]) -> Ending:
    """Who closed first, as far as a look found it closing; a reset leaves nothing to be seen."""
    for sample in samples:
        if sample.socket.state in _CLIENT_CLOSED:
            return "client_fin"
        if sample.socket.state in _SERVER_CLOSED:
            return "server_fin"
    return "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Word:
    """One look that found something new, the connecting itself included."""

    index: int
    start_ns: int
    """When the first of it crossed."""
    end_ns: int
    """When the last of it crossed."""
    speaker: Side | None
    """Who had spoken last; None where the kernel's ticks are too coarse to tell."""
    breaker: Side | None
    """Who spoke first; None where both did between two looks."""


def _words(samples: Sequence[Sample], max_control_bytes: int) -> Iterator[_Word]:
    speaker: Side | None = "client"
    previous: Sample | None = None
    for index, now in enumerate(samples):
        sent = now.sent_bytes - (previous.sent_bytes if previous else 0)
        heard = now.received_bytes - (previous.received_bytes if previous else 0)
        # What small thing the client sends before it has heard anything is no control frame.
        is_control = 0 < sent <= max_control_bytes and now.received_bytes > heard
        asked = sent > 0 and not is_control
        if sent > 0 or heard > 0:
            if asked or heard > 0:
                speaker = _speaker(now, asked=asked, heard=heard > 0)
            moments = [now.sent_ns()] * (sent > 0) + [now.heard_ns()] * (heard > 0)
            alone: Side = "client" if sent > 0 else "server"
            yield _word(index, moments, speaker, None if len(moments) > 1 else alone)
        elif previous is None or _has_connected(previous, now):
            is_waiting = now.socket.state in _BEFORE
            at_ns = now.moment_ns() if is_waiting else now.sent_ns()
            yield _word(index, [at_ns], "client" if is_waiting else "server", "server")
        previous = now


def _word(index: int, moments: Sequence[int], speaker: Side | None, breaker: Side | None) -> _Word:
    first_ns, last_ns = min(moments), max(moments)
    return _Word(index=index, start_ns=first_ns, end_ns=last_ns, speaker=speaker, breaker=breaker)


def _has_connected(previous: Sample, now: Sample) -> bool:
    return previous.socket.state in _BEFORE and now.socket.state not in _BEFORE


def _speaker(now: Sample, *, asked: bool, heard: bool) -> Side | None:
    """Who spoke last at a look that saw one of them, or both."""
    info = now.info
    if not (asked and heard):
        return "client" if asked else "server"
    if info is None or info.last_data_sent_ms == info.last_data_recv_ms:
        return None
    return "client" if info.last_data_sent_ms < info.last_data_recv_ms else "server"


def _pauses(history: History, roles: Roles) -> Iterator[Pause]:
    """The silences of at least 0.1 s up to where either side began to close."""
    samples = history.samples
    port = samples[0].socket.remote_port
    control = 0 if port in roles.plain_ports else MAX_CONTROL_BYTES
    closing = next((at for at, one in enumerate(samples) if _is_closing(one)), None)
    alive = samples if closing is None else samples[:closing]
    words = list(_words(alive, control))
    end_ns = history.last_ns if closing is None else samples[closing].moment_ns()
    if words:
        at = len(alive) if closing is None else closing
        words.append(_word(at, [max(end_ns, words[-1].end_ns)], None, None))
    for one, following in pairwise(words):
        if following.start_ns - one.end_ns >= MIN_PAUSE_NS:
            yield _pause(samples, one, following, roles, is_over=following is not words[-1])


def _is_closing(sample: Sample) -> bool:
    return sample.socket.state in _CLIENT_CLOSED | _SERVER_CLOSED | {"closed"}


def _pause(
    samples: Sequence[Sample], one: _Word, following: _Word, roles: Roles, *, is_over: bool
) -> Pause:
    before, stuck = samples[one.index], samples[following.index - 1]
    after = samples[min(following.index, len(samples) - 1)]
    again = max(0, max(_retransmissions(stuck), _retransmissions(after)) - _retransmissions(before))
    awaited, why = _awaited(stuck, one, following, again)
    return Pause(
        start_ns=one.end_ns,
        end_ns=following.start_ns,
        awaited=awaited,
        stage=_stage(samples, stuck, roles),
        why=why,
        retransmissions=again,
        is_over=is_over,
    )


def _retransmissions(sample: Sample) -> int:
    return sample.info.total_retrans if sample.info else 0


def _awaited(stuck: Sample, one: _Word, following: _Word, again: int) -> tuple[Awaited, str]:
    info = stuck.info
    if stuck.socket.state in _BEFORE:
        return "server", "the SYN was not answered"
    if again:
        return "unclear", "what the client had sent was not acknowledged and was sent again"
    if stuck.socket.receive_queue_bytes:
        return "client", "the client did not read what had arrived"
    if info is not None and info.unacked:
        return "unclear", "what the client had sent was not acknowledged"
    if info is not None and stuck.socket.send_queue_bytes:
        return "server", "the server's window was closed"
    # Where the last words crossed between two looks, who broke the silence had been awaited.
    speaker = one.speaker or {"server": "client", "client": "server"}.get(following.breaker or "")
    if speaker == "client":
        return "server", "the server had acknowledged everything and did not answer"
    if speaker == "server":
        return "client", "the client had the server's last words and sent nothing"
    return "unclear", "both had spoken within one look, and nobody owed anything"


def _stage(samples: Sequence[Sample], stuck: Sample, roles: Roles) -> Stage:
    port = stuck.socket.remote_port
    if stuck.socket.state in _BEFORE:
        return "connect"
    if port in roles.plain_ports:
        return "data"
    if port in roles.proxy_ports:
        if not stuck.received_bytes:
            return "proxy"
        return "tls" if stuck.received_bytes < _LEAST_FLIGHT_BYTES else "data"
    answered = next((one for one in samples if one.received_bytes), None)
    secured_ns = _secured_ns(samples, answered) if answered else None
    # A connection that was found in its middle had its handshake before.
    was_begun = samples[0].before_ns is not None
    return "tls" if was_begun and (secured_ns is None or stuck.at_ns < secured_ns) else "data"
