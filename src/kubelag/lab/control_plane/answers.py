"""Turns documents, Status objects and plain words into responses. Pure."""

from collections.abc import Sequence
from http import HTTPStatus

from kubelag.lab.control_plane import go_json, negotiation, statuses
from kubelag.lab.control_plane.discovery import Document
from kubelag.lab.control_plane.inventory import JsonObject
from kubelag.lab.control_plane.messages import Request, Response


def text(status: HTTPStatus, words: str) -> Response:
    """Plain text: health, and what the outermost handlers say."""
    return Response(status=status, body=words.encode(), content_type="text/plain; charset=utf-8")


def failure(value: JsonObject, request: Request) -> Response:
    """A Status object; its own code is the response's."""
    body = go_json.indented(value) if request.is_pretty else go_json.compact(value) + "\n"
    return Response(status=value["code"], body=body.encode())


def not_acceptable(request: Request) -> Response:
    """406; written by encoding/json, which leaves empty objects closed."""
    if negotiation.accepts_json(request.accept):
        # nothing is negotiated yet where this is said, so it is always spread over lines
        value, is_pretty = statuses.no_accepted_form(), True
    else:
        value, is_pretty = statuses.not_acceptable(), request.is_pretty
    spread = go_json.indented(value, is_empty_object_spread=False)
    body = spread if is_pretty else go_json.compact(value) + "\n"
    return Response(status=HTTPStatus.NOT_ACCEPTABLE, body=body.encode())


def paths(status: HTTPStatus, served: Sequence[str]) -> Response:
    """What there is, for those who asked for the root or for what there is not."""
    return Response(status=status, body=go_json.indented({"paths": list(served)}).encode())


def document(request: Request, found: Document) -> Response:
    """A legacy discovery document."""
    body = go_json.indented(found.value) if request.is_pretty else found.compact
    return Response(status=HTTPStatus.OK, body=body.encode())


def aggregated(request: Request, found: Document, content_type: str) -> Response:
    """An aggregated discovery document, or 304 where the client has it already."""
    headers = (("etag", found.etag), ("vary", "Accept"))
    if request.headers.get("if-none-match") == found.etag:
        return Response(
            status=HTTPStatus.NOT_MODIFIED, body=b"", headers=headers, cache_control="public"
        )
    body = go_json.indented(found.value) if request.is_pretty else found.compact
    return Response(
        status=HTTPStatus.OK,
        body=body.encode(),
        content_type=content_type,
        headers=headers,
        cache_control="public",
    )
