"""The command goes through an HTTP proxy that is slow or dead.

What it is
    HTTPS_PROXY (or proxy-url in the kubeconfig) is set, and NO_PROXY does not name the API server.
    Every connection then waits for the proxy to answer CONNECT, which may itself wait for name
    servers, for a log-in, or for nothing at all.

How it is told apart
    The connections go to the proxy, and the time passes before it answers CONNECT, or before it can
    be reached.

What it costs
    One CONNECT for each connection; a dead proxy costs the dialer's whole patience.

Versions
    All clients; targets on loopback never use a proxy from the environment.

Sources
    Go's net/http (ProxyFromEnvironment), minikube#322, kubernetes#60957.
"""

from kubelag.causes import way_facts
from kubelag.causes.contract import Case, innocent, unknown
from kubelag.model.path import PathMap
from kubelag.model.remedy import Advice
from kubelag.model.units import counted, seconds
from kubelag.model.verdict import Fact, Judgement, Source
from kubelag.timeline.factors import CONNECT, PROXY

ID = "proxy_slow"

_ADVICE = Advice(
    id="leave-the-proxy-out",
    summary="name the API server in NO_PROXY, or drop proxy-url from the kubeconfig",
    commands=("export NO_PROXY=$NO_PROXY,SERVER",),
)
_SOURCES = (
    Source(
        title="Go: proxies from the environment",
        url="https://pkg.go.dev/net/http#ProxyFromEnvironment",
    ),
)


class ProxySlow:
    """See the module."""

    id = ID
    title = "the HTTP proxy in the way is slow or dead"

    def judge(self, case: Case) -> Judgement:
        """Look at what was waited for before the proxy answered."""
        path = case.evidence.path
        if path is None and way_facts.is_quick(case, PROXY, CONNECT):
            return innocent(ID, "the command did not wait for connections", PROXY)
        if path is None:
            return unknown(ID, "whether there is a proxy is not known", way_facts.unprobed(case))
        if not path.proxy:
            return innocent(ID, "there is no proxy in the way", PROXY)
        if missing := way_facts.unseen(case):
            return unknown(ID, "how long the proxy took was not seen", missing)
        if not case.is_waited_for(PROXY, CONNECT):
            return innocent(ID, _quick(case, path), PROXY)
        waited_ns = case.critical_ns(PROXY, CONNECT)
        is_dead = not any(one.is_established for one in way_facts.connections(case))
        trouble = "cannot be reached" if is_dead else "takes long to answer CONNECT"
        return Judgement(
            cause=ID,
            standing="suspected",
            sentence=(
                f"the proxy {path.proxy} (from {path.proxy_source}) {trouble}; the command waited "
                f"{seconds(waited_ns)} for it"
            ),
            factors=(PROXY, CONNECT),
            low_ns=case.exclusive_ns(PROXY, CONNECT),
            high_ns=case.union_ns(PROXY, CONNECT),
            arithmetic=_quick(case, path),
            facts=tuple(_facts(path)),
            experiments=("bypass_proxy",),
            advice=(_ADVICE,),
            sources=_SOURCES,
        )


def _quick(case: Case, path: PathMap) -> str:
    took = [
        one.proxy_answered_ns - one.proxy_asked_ns
        for one in way_facts.connections(case)
        if one.proxy_asked_ns is not None and one.proxy_answered_ns is not None
    ]
    if not took:
        return f"the proxy {path.proxy} was not seen to answer CONNECT"
    slowest = f"the slowest took {seconds(max(took))}"
    return f"the proxy {path.proxy} answered CONNECT {counted(len(took), 'time')}, {slowest}"


def _facts(path: PathMap) -> list[Fact]:
    return [
        Fact(
            text=f"tried by kubelag through {path.proxy}: "
            + (probe.error or f"CONNECT answered in {seconds(probe.tunnel_ns or 0)}"),
            observer="path",
        )
        for probe in path.front[:3]
    ]
