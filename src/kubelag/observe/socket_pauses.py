"""Who kept a connection waiting, by samples of its socket. Pure.

What cannot be told, `socket_story` says.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kubelag.model.network import LEAST_PAUSE_NS, Awaited, Pause, Side, Stage
from kubelag.observe.socket_samples import (
    BEFORE,
    CLIENT_CLOSED,
    SERVER_CLOSED,
    History,
    Roles,
    Sample,
    secured_ns,
)

MAX_CONTROL_BYTES = 48
"""A client that sends no more asks for nothing: two WINDOW_UPDATEs of 13 bytes (RFC 9113 section
6.9) in one TLS 1.3 record, which adds 22 (RFC 8446 section 5.2). Any request is longer."""
_LEAST_FLIGHT_BYTES = 600
"""A server's first TLS flight, with its certificate, is longer; a proxy's answer to CONNECT is not,
as far as seen (arbitrary)."""


def pauses_of(history: History, roles: Roles) -> Iterator[Pause]:
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
        if following.start_ns - one.end_ns >= LEAST_PAUSE_NS:
            yield _pause(samples, one, following, roles, is_over=following is not words[-1])


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
            is_waiting = now.socket.state in BEFORE
            at_ns = now.moment_ns() if is_waiting else now.sent_ns()
            yield _word(index, [at_ns], "client" if is_waiting else "server", "server")
        previous = now


def _word(index: int, moments: Sequence[int], speaker: Side | None, breaker: Side | None) -> _Word:
    first_ns, last_ns = min(moments), max(moments)
    return _Word(index=index, start_ns=first_ns, end_ns=last_ns, speaker=speaker, breaker=breaker)


def _has_connected(previous: Sample, now: Sample) -> bool:
    return previous.socket.state in BEFORE and now.socket.state not in BEFORE


def _speaker(now: Sample, *, asked: bool, heard: bool) -> Side | None:
    """Who spoke last at a look that saw one of them, or both."""
    info = now.info
    if not (asked and heard):
        return "client" if asked else "server"
    if info is None or info.last_data_sent_ms == info.last_data_recv_ms:
        return None
    return "client" if info.last_data_sent_ms < info.last_data_recv_ms else "server"


def _is_closing(sample: Sample) -> bool:
    return sample.socket.state in CLIENT_CLOSED | SERVER_CLOSED | {"closed"}


def _pause(
    samples: Sequence[Sample], one: _Word, following: _Word, roles: Roles, *, is_over: bool
) -> Pause:
    before, stuck = samples[one.index], samples[following.index - 1]
    after = samples[min(following.index, len(samples) - 1)]
    again = max(0, max(_retransmissions(stuck), _retransmissions(after)) - _retransmissions(before))
    recovered_ns = _recovered_ns(samples[one.index + 1 : following.index], after) if again else None
    is_lost = again > 0 and not _is_soon(recovered_ns, one.end_ns, following.start_ns)
    awaited, why = _awaited(stuck, one, following, is_lost=is_lost)
    return Pause(
        start_ns=one.end_ns,
        end_ns=following.start_ns,
        awaited=awaited,
        stage=_stage(samples, stuck, roles),
        why=why,
        retransmissions=again,
        recovered_ns=recovered_ns,
        is_over=is_over,
    )


def _retransmissions(sample: Sample) -> int:
    return sample.info.total_retrans if sample.info else 0


def _recovered_ns(silent: Sequence[Sample], after: Sample) -> int | None:
    """The first look of the silence that found all acknowledged that had been sent again."""
    for sample in silent:
        info, is_connected = sample.info, sample.socket.state not in BEFORE
        if info is None or info.total_retrans < _retransmissions(after):
            continue
        if is_connected and not info.unacked:
            return sample.at_ns
    return None


def _is_soon(recovered_ns: int | None, start_ns: int, end_ns: int) -> bool:
    """Whether most of the silence came after what was sent again had been heard."""
    return recovered_ns is not None and 2 * (recovered_ns - start_ns) < end_ns - start_ns


def _awaited(stuck: Sample, one: _Word, following: _Word, *, is_lost: bool) -> tuple[Awaited, str]:
    info = stuck.info
    if stuck.socket.state in BEFORE:
        return "server", "the SYN was not answered"
    if is_lost:
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
    if stuck.socket.state in BEFORE:
        return "connect"
    if port in roles.plain_ports:
        return "data"
    if port in roles.proxy_ports:
        if not stuck.received_bytes:
            return "proxy"
        return "tls" if stuck.received_bytes < _LEAST_FLIGHT_BYTES else "data"
    answered = next((one for one in samples if one.received_bytes), None)
    over_ns = secured_ns(samples, answered) if answered else None
    # A connection that was found in its middle had its handshake before.
    was_begun = samples[0].before_ns is not None
    return "tls" if was_begun and (over_ns is None or stuck.at_ns < over_ns) else "data"
