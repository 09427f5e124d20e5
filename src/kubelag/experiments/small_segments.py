"""The same command with small segments both ways, through a relay of ours.

What a path cannot carry whole then never is whole: where this saves the wait for a handshake or an
answer, large packets were lost without a word. The relay looks up no name either, which
`address_literal` shows alone.
"""

from kubelag.experiments.contract import Situation, Treatment
from kubelag.experiments.rerouting import (
    direct_path_of,
    has_answered,
    passed_by,
    relayed,
    target_of,
)
from kubelag.experiments.workshop import RelayPlan
from kubelag.model.path import PathMap

# Fits, with its headers, the 1,280 bytes that every IPv6 link carries (RFC 8200 section 5).
_SEGMENT_BYTES = 1200


class SmallSegments:
    """See the module."""

    id = "small_segments"
    title = "with small segments"

    def vary(self, situation: Situation) -> tuple[Treatment, ...]:
        """The command through a relay that limits the size of segments."""
        path = direct_path_of(situation)
        plan = RelayPlan(target=_target_of(path), segment_bytes=_limit_of(path))
        return (Treatment(variant=relayed(situation, plan), removes=passed_by(path)),)


def _target_of(path: PathMap) -> str:
    """An address that answers with small segments, though it may not with others."""
    small = next((probe for probe in path.small_front if has_answered(probe)), None)
    return small.address if small else target_of(path)


def _limit_of(path: PathMap) -> int:
    """The limit with which a probe came through, where one did."""
    limits = (
        probe.segment_limit_bytes
        for probe in path.small_front
        if has_answered(probe) and probe.segment_limit_bytes
    )
    return next(limits, _SEGMENT_BYTES)
