"""Puts captures of both ends side by side: clocks, delays, losses, and who was silent."""

from dataclasses import replace

import numpy as np

from kubelag.errors import CaptureError
from kubelag.model.network import LEAST_PAUSE_NS, Comparison, Silence
from kubelag.observe.capture.frames import Ints
from kubelag.observe.capture.offset import ClocksError, Offset, offset
from kubelag.observe.capture.pairing import Pair, between, lost, matching, pairs
from kubelag.observe.capture.sentence import Shared, sentence
from kubelag.observe.capture.silent import silence
from kubelag.observe.capture.wanted import CaptureSeen

_Span = tuple[int, int]
"""From when to when, on the near clock."""


def compare(near: CaptureSeen, far: CaptureSeen, run: _Span | None = None) -> Comparison:
    """Compare a capture of the client's end with one of the server's.

    Args:
        near: Taken at the client's end.
        far: Taken at the server's end.
        run: From when to when the command ran, by the near clock: of a silence before the first
            packet no capture tells, and then it is said how much of the run is spoken of.

    Raises:
        CaptureError: They have no connection in common, or too little of it to set the clocks, or
            no clocks fit.
    """
    found = pairs(near, far)
    if not found:
        raise CaptureError(
            f"{far.file.name} shares no segment with {near.file.name}: it is of other connections "
            "or of another time",
            "capture at both ends during the same run",
        )
    forth, back = (_moments(found, side) for side in (0, 1))
    clocks = _clocks(near, far, forth, back)
    delays = clocks.near(forth[1]) - forth[0], back[0] - clocks.near(back[1])
    if not delays[0].any() and not delays[1].any():
        raise CaptureError(
            f"{far.file.name} and {near.file.name} were taken at the same place: every segment "
            "passed both at the same time",
            "capture at the client and at the server",
        )
    span = _span(near, far, clocks)
    lost_forth, lost_back = _lost(near, far, found, clocks, (span, delays))
    # What left while both were on was seen by both, also where nothing else came until it arrived.
    until_ns = max(span[1], int(back[0].max()))
    lasted = _lasted(near, found, run)
    shared = Shared(span=(span[0], until_ns), lasted=lasted)
    compared = Comparison(
        matched_segments=len(forth[0]) + len(back[0]),
        offset_ns=clocks.ns,
        offset_error_ns=clocks.error_ns,
        connections=len(found),
        forth_ns=_median_and_largest(delays[0]),
        back_ns=_median_and_largest(delays[1]),
        lost_forth=lost_forth,
        lost_back=lost_back,
        silences=_silences(near, found, clocks, shared.span),
    )
    return replace(compared, sentence=sentence(compared, clocks.drift_ns, shared))


def _clocks(
    near: CaptureSeen, far: CaptureSeen, forth: tuple[Ints, Ints], back: tuple[Ints, Ints]
) -> Offset:
    both = f"{far.file.name} and {near.file.name}"
    try:
        clocks = offset(forth, back)
    except ClocksError as error:
        raise CaptureError(
            f"The clocks of {both} cannot be set by one another: {error}",
            "give the client's end with --pcap, the server's with --peer-pcap, or capture again",
        ) from error
    if clocks is None:
        raise CaptureError(
            f"{both} share segments of one direction only", "capture both directions at both ends"
        )
    return clocks


def _moments(found: list[Pair], side: int) -> tuple[Ints, Ints]:
    matched = [matching(pair, side) for pair in found]
    return (
        np.concatenate([near for near, _ in matched]),
        np.concatenate([far for _, far in matched]),
    )


def _median_and_largest(delays: Ints) -> tuple[int, int]:
    """An offset that is not exact must not make one negative."""
    return max(0, int(np.median(delays))), max(0, int(delays.max()))


def _span(near: CaptureSeen, far: CaptureSeen, clocks: Offset) -> _Span:
    """When both captures were on, as far as their packets tell."""
    far_span = np.array([far.covered_ns[0], min(far.covered_ns[1], far.trace.until_ns)])
    begin_ns, end_ns = clocks.near(far_span).tolist()
    return (
        max(near.covered_ns[0], begin_ns), min(near.covered_ns[1], near.trace.until_ns, end_ns)
    )  # fmt: skip


def _lasted(near: CaptureSeen, found: list[Pair], run: _Span | None) -> _Span:
    """From when to when somebody could be silent: the run, or else the connections."""
    ours = [near.connections[pair.near] for pair in found]
    seen = min(one.first_ns for one in ours), max(one.last_ns for one in ours)
    begin_ns, end_ns = run or seen
    return min(begin_ns, seen[0]), max(end_ns, seen[1])


def _lost(
    near: CaptureSeen, far: CaptureSeen, found: list[Pair], clocks: Offset,
    known: tuple[_Span, tuple[Ints, Ints]],
) -> tuple[int, int]:  # fmt: skip
    """Segments forth and back that only their sender's capture saw while both were on.

    What left shortly before the other capture ended may have arrived after it.
    """
    span, delays = known
    slowest = [max(0, int(one.max())) for one in delays]
    forth = back = 0
    for pair in found:
        sent = between(pair.near_sent[0], span[0], span[1] - slowest[0])
        forth += lost(sent, pair.far_sent[0], pair.reached[0])
        one = pair.far_sent[1]
        answered = replace(one, ns=clocks.near(one.ns))
        answered = between(answered, span[0], span[1] - slowest[1])
        back += lost(answered, pair.near_sent[1], pair.reached[1])
    return forth + _lost_syns(near, far, found, span), back


def _lost_syns(near: CaptureSeen, far: CaptureSeen, found: list[Pair], span: _Span) -> int:
    lost_syns = 0
    for pair in found:
        ours, theirs = near.connections[pair.near], far.connections[pair.far]
        if theirs.syns and ours.syn_ns is not None and ours.syn_ns >= span[0]:
            lost_syns += max(0, ours.syns - theirs.syns)
    return lost_syns


def _silences(
    near: CaptureSeen, found: list[Pair], clocks: Offset, span: _Span
) -> tuple[Silence, ...]:
    """Those that lasted long enough while both captures were on, cut to that."""
    silences = []
    for pair in found:
        for pause in near.connections[pair.near].pauses:
            begin_ns, end_ns = max(pause.start_ns, span[0]), min(pause.end_ns, span[1])
            if end_ns - begin_ns >= LEAST_PAUSE_NS:
                cut = replace(pause, start_ns=begin_ns, end_ns=end_ns)
                silences.append(silence(near.connections[pair.near], cut, pair, clocks))
    return tuple(sorted(silences, key=lambda one: one.start_ns))
