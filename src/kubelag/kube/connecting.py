"""Puts a session together from a kubeconfig: endpoint, proxy, trust, credentials, pool."""

import sys

from kubelag.errors import KubeconfigError
from kubelag.kube.auth.credentials import Credentials
from kubelag.kube.session import Manner, Session
from kubelag.kube.transport.dial import Dialer, Route
from kubelag.kube.transport.endpoint import Endpoint, parse_endpoint
from kubelag.kube.transport.events import Phase
from kubelag.kube.transport.pool import Pool
from kubelag.kube.transport.tls import TlsSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubelag.kube.config.kubeconfig import Cluster, Kubeconfig
    from kubelag.kube.transport.events import Observer

_PROXY_VARIABLES = frozenset({"http_proxy", "https_proxy"})


def connect(
    kubeconfig: "Kubeconfig", env: "Mapping[str, str]", user_agent: str, observe: "Observer"
) -> Session:
    """A session with nothing sent yet.

    Raises:
        KubeconfigError: If the server's URL, its certificate authority or the proxy is no use.
    """
    cluster = kubeconfig.cluster
    server = parse_endpoint(cluster.server, "server of the kubeconfig")
    proxy = _proxy(server, cluster.proxy_url, env)
    tls = tls_settings(server, cluster, env) if server.is_tls else None
    dialer = Dialer(Route(server=server, proxy=proxy, tls=tls), observe=observe)

    def told(_name: str, began_ns: int, ended_ns: int, detail: str) -> None:
        phase = Phase(kind="credential", began_ns=began_ns, ended_ns=ended_ns, detail=detail)
        observe(phase)

    credentials = Credentials(
        kubeconfig.user,
        cluster,
        env=env,
        observe=told,
        stdin_is_terminal=sys.stdin is not None and sys.stdin.isatty(),
    )
    is_forwarded = proxy is not None and tls is None and proxy.scheme == "http"
    manner = Manner(
        authority=server.authority,
        prefix=(f"http://{server.authority}" if is_forwarded else "") + server.prefix,
        user_agent=user_agent,
        is_compressed=not cluster.disable_compression,
        headers=_for_proxy(proxy) if proxy is not None and is_forwarded else (),
    )
    return Session(manner, Pool(dialer, observe), credentials, observe)


def _proxy(server: Endpoint, proxy_url: str, env: "Mapping[str, str]") -> Endpoint | None:
    has_any = proxy_url or any(name.lower() in _PROXY_VARIABLES for name in env)
    if not has_any:
        return None
    from kubelag.kube.transport.proxy import chosen_proxy  # noqa: PLC0415 -- few have one

    return chosen_proxy(server, proxy_url, env)


def _for_proxy(proxy: Endpoint) -> tuple[tuple[str, str], ...]:
    from kubelag.kube.transport.proxy import authorization  # noqa: PLC0415 -- few have one

    value = authorization(proxy)
    return (("proxy-authorization", value),) if value else ()


def tls_settings(server: Endpoint, cluster: "Cluster", env: "Mapping[str, str]") -> TlsSettings:
    """Whom a cluster's connections trust, and as which name.

    Raises:
        KubeconfigError: The authority is no use, or contradicts what else is said.
    """
    authority, origin = _authority(cluster)
    if authority and cluster.insecure_skip_tls_verify:
        raise KubeconfigError(
            f"{origin} and insecure-skip-tls-verify contradict each other", "remove one of them"
        )
    return TlsSettings(
        ca_pem=authority,
        ca_origin=origin,
        server_name=cluster.tls_server_name or server.host,
        is_insecure=cluster.insecure_skip_tls_verify,
        # As kubectl: set to anything.
        has_http2=not env.get("DISABLE_HTTP2"),
    )


def _authority(cluster: "Cluster") -> tuple[bytes, str]:
    """The cluster's certificate authorities and where they come from; data beats file."""
    if cluster.ca_data:
        from binascii import a2b_base64  # noqa: PLC0415 -- not every cluster has it

        origin = f"certificate-authority-data of cluster {cluster.name!r}"
        try:
            return a2b_base64(cluster.ca_data.encode(), strict_mode=True), origin
        except ValueError as error:
            raise KubeconfigError(
                f"{origin} is no base64", "take it anew from the cluster"
            ) from error
    if not cluster.ca_file:
        return b"", ""
    try:
        with open(cluster.ca_file, "rb") as file:  # noqa: PTH123 -- pathlib would cost 5 ms
            return file.read(), cluster.ca_file
    except OSError as error:
        raise KubeconfigError(
            f"the certificate authority {cluster.ca_file} cannot be read "
            f"({(error.strerror or str(error)).lower()})",
            "check its path and mode",
        ) from error
