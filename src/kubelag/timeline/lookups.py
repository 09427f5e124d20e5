"""Turns questions to name servers into spans. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from kubelag.model.attribution import Span
from kubelag.model.evidence import Evidence
from kubelag.model.network import Lookup
from kubelag.timeline import factors
from kubelag.timeline.journeys import server_connections

# Go's resolver gives a name server 5 s unless resolv.conf says otherwise (dnsconfig_unix.go).
_PATIENCE_NS = 5_000_000_000
# A and AAAA are asked side by side; what is asked later than this took the place of what was given
# up. Arbitrary, far above the distance of twins and far below any resolver's patience.
_TWIN_NS = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """One question with how long it was waited for."""

    lookup: Lookup
    start_ns: int
    end_ns: int

    @property
    def length_ns(self) -> int:
        """How long it was."""
        return self.end_ns - self.start_ns


def waited(evidence: Evidence) -> tuple[Waited, ...]:
    """Every question of the run, by its begin; an unanswered one until the client gave it up."""
    asked = sorted(evidence.lookups, key=lambda one: one.asked_ns)
    return tuple(
        Waited(lookup=one, start_ns=one.asked_ns, end_ns=_given_up_ns(one, asked, evidence))
        for one in asked
    )


def lookup_spans(evidence: Evidence) -> Iterator[Span]:
    """A span for each question; those that are asked side by side overlap."""
    for one in waited(evidence):
        what = f"{one.lookup.kind} {one.lookup.name} at {one.lookup.server}".strip()
        yield Span(factor=factors.DNS, start_ns=one.start_ns, end_ns=one.end_ns, what=what)


def _given_up_ns(lookup: Lookup, asked: list[Lookup], evidence: Evidence) -> int:
    """When the answer came, or something else was done instead of waiting for it."""
    if lookup.answered_ns is not None:
        return lookup.answered_ns
    resolver = evidence.path.resolver if evidence.path else None
    patience_ns = int(resolver.timeout_s * 1e9) if resolver else _PATIENCE_NS
    dialled = (one.syn_ns for one in server_connections(evidence) if one.syn_ns is not None)
    instead = (*(one.asked_ns - _TWIN_NS for one in asked), *dialled)
    return min(
        lookup.asked_ns + lookup.asked_times * patience_ns,
        evidence.run.end_ns,
        *(at_ns for at_ns in instead if at_ns > lookup.asked_ns),
    )
