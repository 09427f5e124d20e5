"""Many TLS handshakes at once, for want of HTTP/2: one reading that the causes about it share.

Whoever ends the connections makes one handshake after another, and has no time for answers until
then. What is claimed is the handshakes alone; whose the answers' time was is not known.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from kubelag.causes import way_facts
from kubelag.causes.contract import Case, median_ns
from kubelag.model.network import Connection
from kubelag.model.path import AddressProbe, PathMap
from kubelag.model.stretches import Moment, Stretch, covered_ns, merged

# A client keeps to one connection with HTTP/2; a few more come from races at the start. Arbitrary.
MANY = 8
# Handshakes that wait for one another take no longer than all of them one by one, or twice that
# where their maker has other work. Arbitrary.
_PATIENCE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """The handshakes of one run."""

    count: int
    when: tuple[Moment, ...]
    """While at least one was going on: from a connection's first packet to its being secured."""
    one_ns: int
    """What one takes alone: kubelag's own, median."""

    @property
    def excess_ns(self) -> int:
        """How long they went on, less the one that HTTP/2 would have needed too.

        One that took longer than all of them can take was held up by something else.
        """
        return max(0, min(covered_ns(self.when), self.longest_ns) - self.one_ns)

    @property
    def longest_ns(self) -> int:
        """How long they can take that wait for one another only."""
        return _PATIENCE * self.count * self.one_ns

    def outside_ns(self, one: Stretch) -> int:
        """How much of that went on while there was no handshake."""
        return covered_ns((*self.when, one)) - covered_ns(self.when)


def crowd(case: Case) -> Crowd | None:
    """The handshakes, where there were many and a server without HTTP/2 asked for them.

    None also where one alone is not quick: then it is no matter of how many there are.
    """
    path = case.evidence.path
    made = [one for one in way_facts.connections(case) if one.is_established]
    if path is None or len(made) < MANY or offers(path) != {"http/1.1"}:
        return None
    if any(one.error or way_facts.has_stalled(one) for one in path.front):
        return None
    when = merged(_handshakes(made))
    return Crowd(count=len(made), when=when, one_ns=_one_ns(path.front))


def offers(path: PathMap) -> set[str]:
    """What the server's side chose of HTTP/2 and HTTP/1.1, each time that it could."""
    return {one.protocol or "http/1.1" for one in path.front if one.tls_ns is not None}


def _handshakes(made: Iterable[Connection]) -> Iterable[Moment]:
    for one in made:
        ready_ns = one.secured_ns or one.established_ns or one.first_ns
        yield Moment(start_ns=one.first_ns, end_ns=ready_ns)


def _one_ns(probes: Iterable[AddressProbe]) -> int:
    return median_ns(
        one.connect_ns + (one.tunnel_ns or 0) + one.tls_ns
        for one in probes
        if one.connect_ns is not None and one.tls_ns is not None
    )
