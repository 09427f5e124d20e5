"""What `get` asks for, beside a small server that writes everything down."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hostile_server import NODE_TABLE, HostileServer, kubeconfig, serving, well_behaved
from kubelag.errors import ApiError, KubelagError, UsageError
from kubelag.kube.client import Client, Settings
from kubelag.kube.reading import ACCEPT_TABLE, Finding, Piece, Query, read
from kubelag.kube.selection import parse_words


@pytest.fixture
def server() -> Iterator[HostileServer]:
    pages = {
        "": {**NODE_TABLE, "metadata": {"continue": "two/&="}},
        "two%2F%26%3D": {**NODE_TABLE, "metadata": {"continue": "three"}},
        "three": NODE_TABLE,
    }

    def page(target: str) -> object:
        pairs = [pair.partition("=") for pair in target.partition("?")[2].split("&")]
        return pages[next((value for name, _, value in pairs if name == "continue"), "")]

    special = {"/api/v1/nodes": lambda exchange: exchange.answer_json(page(exchange.target))}
    with serving(well_behaved(special)) as found:
        yield found


@pytest.fixture
def client(server: HostileServer, tmp_path: Path) -> Iterator[Client]:
    env = {"KUBECONFIG": str(kubeconfig(tmp_path, server.url)), "HOME": str(tmp_path)}
    found = Client(settings=Settings(cache="memory"), env=env)
    found.discovery.resources()
    server.heads.clear()
    yield found
    found.forget_connections()


def found_by(client: Client, *words: str, **query: object) -> list[Finding]:
    plain = {"namespace": "default", "as_table": True}
    return list(read(client, parse_words(words), Query(**{**plain, **query})))  # type: ignore[arg-type]


def test_pages_follow_one_another_by_their_tokens(client: Client, server: HostileServer) -> None:
    found = found_by(client, "nodes", chunk=1)
    assert [isinstance(one, Piece) for one in found] == [True] * 3
    assert server.targets == [
        "/api/v1/nodes?limit=1",
        "/api/v1/nodes?continue=two%2F%26%3D&limit=1",
        "/api/v1/nodes?continue=three&limit=1",
    ]
    assert {one.header("accept") for one in server.heads} == {ACCEPT_TABLE}


def test_selectors_and_names_are_percent_encoded(client: Client, server: HostileServer) -> None:
    found_by(client, "po", label_selector="b in (c)", field_selector="e=f g", chunk=0)
    found_by(client, "pod", "..x?y#z", namespace="a b")
    assert server.targets == [
        "/api/v1/namespaces/default/pods?fieldSelector=e%3Df%20g&labelSelector=b%20in%20%28c%29",
        "/api/v1/namespaces/a%20b/pods/..x%3Fy%23z",
    ]


def test_errors_stand_where_their_objects_would(client: Client) -> None:
    found = found_by(client, "pods,nodes,no", chunk=0)
    kinds = [type(one).__name__ for one in found]
    assert kinds == ["ApiError", "Piece", "Piece", "Piece"]
    assert isinstance(found[0], ApiError)
    assert found[0].status == 404


def test_what_is_not_there_may_be_ignored(client: Client) -> None:
    assert found_by(client, "pod", "a", ignore_not_found=True) == []
    (error,) = found_by(client, "pod", "a")
    assert isinstance(error, KubelagError)


def test_objects_are_asked_for_as_such(client: Client, server: HostileServer) -> None:
    found_by(client, "deploy", "a", as_table=False, all_namespaces=False)
    assert server.targets == ["/apis/apps/v1/namespaces/default/deployments/a"]
    assert server.heads[0].header("accept") == "application/json"


@pytest.mark.parametrize(
    ("words", "query", "why"),
    [
        (["pods", "a"], {"label_selector": "b"}, "names and a selector"),
        (["pod/a"], {"field_selector": "b"}, "names and a selector"),
        (["pod/a"], {"all_namespaces": True}, "across all namespaces"),
        (["pod", ".."], {}, "'..' is no name"),
        (["pod/."], {}, "'.' is no name"),
        (["pod", ""], {}, "'' is no name"),
        (["pods"], {"namespace": ".."}, "'..' is no namespace"),
    ],
)
def test_contradictions_cost_no_request(
    words: list[str], query: dict[str, object], why: str, client: Client, server: HostileServer
) -> None:
    with pytest.raises(UsageError, match=why):
        found_by(client, *words, **query)
    assert server.heads == []
