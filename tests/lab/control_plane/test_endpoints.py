"""Where the service `kubernetes` leads to: both servers must say it in the same form."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from kubelag.lab.control_plane.envtest import ADVERTISED_ADDRESS
from kubelag.lab.control_plane.handle import ControlPlane

if TYPE_CHECKING:
    from conftest import Answer, Asker

TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
ENDPOINTS = "/api/v1/namespaces/default/endpoints"
SLICES = "/apis/discovery.k8s.io/v1beta1/namespaces/default/endpointslices"


def body(answer: "Answer") -> Any:
    return json.loads(answer.body)


def place(control_plane: ControlPlane) -> tuple[str, int]:
    """What a server on loopback says of itself; the real one may not name loopback."""
    address = "127.0.0.1" if control_plane.kind == "embedded" else ADVERTISED_ADDRESS
    return address, int(control_plane.url.rpartition(":")[2])


def test_the_service_kubernetes_has_endpoints(ask: "Asker") -> None:
    address, port = place(ask.control_plane)
    found = body(ask(f"{ENDPOINTS}/kubernetes"))
    assert list(found) == ["kind", "apiVersion", "metadata", "subsets"]
    assert (found["kind"], found["apiVersion"]) == ("Endpoints", "v1")
    assert found["subsets"] == [
        {
            "addresses": [{"ip": address}],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        }
    ]
    assert found["metadata"]["labels"] == {"endpointslice.kubernetes.io/skip-mirror": "true"}
    assert [key for key in found["metadata"] if key != "managedFields"] == [
        *("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "labels")
    ]


def test_the_service_kubernetes_has_a_slice(ask: "Asker") -> None:
    address, port = place(ask.control_plane)
    found = body(ask(f"{SLICES}/kubernetes"))
    assert list(found) == ["kind", "apiVersion", "metadata", "addressType", "endpoints", "ports"]
    assert (found["kind"], found["apiVersion"]) == ("EndpointSlice", "discovery.k8s.io/v1beta1")
    assert found["addressType"] == "IPv4"
    assert found["endpoints"] == [{"addresses": [address], "conditions": {"ready": True}}]
    assert [list(item.items()) for item in found["ports"]] == [
        [("name", "https"), ("protocol", "TCP"), ("port", port)]
    ]
    assert found["metadata"]["labels"] == {"kubernetes.io/service-name": "kubernetes"}
    assert [key for key in found["metadata"] if key != "managedFields"] == [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "labels",
    ]


@pytest.mark.parametrize(("path", "kind"), [(ENDPOINTS, "Endpoints"), (SLICES, "EndpointSlice")])
def test_endpoints_are_in_the_lists_too(ask: "Asker", path: str, kind: str) -> None:
    found = body(ask(path))
    assert found["kind"] == f"{kind}List"
    one = body(ask(f"{path}/kubernetes"))
    assert found["items"] == [{key: one[key] for key in list(one)[2:]}]
    everywhere = path.replace("/namespaces/default", "")
    names = {item["metadata"]["name"] for item in body(ask(everywhere))["items"]}
    assert names == {"kubernetes"}


def test_endpoints_have_tables_of_their_own(ask: "Asker") -> None:
    address, port = place(ask.control_plane)
    rows = body(ask(ENDPOINTS, headers=TABLE))["rows"]
    assert rows[0]["cells"][:2] == ["kubernetes", f"{address}:{port}"]
    rows = body(ask(SLICES, headers=TABLE))["rows"]
    assert rows[0]["cells"][:4] == ["kubernetes", "IPv4", str(port), address]


@pytest.mark.parametrize("path", [ENDPOINTS, SLICES])
def test_their_columns_are_the_same_to_the_last_word(
    ask: "Asker", embedded: ControlPlane, path: str
) -> None:
    ours = body(type(ask)(control_plane=embedded)(path, headers=TABLE))["columnDefinitions"]
    assert body(ask(path, headers=TABLE))["columnDefinitions"] == ours
