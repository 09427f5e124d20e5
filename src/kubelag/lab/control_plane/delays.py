"""How long an answer is held back, and what for. Pure."""

from kubelag.lab.control_plane.identity import Identity, bearer_token
from kubelag.lab.control_plane.messages import Request
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.control_plane.paths import Target, longest_prefix


def authentication_s(options: ControlPlaneOptions, request: Request) -> float:
    """What finding out who asks costs; a certificate is looked at first, and settles it."""
    is_webhook_asked = request.certificate is None and bearer_token(request.authorization)
    return options.authentication_latency_s if is_webhook_asked else 0.0


def server_s(options: ControlPlaneOptions, path: str) -> float:
    """What the server takes for every answer below a path."""
    return options.latency_s + (longest_prefix(path, options.latency_by_prefix) or 0.0)


def queue_s(options: ControlPlaneOptions, identity: Identity) -> float:
    """What priority and fairness costs those who are not exempt."""
    return 0.0 if identity.is_exempt else options.queue_latency_s


def backend_s(options: ControlPlaneOptions, request: Request, target: Target | None) -> float:
    """What etcd, or an aggregated server that hangs, costs a request that was let in."""
    if is_hanging(options, request.path):
        return options.hang_s
    if options.is_websocket_refused and is_websocket(request):
        return options.websocket_refusal_s
    if target is not None and needs_storage(request, target):
        return options.storage_latency_s
    return 0.0


def is_websocket(request: Request) -> bool:
    """Whether the client wants to go on with WebSocket."""
    return request.headers.get("upgrade", "").lower() == "websocket"


def is_hanging(options: ControlPlaneOptions, path: str) -> bool:
    """Whether the path belongs to an aggregated server that hangs."""
    roots = tuple(f"/apis/{name}/" for name in options.hanging_group_versions)
    return f"{path}/".startswith(roots)


def needs_storage(request: Request, target: Target) -> bool:
    """Whether the watch cache cannot answer it.

    Source: `Cacher.Get` and `Cacher.List` of k8s.io/apiserver at v1.20.
    """
    if target.verb not in {"get", "list"}:
        return False
    query = request.query
    revision = query.get("resourceVersion", "")
    if target.verb == "get" or not revision:
        return not revision
    has_limit = query.get("limit", "0") not in {"", "0"} and revision != "0"
    return has_limit or bool(query.get("continue") or query.get("resourceVersionMatch"))
