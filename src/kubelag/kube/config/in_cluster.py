"""The configuration that every pod has: its service account.

Source: client-go `rest.InClusterConfig` and `clientcmd.inClusterClientConfig`.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubelag.kube.config.kubeconfig_file import Entry

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


def in_cluster_entries(
    env: "Mapping[str, str]", service_account: str
) -> "tuple[Entry, Entry, Entry] | None":
    """Context, cluster and user as a kubeconfig would have them; None outside a pod."""
    service_account = service_account or SERVICE_ACCOUNT
    host, port = env.get("KUBERNETES_SERVICE_HOST"), env.get("KUBERNETES_SERVICE_PORT")
    token, authority = f"{service_account}/token", f"{service_account}/ca.crt"
    if not (host and port and os.path.isfile(token)):  # noqa: PTH113 -- paths are text throughout
        return None
    bracketed = f"[{host}]" if ":" in host else host
    cluster = {"server": f"https://{bracketed}:{port}"}
    if os.path.isfile(authority):  # noqa: PTH113 -- the same
        cluster["certificate-authority"] = authority
    context = {"namespace": env.get("POD_NAMESPACE") or _namespace(service_account)}
    return context, cluster, {"tokenFile": token}


def _namespace(service_account: str) -> str:
    try:
        with open(f"{service_account}/namespace", encoding="utf-8") as file:  # noqa: PTH123 -- the same
            return file.read(1024).strip()
    except (OSError, ValueError):
        return ""
