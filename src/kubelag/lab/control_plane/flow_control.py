"""The headers by which priority and fairness tells how it saw a request. Pure.

Source: `k8s.io/apiserver/pkg/server/filters/priority-and-fairness.go`, and the flow schemas and
priority levels that kube-apiserver 1.20 makes by itself.
"""

import uuid

from kubelag.lab.control_plane.identity import Identity

Headers = tuple[tuple[str, str], ...]

EXEMPT = "exempt"
"""Flow schema and priority level of system:masters, who never wait."""
GLOBAL_DEFAULT = "global-default"
"""Those of every other user of the lab, anonymous ones too."""


def flow_control_headers(identity: Identity | None, *, is_exempt_path: bool = False) -> Headers:
    """Which flow schema and priority level a request fell under; none where it was refused (401).

    Args:
        identity: Who asks.
        is_exempt_path: Whether nobody waits for this path, as for the health checks of newer
            servers (their flow schema `probes`); 1.20 has no such rule.

    Both are objects of the cluster, so all its servers name them by the same identifiers.
    """
    if identity is None:
        return ()
    name = EXEMPT if identity.is_exempt or is_exempt_path else GLOBAL_DEFAULT
    return tuple(
        (f"x-kubernetes-pf-{kind}-uid", str(uuid.uuid5(uuid.NAMESPACE_URL, f"{kind}/{name}")))
        for kind in ("flowschema", "prioritylevel")
    )
