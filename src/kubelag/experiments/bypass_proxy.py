"""The same command without the proxy that is in its way.

A variable's proxy is avoided by NO_PROXY, so that a credential plugin keeps it; `proxy-url` is left
out of a private kubeconfig, whose server stays the same.
"""

from urllib.parse import urlsplit

from kubelag.experiments.contract import NotApplicableError, Situation, Treatment, Variant
from kubelag.experiments.rerouting import path_of, refuse_strangers, rerouted, sparing
from kubelag.timeline.factors import CONNECT, DNS

# The proxy's own name and addresses go with it.
_PASSED_BY = (DNS, CONNECT)


class BypassProxy:
    """See the module."""

    id = "bypass_proxy"
    title = "without the proxy"

    def vary(self, situation: Situation) -> tuple[Treatment, ...]:
        """The command that goes straight to its server."""
        path = path_of(situation)
        if not path.proxy:
            raise NotApplicableError("no proxy is in the way")
        refuse_strangers(situation)  # the name may mean another host here than at the proxy
        if path.proxy_source == "proxy-url":
            return (Treatment(variant=_without_proxy_url(situation), removes=_PASSED_BY),)
        unchanged = situation.unchanged
        shown = f"NO_PROXY={path.host} {' '.join(situation.evidence.command)}"
        variant = unchanged.but(env=sparing(unchanged.env, path.host), shown=shown)
        return (Treatment(variant=variant, removes=_PASSED_BY),)


def _without_proxy_url(situation: Situation) -> Variant:
    config = situation.kubeconfig
    netloc = urlsplit(config.cluster.server).netloc if config else ""
    variant = rerouted(situation, netloc, keep_proxy=False)
    shown = f"{' '.join(situation.evidence.command)}  # with a kubeconfig without proxy-url"
    return variant.but(shown=shown)
