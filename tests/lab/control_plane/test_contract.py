"""What both servers must say: the embedded one is only as good as it resembles the real one."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Answer, Asker

DISCOVERY_V2 = {
    "Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
}
DIGESTS = json.loads(Path(__file__).with_name("recorded-digests.json").read_text())
"""SHA-256 of what kube-apiserver 1.20.2 answered to curl, with the same 40 custom groups."""


def body(answer: "Answer") -> Any:
    return json.loads(answer.body)


@pytest.mark.parametrize("path", sorted(DIGESTS))
def test_a_discovery_document_is_the_recorded_one_byte_for_byte(ask: "Asker", path: str) -> None:
    answer = ask.over_http2(path, "Accept: application/json")
    if path.count("/") == 3 and "example.com" in path:
        # the real server lists the resources of a custom group in no particular order
        names = [item["name"] for item in body(answer)["resources"]]
        assert sorted(names) == ["things0", "things1", "things2"]
    else:
        assert hashlib.sha256(answer.body).hexdigest() == DIGESTS[path]


def test_there_are_77_group_versions_by_default(ask: "Asker") -> None:
    groups = body(ask("/apis"))["groups"]
    assert 1 + sum(len(group["versions"]) for group in groups) == 77


def test_kubectl_gets_documents_in_one_line_that_ends_with_a_newline(ask: "Asker") -> None:
    answer = ask("/apis/batch/v1")
    assert answer.body.endswith(b"}\n")
    assert answer.body.count(b"\n") == 1
    assert b'"kind":"APIResourceList"' in answer.body


def test_discovery_forbids_caches_and_has_no_etag(ask: "Asker") -> None:
    answer = ask.over_http2("/apis")
    assert answer.headers["cache-control"] == "no-cache, private"
    assert answer.headers["content-type"] == "application/json"
    assert "etag" not in answer.headers
    assert "date" in answer.headers
    assert "server" not in answer.headers


def test_flow_control_headers_come_with_every_admitted_request(ask: "Asker") -> None:
    for path in ("/apis", "/livez", "/nope"):
        headers = ask(path).headers
        assert {"x-kubernetes-pf-flowschema-uid", "x-kubernetes-pf-prioritylevel-uid"} <= set(
            headers
        )


@pytest.mark.parametrize("path", ["/livez", "/apis", "/api/v1/nodes"])
def test_masters_share_a_flow_schema_that_nobody_else_has(ask: "Asker", path: str) -> None:
    for kind in ("flowschema", "prioritylevel"):
        users = ("certificate", "token", "reader", "forbidden", "anonymous")
        uids = [ask(path, user=user).headers[f"x-kubernetes-pf-{kind}-uid"] for user in users]
        assert uids[0] == uids[1]
        assert uids[0] not in uids[2:]
        assert len(set(uids[2:])) == 1


def test_the_length_is_told_for_short_bodies_only(ask: "Asker") -> None:
    short, long = ask.over_http2("/apis/batch/v1"), ask.over_http2("/apis")
    assert int(short.headers["content-length"]) == len(short.body)
    assert "content-length" not in long.headers
    assert ask("/apis").headers["transfer-encoding"] == "chunked"


def test_http2_is_negotiated_and_http11_is_the_fallback(ask: "Asker") -> None:
    assert ask.over_http2("/livez").protocol == "2"
    assert ask("/livez").body == b"ok"


def test_legacy_discovery_is_what_new_clients_fall_back_to(ask: "Asker") -> None:
    answer = ask("/apis", headers=DISCOVERY_V2)
    assert answer.headers["content-type"] == "application/json"
    assert body(answer)["kind"] == "APIGroupList"


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
def test_health_is_two_letters_of_text(ask: "Asker", path: str) -> None:
    answer = ask(path)
    assert answer.body == b"ok"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_version_is_spread_over_lines_for_everybody(ask: "Asker") -> None:
    answer = ask("/version", user="anonymous")
    assert answer.body.startswith(b'{\n  "major": ')
    assert list(body(answer))[:3] == ["major", "minor", "gitVersion"]


@pytest.mark.parametrize(
    ("user", "path", "status"),
    [
        ("certificate", "/api/v1/nodes", 200),
        ("token", "/api/v1/nodes", 200),
        ("reader", "/api/v1/nodes", 200),
        ("reader", "/api/v1/namespaces/default/pods/pod1", 200),
        ("reader", "/apis/g0.example.com/v1/things0", 200),
        ("reader", "/nope", 403),
        ("forbidden", "/api/v1/nodes", 403),
        ("forbidden", "/apis/apps/v1", 200),
        ("forbidden", "/nope", 403),
        ("anonymous", "/api/v1/nodes", 403),
        ("anonymous", "/api", 403),
        ("anonymous", "/livez", 200),
        ("wrong", "/api/v1/nodes", 401),
        ("wrong", "/livez", 401),
    ],
)
def test_each_user_gets_what_is_theirs(ask: "Asker", user: str, path: str, status: int) -> None:
    assert ask(path, user=user).status == status


def test_401_has_no_details_and_no_flow_control(ask: "Asker") -> None:
    answer = ask("/api/v1/nodes", user="wrong")
    assert body(answer) == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "Unauthorized",
        "reason": "Unauthorized",
        "code": 401,
    }
    assert "x-kubernetes-pf-flowschema-uid" not in answer.headers


@pytest.mark.parametrize(
    ("path", "message", "details"),
    [
        (
            "/api/v1/nodes",
            (
                'nodes is forbidden: User "system:anonymous" cannot list resource "nodes" in API '
                'group "" at the cluster scope'
            ),
            {"kind": "nodes"},
        ),
        (
            "/apis/g0.example.com/v1/namespaces/default/things0/x",
            (
                'things0.g0.example.com "x" is forbidden: User "system:anonymous" cannot get '
                'resource "things0" in API group "g0.example.com" in the namespace "default"'
            ),
            {"name": "x", "group": "g0.example.com", "kind": "things0"},
        ),
        (
            "/api/v1/namespaces/default/pods/x/log",
            (
                'pods "x" is forbidden: User "system:anonymous" cannot get resource "pods/log" '
                'in API group "" in the namespace "default"'
            ),
            {"name": "x", "kind": "pods"},
        ),
        ("/api", 'forbidden: User "system:anonymous" cannot get path "/api"', {}),
    ],
)
def test_403_says_who_may_not_do_what(
    ask: "Asker", path: str, message: str, details: dict[str, str]
) -> None:
    answer = ask(path, user="anonymous")
    status = body(answer)
    assert (status["message"], status["details"]) == (message, details)
    assert (status["reason"], answer.headers["x-content-type-options"]) == ("Forbidden", "nosniff")


def test_an_empty_object_in_a_status_is_spread_for_curl(ask: "Asker") -> None:
    answer = ask.over_http2("/api/v1/nodes/missing")
    assert b'"metadata": {\n    \n  },' in answer.body


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/api/v1/nodes/missing", 'nodes "missing" not found'),
        ("/apis/apps/v1/namespaces/default/deployments/x", 'deployments.apps "x" not found'),
        (
            "/apis/g0.example.com/v1/namespaces/default/things0/x",
            'things0.g0.example.com "x" not found',
        ),
        ("/api/v1/nope", "the server could not find the requested resource"),
        ("/apis/apps/v9", "the server could not find the requested resource"),
        ("/api/v1/nodes/node1/nope", "the server could not find the requested resource"),
    ],
)
def test_404_is_a_status_below_a_builtin_group(ask: "Asker", path: str, message: str) -> None:
    answer = ask(path)
    assert (answer.status, body(answer)["reason"]) == (404, "NotFound")
    assert body(answer)["message"] == message


@pytest.mark.parametrize(
    "path", ["/apis/nope/v1", "/apis/nope", "/apis/g0.example.com/v1/nope", "/apis/nope/v1/things"]
)
def test_404_is_plain_text_below_any_other_group(ask: "Asker", path: str) -> None:
    answer = ask(path)
    assert (answer.status, answer.body) == (404, b"404 page not found\n")


def test_404_elsewhere_lists_what_there_is(ask: "Asker") -> None:
    answer = ask("/nope")
    assert answer.status == 404
    assert {"/apis", "/livez", "/version"} <= set(body(answer)["paths"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/api/v1/nodes", 405),
        ("PATCH", "/api/v1/nodes", 405),
        ("POST", "/api/v1/nodes/node1", 405),
        ("DELETE", "/api/v1/namespaces", 405),
        ("POST", "/version", 405),
        ("POST", "/apis/apps/v1", 405),
        ("POST", "/apis", 200),
    ],
)
def test_405_is_for_methods_that_a_path_does_not_know(
    ask: "Asker", method: str, path: str, status: int
) -> None:
    answer = ask(path, method=method)
    assert answer.status == status
    if status == 405:
        assert body(answer)["reason"] == "MethodNotAllowed"
        assert body(answer)["details"] == {}


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        ("/api/v1/nodes", "text/html", 406),
        ("/apis", "text/html", 406),
        ("/version", "text/html", 406),
        ("/api/v1/nodes", "application/json;as=Foo;v=v1;g=bar", 406),
        ("/apis", "application/json;as=Table;v=v1;g=meta.k8s.io", 406),
        ("/livez", "text/html", 200),
        ("/api/v1/nodes", "application/json;q=0.5,text/html", 200),
        ("/api/v1/nodes", "*/*", 200),
    ],
)
def test_406_is_for_clients_that_accept_nothing_of_ours(
    ask: "Asker", path: str, accept: str, status: int
) -> None:
    answer = ask(path, headers={"Accept": accept})
    assert answer.status == status
    if status == 406:
        assert body(answer)["reason"] == "NotAcceptable"


@pytest.mark.parametrize(
    "accept",
    [
        "application/json;as=Table;v=v1;g=meta.k8s.io",
        "application/json;g=meta.k8s.io;v=v1;as=Table",
        " application/json ; v=v1 ; as=Table ; g=meta.k8s.io , application/json",
    ],
)
def test_parameters_of_accept_come_in_any_order(ask: "Asker", accept: str) -> None:
    table = body(ask("/api/v1/nodes", headers={"Accept": accept}))
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
