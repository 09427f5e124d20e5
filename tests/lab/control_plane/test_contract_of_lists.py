"""What both servers must say of lists and tables: all of it, a page, a selection, one row."""

import json
import ssl
from http.client import HTTPSConnection
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from kubelag.lab.control_plane.certificates import Certificates
from kubelag.lab.control_plane.handle import ControlPlane

if TYPE_CHECKING:
    from conftest import Answer, Asker

TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
OLD_TOKEN = "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJub2RlMVx1MDAwMCJ9"
"""Revision 1, going on after node1."""


def body(answer: "Answer") -> Any:
    return json.loads(answer.body)


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
