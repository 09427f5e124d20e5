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
    all handshakes is longer than that of one; and whoever makes them all has no time to answer.

Versions
    All clients; those that use aggregated discovery need far fewer requests.

Sources
    RFC 9113, client-go's transport (DISABLE_HTTP2).
"""

from collections.abc import Sequence

from kubelag.causes import server_facts, way_facts
from kubelag.causes.contract import Case, innocent, median_ns, unknown
from kubelag.model.attribution import Span
from kubelag.model.network import Connection
from kubelag.model.path import PathMap
from kubelag.model.remedy import Advice
from kubelag.model.stretches import covered_ns
from kubelag.model.units import counted, seconds
from kubelag.model.verdict import Fact, Judgement, Source
from kubelag.timeline.factors import CONNECT, DISCOVERY, ROUND_TRIPS, TARGET, TLS

ID = "http1_only"

_FACTORS = (CONNECT, TLS, ROUND_TRIPS)
_ANSWERS = (DISCOVERY, TARGET)
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
        told_for = f"{told} for {counted(len(case.evidence.requests), 'request')}"
        path = case.evidence.path
        if len(made) < way_facts.MANY:
            return innocent(ID, told_for, *_FACTORS)
        if path is None:
            return unknown(ID, f"{told}, and why is not known", way_facts.unprobed(case))
        if not way_facts.offers_only_http1(path):
            return innocent(ID, f"{told}, by the client's choice: the server offers HTTP/2")
        secured_ns = min(_more_handshakes_ns(made, path), case.critical_ns(*_FACTORS))
        is_crowded = server_facts.story(case).part == "connections"
        answered_ns = case.critical_ns(*_ANSWERS) if is_crowded else 0
        waited_ns = secured_ns + answered_ns
        if not case.is_notable(waited_ns):
            return innocent(ID, f"{told}, which cost {seconds(waited_ns)}", *_FACTORS)
        behind = f", and {seconds(answered_ns)} for answers behind them" if is_crowded else ""
        factors = (*_FACTORS, *(_ANSWERS if is_crowded else ()))
        names = way_facts.good_backends(path)[:1]
        return Judgement(
            cause=ID,
            standing="suspected",
            sentence=(
                f"{path.host}:{path.port} offers only HTTP/1.1, so {case.client} opened {told} "
                f"and waited {seconds(secured_ns)} for handshakes that HTTP/2 does without{behind}"
            ),
            factors=factors,
            low_ns=min(secured_ns, case.exclusive_ns(*_FACTORS)),
            high_ns=case.union_ns(*factors),
            waited_ns=waited_ns,
            arithmetic=told_for,
            facts=tuple(_facts(path)),
            experiments=tuple(f"direct_backend:{name}" for name in names),
            advice=(_ADVICE,),
            sources=_SOURCES,
        )


def _more_handshakes_ns(made: Sequence[Connection], path: PathMap) -> int:
    """How long handshakes were going on, less the one that HTTP/2 would have needed, too."""
    whole_ns = covered_ns(_handshake(one) for one in made)
    return max(0, whole_ns - _one_handshake_ns(path))


def _handshake(made: Connection) -> Span:
    ready_ns = made.secured_ns or made.established_ns or made.first_ns
    return Span(factor=TLS, start_ns=made.first_ns, end_ns=ready_ns, what=made.server)


def _one_handshake_ns(path: PathMap) -> int:
    """What kubelag's own connections took, median."""
    return median_ns(
        probe.connect_ns + probe.tls_ns
        for probe in path.front
        if probe.connect_ns is not None and probe.tls_ns is not None
    )


def _facts(path: PathMap) -> list[Fact]:
    behind = sorted({probe.protocol or "none" for probe in path.behind if probe.tls_ns})
    if not behind:
        return []
    text = f"asked directly, the API servers choose {', '.join(behind)}"
    return [Fact(text=text, observer="path")]
