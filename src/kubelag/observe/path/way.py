"""Which way the client's connections take: server, proxy, and whom they trust."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kubelag.kube.config.kubeconfig import Kubeconfig
from kubelag.kube.connecting import tls_settings
from kubelag.kube.transport.endpoint import Endpoint, parse_endpoint
from kubelag.kube.transport.proxy import chosen_proxy
from kubelag.kube.transport.tls import TlsSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """From this machine to the server, as the kubeconfig and the environment have it."""

    server: Endpoint
    proxy: Endpoint | None = None
    """Its user information is a credential: never shown."""
    proxy_source: str = ""
    """`proxy-url`, or the variable's name as it is spelt."""
    tls: TlsSettings | None = field(default=None, repr=False)
    """None for plain HTTP."""

    @property
    def dialled(self) -> Endpoint:
        """What is connected to first: the proxy where there is one."""
        return self.proxy or self.server

    @property
    def tls_name(self) -> str:
        """The name that the certificate must have."""
        return self.tls.server_name if self.tls else self.server.host


def way_to(url: str, kubeconfig: Kubeconfig, env: Mapping[str, str]) -> Way:
    """The way to a server.

    Args:
        url: The server's.
        kubeconfig: Whose cluster says the rest.
        env: Where the proxy variables are looked for.

    Raises:
        KubeconfigError: If a URL or the certificate authority is no use.
    """
    cluster = kubeconfig.cluster
    server = parse_endpoint(url, "server of the kubeconfig")
    proxy = chosen_proxy(server, cluster.proxy_url, env)
    return Way(
        server=server,
        proxy=proxy,
        proxy_source=_source(server, cluster.proxy_url, env) if proxy else "",
        tls=tls_settings(server, cluster, env) if server.is_tls else None,
    )


def _source(server: Endpoint, proxy_url: str, env: Mapping[str, str]) -> str:
    if proxy_url:
        return "proxy-url"
    name = "HTTPS_PROXY" if server.is_tls else "HTTP_PROXY"
    return name if env.get(name) else name.lower()
