"""How Kubernetes clients find their server, credentials and cache, and a client of our own.

>>> from kubelag.kube import Client                                       # doctest: +SKIP
>>> with Client() as client:                                              # doctest: +SKIP
...     print(client.discovery.resolve("deploy").api_version)
apps/v1

What is exported is loaded when it is first used, so that nothing pays for what it does not need.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kubelag.errors import (
        ApiError,
        CredentialError,
        KubeconfigError,
        KubelagError,
        TransportError,
        UnknownResourceError,
    )
    from kubelag.kube.aio import AsyncClient
    from kubelag.kube.client import Client, Settings
    from kubelag.kube.config.overrides import Overrides
    from kubelag.kube.discovery.resolve import Resource
    from kubelag.kube.secret import Secret
    from kubelag.kube.transport.events import Phase, RequestDone

_HOMES = {
    "ApiError": "kubelag.errors",
    "AsyncClient": "kubelag.kube.aio",
    "Client": "kubelag.kube.client",
    "CredentialError": "kubelag.errors",
    "KubeconfigError": "kubelag.errors",
    "KubelagError": "kubelag.errors",
    "Overrides": "kubelag.kube.config.overrides",
    "Phase": "kubelag.kube.transport.events",
    "RequestDone": "kubelag.kube.transport.events",
    "Resource": "kubelag.kube.discovery.resolve",
    "Secret": "kubelag.kube.secret",
    "Settings": "kubelag.kube.client",
    "TransportError": "kubelag.errors",
    "UnknownResourceError": "kubelag.errors",
}

__all__ = [
    "ApiError",
    "AsyncClient",
    "Client",
    "CredentialError",
    "KubeconfigError",
    "KubelagError",
    "Overrides",
    "Phase",
    "RequestDone",
    "Resource",
    "Secret",
    "Settings",
    "TransportError",
    "UnknownResourceError",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import sys  # noqa: PLC0415 -- only when something is asked for

    __import__(home)
    return getattr(sys.modules[home], name)
