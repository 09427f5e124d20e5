"""What samples of a socket tell: when it connected, what it moved, who kept it waiting. Pure.

Times are good to the interval between two looks, and better where the kernel says how long ago it
last sent or received. What sockets cannot tell:

- Which bytes are TLS. On `Roles.plain_ports` there is none and on `Roles.proxy_ports` it comes
  after the proxy's answer, so no TLS moments are given; everywhere else the first bytes count as
  the hellos and the client's next ones after the server's first as the end of the handshake, which
  is right for TLS 1.3 and one server flight early for TLS 1.2. A handshake that was begun and over
  between two looks has an end and no begin: how long it took is not known, which is not 0.
- Which request an answer belongs to. Whoever spoke last is taken to await the other. With many
  requests at once in one connection, a server that has answered some of them and owes the rest
  looks like a server that awaits its client; the client's log tells them apart.
- What UDP moved. A question counts as asked when its socket was first seen and as answered when it
  was last seen, unless the socket lived for the resolver's timeout, or to the end of the run, with
  nothing ever waiting in it to be read. A refused question looks like an answered one.
"""

from collections.abc import Sequence
from dataclasses import replace

from kubelag.model.network import Connection, Ending, Lookup
from kubelag.observe.sock_diag import TcpInfo
from kubelag.observe.socket_pauses import pauses_of
from kubelag.observe.socket_samples import (
    BEFORE,
    CLIENT_CLOSED,
    SERVER_CLOSED,
    History,
    Roles,
    Sample,
    secured_ns,
)

_TIMEOUT_SLACK_RATIO = 0.98
"""A socket that lived for this part of the timeout was closed by it: looks are rare beside it."""


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
    begun = [sample for sample in samples if sample.socket.state not in BEFORE]
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
        pauses=tuple(pauses_of(history, roles)),
    )
    return _with_first_words(connection, samples, roles)


def _last_told(samples: Sequence[Sample]) -> Sample:
    """The last one with TCP_INFO; TIME_WAIT has none."""
    return next((one for one in reversed(samples) if one.info), samples[-1])


def _syn_retransmissions(samples: Sequence[Sample]) -> int:
    early = (one.info for one in samples if one.socket.state in BEFORE and one.info)
    return max((max(one.retransmits, one.total_retrans) for one in early), default=0)


def _established_ns(samples: Sequence[Sample]) -> int | None:
    """When the SYN was answered: the kernel counts its "last sent" from there until it sends."""
    there = next((one for one in samples if one.socket.state not in BEFORE), None)
    if there is None or there.before_ns is None or there.info is None:
        return None
    if not there.sent_bytes:
        return there.sent_ns()
    return there.moment_ns()


def _syn_ns(first: Sample, established_ns: int | None) -> int | None:
    """A socket that was never seen waiting connected within an interval: its SYN's round trip."""
    if first.before_ns is None:
        return None
    if first.socket.state in BEFORE:
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
    over_ns = secured_ns(samples, answered) if has_tls and answered else None
    is_told = asked_ns is None or over_ns is None or asked_ns < over_ns
    return replace(
        connection,
        hello_ns=asked_ns if is_told else None,
        server_hello_ns=answered_ns,
        secured_ns=over_ns,
    )


def _within(sample: Sample, guess_ns: int) -> int | None:
    """A moment before the first look of all is not known."""
    return None if sample.before_ns is None else guess_ns


def _segment_limit(told: Sequence[TcpInfo]) -> int | None:
    """Ours, or what the first look found in use, its option added (a path may lower it later)."""
    if not told:
        return None
    return min(told[0].advmss, told[0].snd_mss + told[0].timestamps_bytes)


def _ending(samples: Sequence[Sample]) -> Ending:
    """Who closed first, as far as a look found it closing; a reset leaves nothing to be seen."""
    for sample in samples:
        if sample.socket.state in CLIENT_CLOSED:
            return "client_fin"
        if sample.socket.state in SERVER_CLOSED:
            return "server_fin"
    return "open"
