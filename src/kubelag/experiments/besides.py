"""How much of the observed run was spent in what an arm takes away besides. Pure."""

from collections.abc import Iterable

from kubelag.model.attribution import Factor
from kubelag.model.evidence import Evidence
from kubelag.timeline.attribute import attribute
from kubelag.timeline.factors import DNS

_SEE_NAMES = ("capture", "syscalls", "sockets")


def besides(evidence: Evidence, removes: Iterable[Factor]) -> tuple[tuple[Factor, int], ...]:
    """Each of those factors with how long (ns) it was in the way at all; nothing of the others."""
    wanted = tuple(removes)
    if not wanted:
        return ()
    attribution = attribute(evidence)
    seen = {factor: attribution.share(factor).union_ns for factor in wanted}
    if DNS in seen and not _were_names_seen(evidence):
        seen[DNS] = _probed_ns(evidence)
    return tuple((factor, ns) for factor, ns in seen.items() if ns)


def _were_names_seen(evidence: Evidence) -> bool:
    return bool(evidence.lookups) or any(evidence.has_looked(name) for name in _SEE_NAMES)


def _probed_ns(evidence: Evidence) -> int:
    """Where nobody saw the command's own questions: what kubelag's took, at the slowest."""
    names = evidence.path.names if evidence.path else ()
    return max((probe.took_ns for probe in names), default=0)
