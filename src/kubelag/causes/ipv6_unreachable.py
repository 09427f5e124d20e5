"""The server's name has an IPv6 address that cannot be reached from here.

What it is
    AAAA records, or the machine's own IPv6 address, without a way to get there. A Go client begins
    with IPv6, waits 0.3 s, then tries IPv4 beside it; without an IPv4 address it waits much longer.

How it is told apart
    SYNs to IPv6 addresses stay unanswered, connections to IPv4 addresses come about.

What it costs
    0.3 s for each connection that is opened; up to 30 s where there is no IPv4 address.

Versions
    All Go clients (Happy Eyeballs, RFC 6555, since Go 1.5).

Sources
    Go's net package (dial.go, fallbackDelay), RFC 6555, RFC 8305.
"""

from kubelag.causes import way_facts
from kubelag.causes.contract import Case, innocent, unknown
from kubelag.model.remedy import Advice
from kubelag.model.units import counted, seconds
from kubelag.model.verdict import Judgement, Source
from kubelag.timeline.factors import CONNECT

ID = "ipv6_unreachable"

_ADVICE = Advice(
    id="repair-or-drop-ipv6",
    summary=(
        "repair the way over IPv6, take the AAAA record back, or name an IPv4 address in the "
        "kubeconfig (with tls-server-name)"
    ),
    commands=("ip -6 route get ADDRESS",),
)
_SOURCES = (
    Source(title="RFC 8305: Happy Eyeballs", url="https://www.rfc-editor.org/rfc/rfc8305"),
    Source(
        title="Go's net.Dialer: FallbackDelay is 300 ms",
        url="https://pkg.go.dev/net#Dialer",
    ),
)


class Ipv6Unreachable:
    """See the module."""

    id = ID
    title = "the server's IPv6 address cannot be reached"

    def judge(self, case: Case) -> Judgement:
        """Look for IPv6 addresses without an answer."""
        if missing := way_facts.unseen(case):
            return unknown(ID, "which addresses were dialled was not seen", missing)
        failed = [one for one in way_facts.failed_addresses(case) if one.is_ipv6]
        dead = [one for one in failed if not way_facts.is_alive(one.address, case)]
        spent_ns = sum(one.spent_ns for one in dead)
        if not dead or not case.is_notable(spent_ns):
            return innocent(ID, "no IPv6 address was dialled in vain", CONNECT)
        tries = sum(one.tries for one in dead)
        return Judgement(
            cause=ID,
            standing="suspected",
            sentence=(
                f"{dead[0].address} (IPv6) cannot be reached from here and is dialled first; the "
                f"command waited {seconds(case.critical_ns(CONNECT))} for connections"
            ),
            factors=(CONNECT,),
            low_ns=case.exclusive_ns(CONNECT),
            high_ns=case.union_ns(CONNECT),
            arithmetic=(
                f"{counted(tries, 'connection')} x {seconds(spent_ns / tries)} until IPv4 was tried"
            ),
            experiments=("ipv4_only",),
            supporting=("address_literal",),
            advice=(_ADVICE,),
            sources=_SOURCES,
        )
