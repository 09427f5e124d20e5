"""A kubeconfig for one command that sends it another way to the same API server."""

import json
from urllib.parse import urlsplit

from kubelag.errors import KubeconfigError
from kubelag.kube.config.kubeconfig import merge
from kubelag.kube.config.kubeconfig_file import read_config_file
from kubelag.kube.secret import Secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kubelag.kube.config.kubeconfig import Kubeconfig
    from kubelag.kube.config.kubeconfig_file import Entry

FOLDED_FLAGS = ("kubeconfig", "context", "cluster", "user", "server", "tls-server-name")
"""Flags of a command that the copy has taken in; left in place they would override it."""
_NAME = "rerouted"  # where flags alone say what is used, and nothing has a name


def tls_name_of(kubeconfig: "Kubeconfig") -> str:
    """The name that the server's certificate must have."""
    cluster = kubeconfig.cluster
    return cluster.tls_server_name or urlsplit(cluster.server).hostname or ""


def rerouted_kubeconfig(
    kubeconfig: "Kubeconfig", *, server: str, keep_proxy: bool
) -> Secret[bytes]:
    """The context in use alone, with another server and the name that its certificate must have.

    It is JSON, which is YAML too. Paths in it are absolute, those of plugins too. Credentials are
    the files' own, so that flags that come before them still do. Names stay: plugins keep what
    they were given by the name of the context (gke-gcloud-auth-plugin does).

    Args:
        kubeconfig: What the command uses now.
        server: URL of the server that is to be used instead.
        keep_proxy: Whether the cluster's `proxy-url` stays.

    Raises:
        KubeconfigError: The files have changed so that they cannot be read any more.
    """
    context, cluster = kubeconfig.entries.reveal()
    name = kubeconfig.context or _NAME
    names = {
        "cluster": kubeconfig.cluster.name or _NAME,
        "user": kubeconfig.user.name or _NAME,
    }
    changed = {**cluster, "server": server, "tls-server-name": tls_name_of(kubeconfig)}
    if not keep_proxy:
        changed.pop("proxy-url", None)
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": names["cluster"], "cluster": changed}],
        "users": [{"name": names["user"], "user": dict(_user(kubeconfig))}],
        "contexts": [{"name": name, "context": {**context, **names}}],
        "current-context": name,
    }
    return Secret(json.dumps(document, default=str, skipkeys=True).encode())


def _user(kubeconfig: "Kubeconfig") -> "Entry":
    """The user's entry as the files have it, for what `Kubeconfig` keeps is taken apart."""
    try:
        merged = merge(read_config_file(path) for path in kubeconfig.files)
    except FileNotFoundError as error:
        raise KubeconfigError(
            f"kubeconfig {error.filename} is gone meanwhile", "explain the command again"
        ) from error
    return merged.users.get(kubeconfig.user.name, {})
