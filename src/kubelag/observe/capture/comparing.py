"""Puts captures of both ends side by side: clocks, delays, losses, and who was silent."""

import numpy as np

from kubelag.errors import CaptureError
from kubelag.model.network import Comparison, Silence
from kubelag.observe.capture.frames import Ints
from kubelag.observe.capture.offset import Offset, offset
from kubelag.observe.capture.pairing import Pair, lost, matching, pairs
from kubelag.observe.capture.sentence import sentence
from kubelag.observe.capture.silent import silence
from kubelag.observe.capture.wanted import CaptureSeen


def compare(near: CaptureSeen, far: CaptureSeen) -> Comparison:
    """Compare a capture of the client's end with one of the server's.

    Raises:
        CaptureError: They have no connection in common, or too little of it to set the clocks.
    """
    found = pairs(near, far)
    if not found:
        raise CaptureError(
            f"{far.file.name} shares no segment with {near.file.name}: it is of other connections "
            "or of another time",
            "capture at both ends during the same run",
        )
    moments = [_moments(found, side) for side in (0, 1)]
    clocks = offset(moments[0], moments[1])
    if clocks is None:
        raise CaptureError(
            f"{far.file.name} and {near.file.name} share segments of one direction only",
            "capture both directions at both ends",
        )
    silences = _silences(near, far, found, clocks)
    compared = Comparison(
        matched_segments=len(moments[0][0]) + len(moments[1][0]),
        offset_ns=clocks.ns,
        offset_error_ns=clocks.error_ns,
        connections=len(found),
        forth_ns=_delays(moments[0][1] + clocks.ns - moments[0][0]),
        back_ns=_delays(moments[1][0] - moments[1][1] - clocks.ns),
        lost_forth=_lost_forth(near, far, found),
        lost_back=sum(lost(pair.far_sent[1], pair.near_sent[1]) for pair in found),
        silences=silences,
    )
    values = {name: getattr(compared, name) for name in Comparison.__slots__}
    values["sentence"] = sentence(compared, clocks.drift_ns)
    return Comparison(**values)


def _moments(found: list[Pair], side: int) -> tuple[Ints, Ints]:
    matched = [matching(pair, side) for pair in found]
    return (
        np.concatenate([near for near, _ in matched]),
        np.concatenate([far for _, far in matched]),
    )


def _delays(delays: Ints) -> tuple[int, int]:
    """Median and largest; an offset that is not exact must not make one negative."""
    return max(0, int(np.median(delays))), max(0, int(delays.max()))


def _lost_forth(near: CaptureSeen, far: CaptureSeen, found: list[Pair]) -> int:
    segments = sum(lost(pair.near_sent[0], pair.far_sent[0]) for pair in found)
    syns = sum(
        max(0, near.connections[pair.near].syns - far.connections[pair.far].syns)
        for pair in found
        if far.connections[pair.far].syns
    )
    return segments + syns


def _silences(
    near: CaptureSeen, far: CaptureSeen, found: list[Pair], clocks: Offset
) -> tuple[Silence, ...]:
    covered = far.file.start_ns + clocks.ns, far.file.end_ns + clocks.ns
    silences = [
        silence(near.connections[pair.near], pause, pair, clocks)
        for pair in found
        for pause in near.connections[pair.near].pauses
        if covered[0] - clocks.error_ns <= pause.start_ns <= covered[1] + clocks.error_ns
    ]
    return tuple(sorted(silences, key=lambda one: one.start_ns))
