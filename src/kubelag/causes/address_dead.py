"""The server's name stands for several addresses, and one that is dialled first is dead.

What it is
    An A record that was never taken back: a master that is gone, an old balancer. A Go client dials
    the addresses in turn and gives each its part of 30 s before it goes on to the next.

How it is told apart
    The first SYNs go to an address that never answers, later ones to another that does.

What it costs
    15 s with two addresses, 10 s with three, for each connection.

Versions
    All Go clients (net.Dialer's partialDeadline).

Sources
    Go's net package (dial.go, partialDeadline), RFC 6724.
"""

from collections.abc import Sequence

from kubelag.causes import way_facts
from kubelag.causes.contract import Case, innocent, unknown
from kubelag.model.network import Connection
from kubelag.model.remedy import Advice
from kubelag.model.units import counted, seconds
from kubelag.model.verdict import Fact, Judgement, Source
from kubelag.timeline.factors import CONNECT

ID = "address_dead"

_ADVICE = Advice(
    id="take-back-the-record",
    summary="take the dead address out of DNS, or repair what should answer there",
    commands=("getent ahosts NAME",),
)
_SOURCES = (
    Source(
        title="Go's net.Dialer: each address gets its part of the time",
        url="https://github.com/golang/go/blob/go1.22.0/src/net/dial.go",
    ),
)


class AddressDead:
    """See the module."""

    id = ID
    title = "one of the server's addresses is dead"

    def judge(self, case: Case) -> Judgement:
        """Look for an address without an answer beside one with."""
        if missing := way_facts.unseen(case):
            return unknown(ID, "which addresses were dialled was not seen", missing)
        failed = [one for one in way_facts.failed_addresses(case) if not one.is_ipv6]
        dead = [one for one in failed if not way_facts.is_alive(one.address, case)]
        others = [one for one in way_facts.connections(case) if one.is_established]
        if not dead or not others or not case.is_waited_for(CONNECT):
            return innocent(ID, _innocent(case), CONNECT)
        first = dead[0]
        return Judgement(
            cause=ID,
            standing="suspected",
            sentence=(
                f"the address {first.address} does not answer and is dialled before "
                f"{others[0].server}, which does; it cost {seconds(first.spent_ns)}"
            ),
            factors=(CONNECT,),
            low_ns=case.exclusive_ns(CONNECT),
            high_ns=case.union_ns(CONNECT),
            arithmetic=(
                f"{counted(first.tries, 'try', 'tries')} of {first.address} in vain = "
                f"{seconds(first.spent_ns)}"
            ),
            facts=tuple(_facts(case)),
            experiments=("address_literal", *_other_family(others)),
            advice=(_ADVICE,),
            sources=_SOURCES,
        )


def _other_family(others: Sequence[Connection]) -> tuple[str, ...]:
    """Where IPv6 alone is answered, the whole of IPv4 may be left out."""
    return ("ipv6_only",) if all(one.server.startswith("[") for one in others) else ()


def _innocent(case: Case) -> str:
    made = [one.connect_ns for one in way_facts.connections(case) if one.connect_ns is not None]
    if not made:
        return "no connection was dialled in vain"
    slowest = f"{seconds(max(made))}{' at the slowest' if len(made) > 1 else ''}"
    return f"{counted(len(made), 'connection')} made, in {slowest}"


def _facts(case: Case) -> list[Fact]:
    path = case.evidence.path
    probes = path.front if path else ()
    return [
        Fact(
            text=f"tried again by kubelag: {probe.address}: "
            + (probe.error or f"connected in {seconds(probe.connect_ns or 0)}"),
            observer="path",
        )
        for probe in probes[:4]
    ]
