"""What the faults have in common in which the command goes through an HTTP proxy."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from kubelag.errors import LabError
from kubelag.lab.faults.contract import Scene
from kubelag.lab.faults.name_trouble import health_by_address_s
from kubelag.lab.ha.building import PROXY
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.plan import NAME
from kubelag.lab.ha.scenes import get_nodes
from kubelag.lab.ha.server_trouble import FAST_S, HEALTH
from kubelag.lab.ha.timing import raw
from kubelag.lab.network.connect_proxy import PROXY as PROXY_PROGRAM
from kubelag.lab.network.connect_proxy import ProxySettings
from kubelag.lab.network.lan import address_of
from kubelag.lab.network.served import Served, attach

PROXY_PORT = 3128
"""Squid's, as everybody's."""
_DIRECTORY = "http-proxy"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyTrouble:
    """A proxy that answers, at once or late."""

    id: str
    expected: tuple[str, ...]
    describe: str
    """One sentence."""
    settings: ProxySettings = field(default_factory=ProxySettings)
    """How it behaves; it learns the API server's name by itself."""

    @property
    def how_to_see(self) -> str:
        """By curl, which goes through the proxy that it is told."""
        proxy = f"{address_of(PROXY)}:{PROXY_PORT}"
        return f"kubelag lab exec -- bash -c 'time curl -skx {proxy} https://{NAME}:8443/livez'"

    def component(self, ha: HaLab) -> tuple[str, ...]:
        """The proxy, where it is to blame."""
        return (ha.proxy.address,) if self.expected else ()

    def on(self, ha: HaLab) -> None:
        """Start it on its host."""
        settings = replace(self.settings, hosts={NAME: ha.vip})
        ha.serve(PROXY_PROGRAM, _DIRECTORY, ha.proxy, PROXY_PORT, settings)

    def off(self, _ha: HaLab) -> None:
        """The lab has ended it already."""

    def see(self, ha: HaLab) -> str:
        """Ask the API server for its health through the proxy and past it; count the tunnels."""
        proxy = the_proxy(ha)
        before = proxy.counts.get("tunnels", 0)
        through_s, problem = raw(ha, HEALTH, through_proxy(ha))
        past_s = health_by_address_s(ha)  # the counts are up to date when it is done
        tunnels = proxy.counts.get("tunnels", 0) - before
        if problem or not tunnels or through_s < past_s + self.settings.delay_s - FAST_S:
            raise LabError(
                f"{HEALTH} took {through_s:.2f} s through the proxy, {past_s:.2f} s past it, in "
                f"{tunnels} tunnels ({problem or 'both answered'})",
                f"kubelag lab fault {self.id} off, then on again",
            )
        return (
            f"{HEALTH} takes {through_s:.2f} s through the proxy {ha.proxy.address}, which made "
            f"{tunnels} tunnel, and {past_s:.2f} s past it"
        )

    def scene(self, ha: HaLab) -> Scene:
        """`kubectl get nodes`, cold, through the proxy."""
        return get_nodes(ha, describe=self.describe, environment=through_proxy(ha))


def the_proxy(ha: HaLab) -> Served[ProxySettings]:
    """The one that was started.

    Raises:
        LabError: There is none.
    """
    return attach(ha.directory / _DIRECTORY, PROXY_PROGRAM)


def proxy_url(ha: HaLab) -> str:
    """What HTTPS_PROXY says."""
    return f"http://{ha.proxy.address}:{PROXY_PORT}"


def through_proxy(ha: HaLab) -> Mapping[str, str]:
    """The environment of a command on the client's node that goes through the proxy."""
    return {**ha.environment(), "HTTPS_PROXY": proxy_url(ha), "NO_PROXY": "localhost,127.0.0.1"}
