"""Every refusal is one sentence that names the server, and every document is what it should be."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.errors import KubelagError, TransportError
from kubelag.kube.answers import document_of, error_of, items_of, next_page
from kubelag.kube.transport.messages import Response

SERVER = "https://api.example.com:6443"


def refusal(code: int, document: object = None, body: bytes = b"", **headers: str) -> Response:
    told = json.dumps(document).encode() if document is not None else body
    return Response(status=code, headers=headers, body=told)


def status(**fields: Any) -> dict[str, Any]:
    return {"kind": "Status", "message": "no", "reason": "Why", **fields}


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (
            refusal(404, status(message='pods "a" not found', reason="NotFound")),
            f'{SERVER} says: pods "a" not found (404 NotFound); check name and namespace',
        ),
        (
            refusal(500, status(reason=None)),
            f"{SERVER} says: no (500); look at the API server's own log",
        ),
        (
            refusal(422, status(message="", reason="Invalid")),
            f"{SERVER} says: Invalid (422 Invalid); check the request",
        ),
        (
            refusal(403, status(message=None, reason=None)),
            (
                f"{SERVER} says: HTTP 403 (403); ask for the right, or check the user of the "
                "kubeconfig's context"
            ),
        ),
        (
            refusal(502, body=b"  <html>"),
            (
                f"{SERVER} answered GET /api with HTTP 502 and an HTML page; "
                "check that the server's URL is an API server's, and what is in between"
            ),
        ),
        (
            refusal(401, body=b"who are you"),
            (
                f"{SERVER} answered GET /api with HTTP 401 and no Kubernetes answer; "
                "log in again, or check the user of the kubeconfig's context"
            ),
        ),
        (
            refusal(307, location="https://b.example.com/api?sign=secret"),
            (
                f"{SERVER} redirects GET /api to https://b.example.com/api, where a credential "
                "must not follow; put the final URL into the kubeconfig"
            ),
        ),
    ],
)
def test_a_refusal_is_one_sentence_with_a_next_step(response: Response, expected: str) -> None:
    error = error_of(response, "GET", "/api?timeout=32s", SERVER)
    assert str(error) == expected
    assert error.status == response.status


def test_a_long_message_is_cut() -> None:
    error = error_of(refusal(500, status(message="x" * 100_000)), "GET", "/api", SERVER)
    assert len(str(error)) < 500


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
FIELDS = st.fixed_dictionaries({}, optional=dict.fromkeys(("kind", "message", "reason"), JSON))


@given(st.integers(300, 599), JSON | FIELDS.map(lambda one: status(**one)) | st.just(None))
def test_whatever_a_server_says_is_one_printable_line(code: int, document: object) -> None:
    error = error_of(refusal(code, document, b"\xff\x00"), "GET", "/a", SERVER)
    assert str(error).isprintable()
    assert str(error).startswith(SERVER)
    assert error.next_step


@given(st.text(max_size=50))
def test_a_place_to_go_to_is_one_printable_line(location: str) -> None:
    error = error_of(refusal(302, location=location), "GET", "/a", SERVER)
    assert str(error).isprintable()


@given(JSON | st.binary(max_size=40))
def test_a_document_is_an_object_or_refused(body: object) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = Response(status=200, headers={"content-type": "text/x; y=z"}, body=data)
    try:
        found = document_of(response, "/a?b=secret", SERVER)
    except TransportError as error:
        told = str(error)
    else:
        assert isinstance(found, dict)
        return
    assert told.startswith(f"{SERVER} answered /a with something that is no JSON (text/x)")


@given(JSON | st.fixed_dictionaries({"metadata": JSON, "items": JSON}), st.text(max_size=3))
def test_a_page_has_objects_and_a_next_one_or_is_refused(document: object, token: str) -> None:
    page = document if isinstance(document, dict) else {"items": document}
    try:
        assert all(isinstance(one, dict) for one in items_of(page, "/a", SERVER))
        following = next_page(page, token, "/a", SERVER)
    except KubelagError:
        return
    assert isinstance(following, str)
    assert not following or following != token


def test_the_same_page_again_is_refused() -> None:
    page = {"metadata": {"continue": "t"}}
    assert next_page(page, "", "/a", SERVER) == "t"
    with pytest.raises(TransportError, match="the same page of /a again and again"):
        next_page(page, "t", "/a?limit=1", SERVER)
    assert next_page({"metadata": {"continue": None}}, "t", "/a", SERVER) == ""


def test_a_content_type_reaches_no_terminal_as_a_command() -> None:
    answer = Response(status=200, headers={"content-type": "text/\x1b[31mred"}, body=b"no")
    with pytest.raises(TransportError) as raised:
        document_of(answer, "/x", SERVER)
    assert "text/ [31mred" in str(raised.value)
