"""A kubeconfig for one command, its credential already there."""

import base64
import json

from kubelag.kube.secret import Secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kubelag.kube.config.kubeconfig import Kubeconfig


def static_token_kubeconfig(
    kubeconfig: "Kubeconfig",
    token: Secret[str] | None,
    *,
    client_certificate: str = "",
    client_key: Secret[str] | None = None,
) -> bytes:
    """A kubeconfig of the current context alone, its credential replaced by this one.

    It is JSON, which is YAML too. It holds a secret in clear: hand it on in a memfd, never in a
    file. Names stay as they were, so that `--context` and the like still find them.

    Args:
        kubeconfig: What the command uses now.
        token: The bearer token, None where the plugin gave a certificate only.
        client_certificate: PEM, where the plugin gave one.
        client_key: PEM, where the plugin gave one.
    """
    context, cluster = kubeconfig.entries.reveal()
    user: dict[str, str] = {}
    if token is not None:
        user["token"] = token.reveal()
    if client_certificate and client_key is not None:
        user["client-certificate-data"] = base64.b64encode(client_certificate.encode()).decode()
        user["client-key-data"] = base64.b64encode(client_key.reveal().encode()).decode()
    names = {"cluster": kubeconfig.cluster.name, "user": kubeconfig.user.name}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": kubeconfig.cluster.name, "cluster": cluster}],
        "users": [{"name": kubeconfig.user.name, "user": user}],
        "contexts": [{"name": kubeconfig.context, "context": {**context, **names}}],
        "current-context": kubeconfig.context,
    }
    return json.dumps(document, default=str, skipkeys=True).encode()
