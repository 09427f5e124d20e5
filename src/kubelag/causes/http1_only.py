"""Something in the way speaks only HTTP/1.1, so every parallel request needs its own connection.

What it is
    A TLS terminator, a proxy or a web application firewall that does not offer HTTP/2, or a client
    that was told not to use it. Discovery asks for dozens of documents at once, and each takes a
    connection with its own TLS handshake.

How it is told apart
    Many connections, and the server's side chose HTTP/1.1; asked directly, the API servers offer
    HTTP/2.

What it costs
    One handshake for each parallel request: 45 to 61 of them in a cold discovery (measured with
    kubectl 1.20 to 1.33 and 61 group-versions). They go on at once, so they cost what the time of
    all handshakes is longer than that of one; and whoever makes them all has no time to answer,
    which is not counted here: nobody can tell it from a slow server.

Versions
    All clients; those that use aggregated discovery need far fewer requests.

Sources
    RFC 9113, client-go's transport (DISABLE_HTTP2).
"""

from kubelag.causes import way_facts
from kubelag.causes.contract import Case, innocent, unknown
from kubelag.causes.crowd import MANY, Crowd, crowd, offers
from kubelag.model.path import PathMap
from kubelag.model.remedy import Advice
from kubelag.model.units import counted, seconds
from kubelag.model.verdict import Fact, Judgement, Source
from kubelag.timeline.factors import CONNECT, DISCOVERY, ROUND_TRIPS, TARGET, TLS

ID = "http1_only"

_FACTORS = (CONNECT, TLS, ROUND_TRIPS)
_ADVICE = Advice(
    id="let-http2-through",
    summary="let what stands before the API servers offer HTTP/2 (ALPN h2), or pass TCP through",
    commands=("openssl s_client -alpn h2,http/1.1 -connect SERVER:6443 </dev/null | grep ALPN",),
)
_SOURCES = (Source(title="RFC 9113: HTTP/2", url="https://www.rfc-editor.org/rfc/rfc9113"),)


class Http1Only:
    """See the module."""

    id = ID
    title = "no HTTP/2: a connection for every parallel request"

    def judge(self, case: Case) -> Judgement:
        """Count the connections, and ask what the server's side offers."""
        if missing := way_facts.unseen(case):
            return unknown(ID, "how many connections there were was not seen", missing)
        made = [one for one in way_facts.connections(case) if one.is_established]
        told = counted(len(made), "connection")
        path = case.evidence.path
        if len(made) < MANY:
            told_for = f"{told} for {counted(len(case.evidence.requests), 'request')}"
            return innocent(ID, told_for, *_FACTORS)
        if path is None:
            return unknown(ID, f"{told}, and why is not known", way_facts.unprobed(case))
        if offers(path) == {"h2"}:
            return innocent(ID, f"{told}, by the client's choice: the server offers HTTP/2")
        found = crowd(case)
        if found is None:
            missing = ("path: no quick connection without HTTP/2 to compare them with",)
            return unknown(ID, f"{told}, and what they cost is not known", missing)
        waited_ns = min(found.excess_ns, case.critical_ns(*_FACTORS, DISCOVERY, TARGET))
        if not case.is_notable(waited_ns):
            return innocent(ID, f"{told}, which cost {seconds(waited_ns)}", *_FACTORS)
        return _suspected(case, path, found, waited_ns)


def _suspected(case: Case, path: PathMap, found: Crowd, waited_ns: int) -> Judgement:
    told = counted(found.count, "connection")
    return Judgement(
        cause=ID,
        standing="suspected",
        sentence=(
            f"{path.host}:{path.port} offers only HTTP/1.1, so {case.client} opened {told} "
            f"and waited {seconds(waited_ns)} for handshakes that HTTP/2 does without"
        ),
        factors=_FACTORS,
        low_ns=min(waited_ns, case.exclusive_ns(*_FACTORS)),
        high_ns=case.union_ns(*_FACTORS),
        waited_ns=waited_ns,
        arithmetic=(
            f"handshakes went on for {seconds(found.excess_ns + found.one_ns)}; "
            f"one alone takes {seconds(found.one_ns)}"
        ),
        facts=tuple(_facts(path)),
        experiments=tuple(f"direct_backend:{name}" for name in way_facts.good_backends(path)[:1]),
        advice=(_ADVICE,),
        sources=_SOURCES,
    )


def _facts(path: PathMap) -> list[Fact]:
    behind = sorted({probe.protocol or "none" for probe in path.behind if probe.tls_ns})
    if not behind:
        return []
    text = f"asked directly, the API servers choose {', '.join(behind)}"
    return [Fact(text=text, observer="path")]
