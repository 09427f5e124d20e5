"""What both servers must say: the embedded one is only as good as it resembles the real one."""

import hashlib
import json
import ssl
from http.client import HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from kubelag.lab.control_plane.certificates import Certificates
from kubelag.lab.control_plane.handle import ControlPlane

if TYPE_CHECKING:
    from conftest import Answer, Asker

TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
DISCOVERY_V2 = {
    "Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
}
DIGESTS = json.loads(Path(__file__).with_name("recorded-digests.json").read_text())
"""SHA-256 of what kube-apiserver 1.20.2 answered to curl, with the same 40 custom groups."""
OLD_TOKEN = "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJub2RlMVx1MDAwMCJ9"
"""Revision 1, going on after node1."""


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


def test_an_old_client_gets_an_old_table(ask: "Asker") -> None:
    accept = {"Accept": "application/json;as=Table;v=v1beta1;g=meta.k8s.io"}
    assert body(ask("/api/v1/nodes", headers=accept))["apiVersion"] == "meta.k8s.io/v1beta1"


@pytest.mark.parametrize(
    ("path", "columns", "cells"),
    [
        (
            "/api/v1/nodes",
            (
                "Name Status Roles Age Version Internal-IP External-IP OS-Image Kernel-Version "
                "Container-Runtime"
            ),
            [
                "node1",
                "Ready",
                "master",
                "v1.20.2",
                "198.51.100.1",
                "<none>",
                "Debian GNU/Linux 12 (bookworm)",
                "5.10.0",
                "containerd://1.4.3",
            ],
        ),
        (
            "/api/v1/pods",
            "Name Ready Status Restarts Age IP Node Nominated_Node Readiness_Gates",
            ["pod1", "1/1", "Running", 0, "203.0.113.1", "node1", "<none>", "<none>"],
        ),
        ("/api/v1/namespaces", "Name Status Age", ["default", "Active"]),
        ("/apis/g0.example.com/v1/things0", "Name Age", ["thing0-1"]),
        ("/api/v1/limitranges", "Name Created_At", None),
    ],
)
def test_a_table_has_the_columns_and_cells_of_its_resource(
    ask: "Asker", path: str, columns: str, cells: list[object] | None
) -> None:
    table = body(ask(path, headers=TABLE))
    names = [column["name"].replace(" ", "_") for column in table["columnDefinitions"]]
    assert names == columns.split()
    if cells is None:
        # the real server says null where a resource has no columns of its own
        assert not table["rows"]
        return
    first = table["rows"][0]["cells"]
    age = first.pop(names.index("Age"))
    assert first == cells
    assert age[:-1].replace("m", "").isdigit()


def test_column_definitions_are_the_same_to_the_last_word(
    ask: "Asker", embedded: ControlPlane
) -> None:
    for path in ("/api/v1/nodes", "/api/v1/pods", "/api/v1/namespaces"):
        ours = body(type(ask)(control_plane=embedded)(path, headers=TABLE))["columnDefinitions"]
        assert body(ask(path, headers=TABLE))["columnDefinitions"] == ours


def test_a_row_carries_as_much_of_its_object_as_is_asked_for(ask: "Asker") -> None:
    path = "/api/v1/nodes?limit=1&includeObject="
    found = {
        word: body(ask(path + word, headers=TABLE))["rows"][0]["object"]
        for word in ("None", "Metadata", "Object")
    }
    assert found["None"] is None
    assert found["Metadata"]["kind"] == "PartialObjectMetadata"
    assert found["Object"]["kind"] == "Node"


def test_the_object_of_a_row_stays_in_one_line_even_for_curl(ask: "Asker") -> None:
    answer = ask.over_http2("/api/v1/nodes", f"Accept: {TABLE['Accept']}")
    assert b'\n      "object": {"kind":"PartialObjectMetadata",' in answer.body


def test_one_object_can_be_a_table_of_one_row(ask: "Asker") -> None:
    table = body(ask("/api/v1/nodes/node2", headers=TABLE))
    assert [row["cells"][0] for row in table["rows"]] == ["node2"]


def test_items_of_builtin_lists_have_no_kind_and_custom_ones_have(ask: "Asker") -> None:
    nodes = body(ask("/api/v1/nodes"))
    things = body(ask("/apis/g0.example.com/v1/things0"))
    assert (nodes["kind"], things["kind"]) == ("NodeList", "Thing0List")
    assert "kind" not in nodes["items"][0]
    assert things["items"][0]["kind"] == "Thing0"
    assert list(things) == sorted(things)


