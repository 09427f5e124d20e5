"""Where the wall time went: seconds per factor, adding up exactly to the whole."""

from dataclasses import dataclass

Factor = str
"""A factor's id, for example `cache_fsync`; the names are in `kubelag.timeline.factors`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of time during which one factor was in the way."""

    factor: Factor
    start_ns: int
    end_ns: int
    what: str = ""
    """For the reader: a URL, a path, a program."""
    is_counted: bool = True
    """False for what was sampled: it may be several events, or a part of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One factor's part of the wall time; exclusive <= critical <= union."""

    factor: Factor
    exclusive_ns: int
    """When only this factor was in the way."""
    critical_ns: int
    """Its part of the critical path; these add up, with the unexplained rest, to the wall time."""
    union_ns: int
    """When it was in the way at all."""
    count: int = 0
    """How many events it is made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """The whole wall time, divided."""

    wall_ns: int
    shares: tuple[Share, ...]
    """Largest critical part first."""
    unexplained_ns: int
    """What no observed factor covers; wall = sum of critical + unexplained, exactly."""
    path: tuple[Span, ...] = ()
    """The critical path, earliest first."""

    def share(self, factor: Factor) -> Share:
        """The named factor's share, all zero where it was never in the way."""
        zero = Share(factor=factor, exclusive_ns=0, critical_ns=0, union_ns=0)
        return next((share for share in self.shares if share.factor == factor), zero)
