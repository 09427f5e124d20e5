"""Finds the same connections, and the same segments, in captures of both ends."""

from dataclasses import dataclass

import numpy as np

from kubelag.observe.capture.frames import Flags, Ints
from kubelag.observe.capture.wanted import CaptureSeen, Identity

_WRAP = 1 << 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Segments of one side of one connection at one end, in order of time."""

    ns: Ints
    start: Ints
    """Offsets, counted alike at both ends."""
    end: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One connection as both ends saw it."""

    near: int
    """Index into the near capture's connections."""
    far: int
    near_sent: tuple[Sent, Sent]
    """By client and by server."""
    far_sent: tuple[Sent, Sent]
    reached: tuple[int, int]
    """Offset up to which the far end was seen to have the client's words, the near end the
    server's: acknowledged, whether or not a capture missed them."""
    handshake_ns: tuple[int, int] | None
    """When the far end saw the SYN first and answered it first, by its clock; None where it was
    not seen, or is not the client's own but a balancer's."""


def pairs(near: CaptureSeen, far: CaptureSeen) -> list[Pair]:
    """The connections that both saw: by their endpoints, else by the client's TLS random."""
    by_ends: dict[tuple[str, str], list[int]] = {}
    by_random: dict[bytes, int] = {}
    for number, connection in enumerate(far.connections):
        by_ends.setdefault((connection.client, connection.server), []).append(number)
        if random := far.identities[number].random:
            by_random.setdefault(random, number)
    found = []
    for number, connection in enumerate(near.connections):
        ends = (connection.client, connection.server)
        candidates = [*by_ends.get(ends, [])]
        same = by_random.get(near.identities[number].random, -1)
        if same >= 0 and same not in candidates:
            candidates.insert(0, same)
        for candidate in candidates:
            if (pair := _pair(near, number, far, candidate)) is not None:
                found.append(pair)
                break
    return found


def matching(pair: Pair, side: int) -> tuple[Ints, Ints]:
    """When segments of a side that both ends saw were seen first: near, far.

    They are known by the offset of their last byte: a card may put together or cut what lies
    before it, and a segment that was cut ends where its last part ends.
    """
    near, far = pair.near_sent[side], pair.far_sent[side]
    near_ends, near_at = np.unique(near.end, return_index=True)
    far_ends, far_at = np.unique(far.end, return_index=True)
    _, ours, theirs = np.intersect1d(near_ends, far_ends, return_indices=True)
    # Sent more than once: which of them it was that the other end saw cannot be told.
    once = (_times(near, near_ends[ours]) == 1) & (_times(far, near_ends[ours]) == 1)
    return near.ns[near_at[ours[once]]], far.ns[far_at[theirs[once]]]


def lost(sender: Sent, receiver: Sent, reached: int) -> int:
    """Segments that one end sent more often than the other end saw them.

    Args:
        sender: What the other end's capture would have seen.
        receiver: All that it saw.
        reached: What it never saw up to here arrived all the same, since it was acknowledged.
    """
    ends = np.unique(sender.end)
    seen = _times(receiver, ends)
    is_missed = (seen == 0) & (ends <= reached)
    return int(np.maximum(_times(sender, ends) - seen, 0)[~is_missed].sum())


def between(sent: Sent, begin_ns: int, end_ns: int) -> Sent:
    """Those that were sent in this time."""
    inside = np.flatnonzero((sent.ns >= begin_ns) & (sent.ns <= end_ns))
    return Sent(ns=sent.ns[inside], start=sent.start[inside], end=sent.end[inside])


def _times(sent: Sent, ends: Ints) -> Ints:
    """How often the byte before each of these offsets was sent."""
    begun = np.searchsorted(np.sort(sent.start), ends, side="left")
    return begun - np.searchsorted(np.sort(sent.end), ends, side="left")


def _pair(near: CaptureSeen, ours: int, far: CaptureSeen, theirs: int) -> Pair | None:
    """None where they are not the same after all."""
    one, other = near.identities[ours], far.identities[theirs]
    shifts = _shifts(one, other)
    near_sent = _sent(near, ours, (0, 0))
    far_sent = _sent(far, theirs, shifts)
    reached = other.client_acked + shifts[0], one.server_acked
    pair = Pair(
        near=ours, far=theirs, near_sent=near_sent, far_sent=far_sent, reached=reached,
        handshake_ns=_handshake_ns(near, ours, far, theirs),
    )  # fmt: skip
    return pair if any(len(matching(pair, side)[0]) for side in (0, 1)) else None


def _shifts(one: Identity, other: Identity) -> tuple[int, int]:
    """What is added to the far end's offsets of client and server."""
    if one.has_begin and other.has_begin:
        return 0, 0  # both count from the SYN, whatever a balancer did to the numbers
    return (
        _signed(other.client_isn - one.client_isn),
        _signed(other.server_isn - one.server_isn),
    )


def _handshake_ns(
    near: CaptureSeen, ours: int, far: CaptureSeen, theirs: int
) -> tuple[int, int] | None:
    one, other, seen = near.identities[ours], far.identities[theirs], far.connections[theirs]
    is_same = one.has_begin and other.has_begin and one.client_isn == other.client_isn
    if not is_same or seen.syn_ns is None or seen.established_ns is None:
        return None
    return seen.syn_ns, seen.established_ns


def _signed(difference: int) -> int:
    return (difference + _WRAP // 2) % _WRAP - _WRAP // 2


def _sent(seen: CaptureSeen, number: int, shifts: tuple[int, int]) -> tuple[Sent, Sent]:
    trace = seen.trace
    begin, end = np.searchsorted(trace.connection, [number, number + 1]).tolist()
    rows = np.arange(begin, end)
    sides = []
    for side, shift in enumerate(shifts):
        mine: Flags = trace.from_server[begin:end] == bool(side)
        some = rows[mine]
        sides.append(
            Sent(ns=trace.ns[some], start=trace.start[some] + shift, end=trace.end[some] + shift)
        )
    return sides[0], sides[1]
