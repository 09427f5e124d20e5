"""exec, attach, cp or port-forward tries WebSockets first, is refused, and begins again with SPDY.

What it is
    From kubectl 1.30 on (port-forward: 1.31) streams go over WebSockets. A gateway or an old server
    that refuses the upgrade makes the client fall back, with another connection and request.

How it is told apart
    The client's log names the fallback.

What it costs
    One more handshake and request for each command.

Versions
    kubectl 1.30 and newer; its log names the fallback from 1.31 on.
    KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false turns WebSockets off.

Sources
    KEP-4006, kubernetes#119186, kubernetes#126231.
"""

from kubelag.causes import server_facts
from kubelag.causes.contract import Case, could_not_look, innocent, unknown
from kubelag.model.evidence import Request
from kubelag.model.remedy import Advice
from kubelag.model.units import seconds
from kubelag.model.verdict import Fact, Judgement, Source
from kubelag.timeline.factors import TARGET

ID = "websocket_fallback"

_ADVICE = Advice(
    id="let-websockets-through",
    summary=(
        "let what stands before the API server pass WebSocket upgrades, or ask for SPDY at once"
    ),
    commands=(
        "export KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false KUBECTL_PORT_FORWARD_WEBSOCKETS=false",
    ),
)
_SOURCES = (
    Source(
        title="KEP-4006: from SPDY to WebSockets",
        url="https://github.com/kubernetes/enhancements/issues/4006",
    ),
)


class WebsocketFallback:
    """See the module."""

    id = ID
    title = "WebSockets are refused"

    def judge(self, case: Case) -> Judgement:
        """Look for the fallback in the client's log."""
        if missing := could_not_look(case, ["debug_log"]):
            return unknown(ID, "whether the client fell back was not seen", missing)
        fallen = [note for note in case.evidence.notes if note.kind == "websocket_fallback"]
        if not fallen:
            return innocent(ID, "the client did not fall back from WebSockets", TARGET)
        refused = server_facts.refused_upgrade(case.evidence)
        waited_ns = _waited_ns(case, refused) if refused else 0
        told = f"WebSockets were refused and SPDY was tried, {seconds(waited_ns)} later"
        if not case.is_notable(waited_ns):
            return innocent(ID, told, TARGET)
        return Judgement(
            cause=ID,
            standing="suspected",
            sentence=f"{told}: {case.client} asked twice",
            # One request of several that are waited for: the factor as a whole would say too much.
            factors=(),
            low_ns=waited_ns,
            high_ns=waited_ns,
            arithmetic=f"one refused request = {seconds(waited_ns)}",
            facts=(Fact(text=f"the client fell back: {fallen[0].subject}", observer="debug_log"),),
            advice=(_ADVICE,),
            sources=_SOURCES,
        )


def _waited_ns(case: Case, request: Request) -> int:
    """How much of the critical path went by while it was in flight."""
    return sum(
        max(0, min(span.end_ns, request.end_ns) - max(span.start_ns, request.start_ns))
        for span in case.attribution.path
    )
