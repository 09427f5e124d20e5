"""TLS handshakes take long.

What it is
    A TLS terminator or balancer that is short of processors or asks somebody (a revocation list, a
    key store) before it answers; a large client key; a busy API server.

How it is told apart
    Connections are made at once, and the answer to the client's hello is late, for kubelag's own
    client as well. Three other things look the same from here: a proxy or balancer that waits for
    a dead server, large packets that vanish, and a server that is gone. Where kubelag's probes
    do not tell them apart, none is accused.

What it costs
    One handshake for each connection; sessions are never resumed across processes.

Versions
    All clients.

Sources
    RFC 8446, flannel#1614, kubernetes#39626.
"""

from kubelag.causes import way_facts
from kubelag.causes.contract import NOTABLE_NS, Case, innocent, unknown
from kubelag.causes.crowd import crowd
from kubelag.model.network import Connection
from kubelag.model.remedy import Advice
from kubelag.model.units import counted, seconds
from kubelag.model.verdict import Fact, Judgement, Source
from kubelag.timeline.factors import TLS

ID = "tls_slow"

_ADVICE = Advice(
    id="look-at-the-terminator",
    summary="look at what terminates TLS: its processors, its queue, whom it asks",
    commands=("openssl s_client -connect SERVER:6443 </dev/null",),
)
_SOURCES = (
    Source(title="RFC 8446: TLS 1.3", url="https://www.rfc-editor.org/rfc/rfc8446"),
    Source(
        title="kubernetes#39626: slow TLS handshakes",
        url="https://github.com/kubernetes/kubernetes/issues/39626",
    ),
)
_CANDIDATES = (
    "path: a proxy or balancer that waits for a dead server, large packets that vanish, and a slow "
    "or dead server look the same from here; a capture at the other end (--peer-pcap) and "
    "--backend tell them apart"
)


class TlsSlow:
    """See the module."""

    id = ID
    title = "TLS handshakes take long"

    def judge(self, case: Case) -> Judgement:
        """Look at the handshakes of the run, and at kubelag's own."""
        if missing := way_facts.unseen(case):
            return unknown(ID, "how long handshakes took was not seen", missing)
        if not case.is_waited_for(TLS):
            return innocent(ID, _handshakes(case), TLS)
        path = case.evidence.path
        if path and (way_facts.met_backends(case) or way_facts.lost_when_large(path)):
            return innocent(ID, f"{_handshakes(case)}: another cause explains them", TLS)
        own_ns = way_facts.handshake_ns(path.front) if path else None
        if own_ns is None or own_ns < NOTABLE_NS:
            if own_ns is not None and _is_for_the_crowd(case):
                alone = f"many at once, since there is no HTTP/2; one alone takes {seconds(own_ns)}"
                return innocent(ID, f"{_handshakes(case)}: {alone}", TLS)
            return unknown(ID, f"{_handshakes(case)}, and why is not known", (_CANDIDATES,))
        behind_ns = way_facts.handshake_ns(path.behind) if path else None
        is_front = behind_ns is not None and behind_ns < NOTABLE_NS
        who = "what stands before the API servers" if is_front else "the server"
        return Judgement(
            cause=ID,
            standing="suspected",
            sentence=(
                f"{who} takes {seconds(own_ns)} for a TLS handshake; {case.client} waited "
                f"{seconds(case.critical_ns(TLS))} for handshakes"
            ),
            factors=(TLS,),
            low_ns=case.exclusive_ns(TLS),
            high_ns=case.union_ns(TLS),
            arithmetic=_handshakes(case),
            facts=tuple(_facts(own_ns, behind_ns)),
            experiments=("direct_backend",) if is_front else (),
            advice=(_ADVICE,),
            sources=_SOURCES,
        )


def _handshakes(case: Case) -> str:
    done = [one.tls_ns for one in way_facts.connections(case) if one.tls_ns is not None]
    never = _unfinished(case)
    told = "no TLS handshake was long enough to be timed"
    if done:
        told = f"{counted(len(done), 'TLS handshake')}, the slowest {seconds(max(done))}"
    return f"{told}, {len(never)} never finished" if never else told


def _is_for_the_crowd(case: Case) -> bool:
    """Whether each handshake ended as soon as others could let it."""
    found = crowd(case)
    slowest_ns = max((one.tls_ns or 0 for one in way_facts.connections(case)), default=0)
    return found is not None and not _unfinished(case) and slowest_ns <= found.longest_ns


def _unfinished(case: Case) -> list[Connection]:
    return [one for one in way_facts.connections(case) if one.hello_ns and not one.secured_ns]


def _facts(own_ns: int, behind_ns: int | None) -> list[Fact]:
    text = f"kubelag's own client waited {seconds(own_ns)} for a handshake there (median)"
    facts = [Fact(text=text, observer="path")]
    if behind_ns is not None:
        text = f"directly at the API servers a handshake takes {seconds(behind_ns)} (median)"
        facts.append(Fact(text=text, observer="path"))
    return facts
