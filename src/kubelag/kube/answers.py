"""Turns answers that are refusals into one sentence each. Pure.

Source: `Status` of `k8s.io/apimachinery/pkg/apis/meta/v1`, which every refusal of an API server
is; whatever else answers sends HTML or text.
"""

from kubelag.errors import ApiError, TransportError
from kubelag.kube.lean import json
from kubelag.kube.shown import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kubelag.kube.transport.messages import Response

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SERVER_ERRORS = range(500, 600)
_MESSAGE_CHARS = 300

_NEXT_STEPS = {
    400: "check the selectors and names of the command",
    401: "log in again, or check the user of the kubeconfig's context",
    403: "ask for the right, or check the user of the kubeconfig's context",
    404: "check name and namespace",
    405: "this resource does not offer that",
    406: "the server cannot write what was asked for: try -o json",
    408: "try again, or allow more with --request-timeout",
    410: "the list was changed while it was read: try again",
    429: "the server asks for patience: try again later",
    504: "try again, or allow more with --request-timeout",
}


def error_of(response: "Response", method: str, path: str, server: str) -> ApiError:
    """The error that an answer is.

    Args:
        response: An answer whose status is no success.
        method: Of the request.
        path: Of the request; its query is not told.
        server: The server's URL.
    """
    status = _status(response)
    code = response.status
    asked = f"{method} {path.partition('?')[0]}"
    if code in _REDIRECTS:
        location = response.headers.get("location") or "nowhere"
        to = printable(location.partition("?")[0][:_MESSAGE_CHARS])
        message = f"{server} redirects {asked} to {to}, where a credential must not follow"
        return ApiError(message, "put the final URL into the kubeconfig", status=code)
    if status is None:
        what = "an HTML page" if response.body.lstrip()[:1] == b"<" else "no Kubernetes answer"
        message = f"{server} answered {asked} with HTTP {code} and {what}"
        step = _NEXT_STEPS.get(code) if code in {401, 429} else None
        return ApiError(message, step or _next_step(code, is_status=False), status=code)
    reason = str(status.get("reason") or "")
    told = str(status.get("message") or reason or f"HTTP {code}")[:_MESSAGE_CHARS]
    message = f"{server} says: {printable(told)} ({code}{f' {reason}' if reason else ''})"
    return ApiError(message, _next_step(code, is_status=True), status=code, reason=reason)


def document_of(response: "Response", path: str, server: str) -> "dict[str, Any]":
    """The JSON object that an answer is.

    Raises:
        TransportError: If it is something else; its text is not told.
    """
    try:
        document = json.loads(response.body)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        return document
    kind = response.headers.get("content-type", "").partition(";")[0] or "no stated type"
    raise TransportError(
        f"{server} answered {path.partition('?')[0]} with something that is no JSON "
        f"({printable(kind[:60])})",
        "check that the server's URL is an API server's, and what is in between",
    )


def items_of(document: "dict[str, Any]", path: str, server: str) -> "list[dict[str, Any]]":
    """The objects of a list.

    Raises:
        TransportError: If it is no list of objects.
    """
    items = document.get("items")
    if items is None:
        items = []
    if isinstance(items, list) and all(isinstance(one, dict) for one in items):
        return items
    raise TransportError(
        f"{server} answered {path.partition('?')[0]} with a list whose items are no objects",
        "check that the server's URL is an API server's, and what is in between",
    )


def next_page(document: "dict[str, Any]", token: str, path: str, server: str) -> str:
    """The token of a list's next page; empty where this was the last one.

    Args:
        document: This page.
        token: The one that it was asked for with; empty for the first.
        path: Of the request; its query is not told.
        server: The server's URL.

    Raises:
        TransportError: If the next page is this one again, which would have no end.
    """
    metadata = document.get("metadata")
    told = metadata.get("continue") if isinstance(metadata, dict) else None
    if told and told == token:
        raise TransportError(
            f"{server} gives the same page of {path.partition('?')[0]} again and again",
            "ask for all at once with --chunk-size=0",
        )
    return str(told) if told else ""


def _next_step(code: int, *, is_status: bool) -> str:
    if not is_status:
        return "check that the server's URL is an API server's, and what is in between"
    if code in _NEXT_STEPS:
        return _NEXT_STEPS[code]
    return "look at the API server's own log" if code in _SERVER_ERRORS else "check the request"


def _status(response: "Response") -> "dict[str, Any] | None":
    try:
        document = json.loads(response.body)
    except (ValueError, RecursionError):
        return None
    is_status = isinstance(document, dict) and document.get("kind") == "Status"
    return document if is_status else None
