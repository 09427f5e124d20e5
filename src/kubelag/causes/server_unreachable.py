"""Nothing answers at the server's address at all.

What it is
    A firewall that drops packets, a server or balancer that is gone, a wrong address in the
    kubeconfig. The client tries until its patience ends, several times.

How it is told apart
    No connection comes about, in the run or afterwards, to any of the addresses. From here a
    dropped packet and a dead machine look alike.

What it costs
    30 s for each try (Go's dialer), five tries: about 150 s.

Versions
    All clients.

Sources
    kubernetes#73570, Go's net package (dial.go).
"""

from kubelag.causes import way_facts
from kubelag.causes.contract import Case, innocent, unknown
from kubelag.model.remedy import Advice
from kubelag.model.units import counted, seconds
from kubelag.model.verdict import Judgement, Source
from kubelag.timeline.factors import CONNECT

ID = "server_unreachable"

_ADVICE = Advice(
    id="find-who-drops",
    summary=(
        "look for the firewall or the route that drops the packets, and at the server itself; "
        "--request-timeout=3s ends the wait early meanwhile"
    ),
    commands=("ip route get ADDRESS", "ss -ltn 'sport = :6443'  # on the server"),
)
_SOURCES = (
    Source(
        title="kubernetes#73570: kubectl takes two minutes to give up",
        url="https://github.com/kubernetes/kubernetes/issues/73570",
    ),
)


class ServerUnreachable:
    """See the module."""

    id = ID
    title = "the server cannot be reached"

    def judge(self, case: Case) -> Judgement:
        """Look for a run in which nothing was connected."""
        if missing := way_facts.unseen(case):
            return unknown(ID, "which addresses were dialled was not seen", missing)
        failed = way_facts.failed_addresses(case)
        if any(one.is_established for one in way_facts.connections(case)):
            return innocent(ID, "connections to the server came about", CONNECT)
        if not failed or not case.is_waited_for(CONNECT):
            return innocent(ID, "the command did not wait for a connection", CONNECT)
        if case.evidence.path and case.evidence.path.proxy:
            return innocent(ID, "the command talked to a proxy, not to the server itself", CONNECT)
        tries = sum(one.tries for one in failed)
        refused = any(not one.is_reachable for one in way_facts.connections(case))
        who = "a router says that it cannot be reached" if refused else "nobody answers"
        return Judgement(
            cause=ID,
            standing="suspected",
            sentence=(
                f"{failed[0].address} does not answer: {who}; the command waited "
                f"{seconds(case.critical_ns(CONNECT))} for a connection"
            ),
            factors=(CONNECT,),
            low_ns=case.exclusive_ns(CONNECT),
            high_ns=case.union_ns(CONNECT),
            arithmetic=f"{counted(tries, 'try', 'tries')} in vain",
            supporting=("direct_backend",),
            advice=(_ADVICE,),
            sources=_SOURCES,
        )