def test_custom_objects_stay_in_one_line_even_for_curl(ask: "Asker") -> None:
    answer = ask.over_http2("/apis/g0.example.com/v1/things0")
    assert answer.body.count(b"\n") == 0


def test_a_namespace_holds_its_own_pods(ask: "Asker") -> None:
    everywhere = body(ask("/api/v1/pods"))["items"]
    here = body(ask("/api/v1/namespaces/kube-system/pods"))["items"]
    assert (len(everywhere), len(here)) == (20, 10)
    assert {item["metadata"]["namespace"] for item in here} == {"kube-system"}
    assert body(ask("/api/v1/namespaces/nowhere/pods"))["items"] == []


@pytest.mark.parametrize(
    "path", ["/api/v1/pods", "/api/v1/namespaces/default/pods", "/apis/g0.example.com/v1/things0"]
)
def test_pages_put_together_are_the_list(ask: "Asker", path: str) -> None:
    whole = [item["metadata"]["name"] for item in body(ask(path))["items"]]
    pieces: list[str] = []
    token = ""
    while True:
        page = body(ask(f"{path}?limit=2&continue={token}"))
        pieces += [item["metadata"]["name"] for item in page["items"]]
        assert page["metadata"].get("remainingItemCount", 0) == len(whole) - len(pieces)
        token = page["metadata"].get("continue", "")
        if not token:
            break
    assert pieces == whole


def test_a_table_is_paged_like_a_list(ask: "Asker") -> None:
    table = body(ask("/api/v1/nodes?limit=2", headers=TABLE))
    assert len(table["rows"]) == 2
    assert table["metadata"]["remainingItemCount"] == 1
    assert table["metadata"]["continue"]


def test_what_is_selected_is_not_counted(ask: "Asker") -> None:
    page = body(ask("/api/v1/pods?labelSelector=app%3Dapp1&limit=2"))
    assert len(page["items"]) == 2
    assert "remainingItemCount" not in page["metadata"]
    assert page["metadata"]["continue"]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("labelSelector=app%3Dapp1", 5),
        ("labelSelector=app!%3Dapp1", 15),
        ("labelSelector=app+in+(app1,app2)", 10),
        ("labelSelector=!app", 0),
        ("fieldSelector=spec.nodeName%3Dnode1", 7),
        ("fieldSelector=spec.nodeName%3Dnode1,metadata.namespace%3Ddefault", 4),
    ],
)
def test_selectors_select(ask: "Asker", query: str, count: int) -> None:
    assert len(body(ask(f"/api/v1/pods?{query}"))["items"]) == count


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("fieldSelector=spec.foo%3D1", "field label not supported: spec.foo"),
        ("limit=x", 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("continue=%21", "continue key is not valid"),
    ],
)
def test_400_says_what_is_wrong_with_the_query(ask: "Asker", query: str, message: str) -> None:
    answer = ask(f"/api/v1/pods?{query}")
    assert (answer.status, body(answer)["reason"]) == (400, "BadRequest")
    assert message in body(answer)["message"]


@pytest.fixture
def with_compacted_store(control_plane: ControlPlane) -> None:
    """The real store forgets its past now; the embedded one has none."""
    if etcd := control_plane.processes.get("etcd"):
        compact(psutil.Process(etcd.pid), Certificates.below(control_plane.directory))


def compact(etcd: psutil.Process, certificates: Certificates) -> None:
    flag = next(item for item in etcd.cmdline() if item.startswith("--listen-client-urls="))
    context = ssl.create_default_context(cafile=str(certificates.ca))
    context.load_cert_chain(certificates.client_certificate, certificates.client_key)
    connection = HTTPSConnection("127.0.0.1", int(flag.rpartition(":")[2]), context=context)
    try:
        # a second compaction to the same revision is refused, which is as good
        connection.request("POST", "/v3/kv/compaction", body=json.dumps({"revision": "100"}))
        connection.getresponse().read()
    finally:
        connection.close()


@pytest.mark.usefixtures("with_compacted_store")
def test_410_comes_with_a_token_to_go_on_all_the_same(ask: "Asker") -> None:
    answer = ask(f"/api/v1/nodes?limit=1&continue={OLD_TOKEN}")
    status = body(answer)
    assert (answer.status, status["reason"], status["code"]) == (410, "Expired", 410)
    page = body(ask(f"/api/v1/nodes?limit=1&continue={status['metadata']['continue']}"))
    assert [item["metadata"]["name"] for item in page["items"]] == ["node2"]
