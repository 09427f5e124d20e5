"""The library as a program uses it, beside a small server that writes everything down."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hostile_server import (
    DOCUMENTS,
    NODE,
    PODS,
    Exchange,
    HostileServer,
    in_turn,
    kubeconfig,
    resource_list,
    serving,
    tree,
    well_behaved,
)
from kubelag.errors import (
    ApiError,
    KubelagError,
    TransportError,
    UnknownResourceError,
    UsageError,
)
from kubelag.kube import Client, Settings
from kubelag.kube.transport.connection import Limits

POD = {"metadata": {"name": "web", "namespace": "shop"}}
POD_LIST = {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [POD, POD]}


@pytest.fixture
def server() -> Iterator[HostileServer]:
    special = {
        "/api/v1/namespaces/shop/pods": lambda one: one.answer_json(POD_LIST),
        "/api/v1/namespaces/shop/pods/web": lambda one: one.answer_json(POD),
        "/rubbish": lambda one: one.answer(200, "rubbish", "text/plain"),
        "/api/v1/pods": lambda one: one.answer_json(POD_LIST),
    }
    with serving(well_behaved(special)) as found:
        yield found


Make = Callable[..., Client]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes a client of a server; its cache is below `home`."""
    made: list[Client] = []

    def build(
        server: HostileServer,
        *,
        ca: bytes = b"",
        user: dict[str, Any] | None = None,
        env: dict[str, str] | None = None,
        **options: Any,
    ) -> Client:
        path = kubeconfig(tmp_path, server.url, ca, user)
        plain = {"KUBECONFIG": str(path), "HOME": str(tmp_path / "home"), "PATH": os.defpath}
        made.append(Client(env={**plain, **(env or {})}, **options))
        return made[-1]

    yield build
    for client in made:
        client.forget_connections()


def test_one_object_and_many_are_read(make: Make, server: HostileServer) -> None:
    with make(server) as client:
        assert client.get("pod", "web", namespace="shop") == POD
        listed = list(client.list("po", namespace="shop"))
        assert listed == [{"apiVersion": "v1", "kind": "Pod", **POD}] * 2
        assert len(list(client.list("pods", all_namespaces=True, label_selector="a=b"))) == 2
        assert server.targets[-1] == "/api/v1/pods?limit=500&labelSelector=a%3Db"
        assert client.discovery.resolve("deploy").api_version == "apps/v1"


def test_nothing_is_asked_before_it_is_needed(make: Make, server: HostileServer) -> None:
    client = make(server)
    assert client.namespace == "default"
    assert client.server == server.url
    client.list("pods")
    with client:
        pass
    assert server.heads == []


@pytest.mark.parametrize(
    ("name", "namespace"),
    [("", "shop"), (".", "shop"), ("..", "shop"), ("web", ".."), ("web", ".")],
)
def test_a_name_that_would_lead_elsewhere_is_refused(
    name: str, namespace: str, make: Make, server: HostileServer
) -> None:
    with make(server) as client, pytest.raises(UsageError):
        client.get("pods", name, namespace=namespace)


def test_a_resource_may_be_handed_over_instead_of_its_name(
    make: Make, server: HostileServer
) -> None:
    with make(server) as client:
        found = client.discovery.resolve("pods")
        before = len(server.heads)
        assert client.get(found, "web", namespace="shop") == POD
        assert len(server.heads) == before + 1


def test_errors_have_types_and_facts(make: Make, server: HostileServer) -> None:
    with make(server) as client:
        with pytest.raises(UnknownResourceError):
            client.get("nonsense", "a")
        with pytest.raises(ApiError) as refused:
            client.get("pods", "nobody")
        assert (refused.value.status, refused.value.reason) == (404, "NotFound")
        with pytest.raises(TransportError):
            client.document("/rubbish")


@pytest.mark.parametrize(
    "items", ["none", 7, {"a": 1}, [1], ["a"], [None]], ids=lambda value: type(value).__name__
)
def test_a_list_of_something_else_is_refused(items: object, make: Make) -> None:
    answer = well_behaved({"/api/v1/nodes": lambda one: one.answer_json({"items": items})})
    with serving(answer) as server, make(server) as client, pytest.raises(TransportError):
        list(client.list("nodes"))


def test_a_list_whose_end_never_comes_is_refused(make: Make) -> None:
    page = {"items": [NODE], "metadata": {"continue": "more"}}
    with serving(well_behaved({"/api/v1/nodes": lambda one: one.answer_json(page)})) as server:
        items = make(server).list("nodes")
        assert next(items)["metadata"]["name"] == "node1"
        with pytest.raises(TransportError, match="the same page"):
            list(items)


def test_the_cache_is_written_when_the_client_is_closed_and_spares_the_next_one(
    make: Make, server: HostileServer, tmp_path: Path
) -> None:
    with make(server) as client:
        client.discovery.resolve("deploy")
        assert tree(tmp_path / "home") == []
    assert any(one.endswith("servergroups.json") for one in tree(tmp_path / "home"))
    before = len(server.heads)
    with make(server) as again:
        assert again.discovery.resolve("deploy").api_version == "apps/v1"
    assert len(server.heads) == before


def test_after_an_error_nothing_is_waited_for(
    make: Make, server: HostileServer, tmp_path: Path
) -> None:
    def fail() -> None:
        with make(server) as client:
            client.discovery.resolve("deploy")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert tree(tmp_path / "home") == []


def test_a_memory_cache_leaves_no_trace(make: Make, server: HostileServer, tmp_path: Path) -> None:
    with make(server, settings=Settings(cache="memory")) as client:
        client.discovery.resolve("nodes")
    assert not (tmp_path / "home").exists()
    assert "/apis/apps/v1" not in server.paths


def test_synced_writes_what_kubectl_1_20_writes(
    make: Make, server: HostileServer, tmp_path: Path
) -> None:
    with make(server, settings=Settings(cache="synced", cache_dir=str(tmp_path / "c"))) as client:
        client.discovery.resolve("deploy")
    assert any("/apps/v1/serverresources.json" in one for one in tree(tmp_path / "c"))


def test_a_cache_that_cannot_be_written_is_told_and_harms_nothing(
    make: Make, server: HostileServer, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with make(server, settings=Settings(cache_dir=str(tmp_path / "file" / "cache"))) as client:
        assert client.discovery.resolve("deploy")
    assert client.troubles
    assert str(tmp_path / "file") in client.troubles[0]


def test_what_is_not_the_kubeconfigs_comes_from_the_caller(
    make: Make, server: HostileServer
) -> None:
    client = make(server, namespace="shop", as_user="jane", as_groups=("a", "b"))
    assert client.namespace == "shop"
    assert len(list(client.list("pods"))) == 2
    head = server.heads[-1]
    assert head.header("impersonate-user") == "jane"
    assert head.header("user-agent").startswith("kubelag/")


def test_a_server_below_a_prefix_is_asked_below_it(tmp_path: Path) -> None:
    def answer(exchange: Exchange) -> None:
        assert exchange.path.startswith("/k8s/clusters/c-1/")
        exchange.answer_json(DOCUMENTS[exchange.path.removeprefix("/k8s/clusters/c-1")])

    with serving(answer) as server:
        path = kubeconfig(tmp_path, f"{server.url}/k8s/clusters/c-1/")
        client = Client(env={"KUBECONFIG": str(path), "HOME": str(tmp_path)})
        with client:
            assert client.discovery.resolve("deploy").name == "deployments"


def test_several_threads_share_one_client(make: Make, server: HostileServer) -> None:
    client = make(server)
    client.discovery.resources()
    found: list[object] = []

    def ask() -> None:
        found.extend(client.get("pods", "web", namespace="shop") for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [POD] * 120


def test_a_time_limit_holds_for_a_server_that_never_answers(make: Make) -> None:
    with serving() as server:
        client = make(server, settings=Settings(timeout_s=0.2))
        with pytest.raises(TransportError, match=r"gave no answer within 0\.2\d* s"):
            client.request("/api")


def test_a_body_has_a_longest_length(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(Limits._defaults, "body_bytes", 4096)
    with serving(lambda one: one.answer(200, b"x" * 5000)) as server:
        client = make(server)
        with pytest.raises(TransportError, match="--chunk-size"):
            client.request("/api")
        assert len(server.heads) == 1, "the same would happen again"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
PATHS = ("/api", "/apis", "/api/v1", "/apis/apps/v1", "/api/v1/nodes")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(documents=st.dictionaries(st.sampled_from(PATHS), JSON, min_size=1))
def test_whatever_documents_a_server_has_the_end_is_an_answer_or_a_sentence(
    documents: dict[str, object], make: Make, tmp_path: Path
) -> None:
    special = {path: _answering(document) for path, document in documents.items()}
    cache = Settings(cache_dir=str(tmp_path / "cache"))
    told = "nothing"
    with serving(well_behaved(special)) as server:
        client = make(server, settings=cache)
        try:
            client.discovery.resolve("nodes")
            list(client.list("nodes"))
            client.discovery.resources()
            client.close()
        except KubelagError as error:
            told = str(error)
        finally:
            client.forget_connections()
    assert told.isprintable()
    for path in (tmp_path / "cache").rglob("server*.json"):
        assert json.loads(path.read_bytes())["kind"] in {"APIGroupList", "APIResourceList"}


def _answering(document: object) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.answer_json(document)


def test_what_was_good_stays_when_it_goes_bad(make: Make) -> None:
    bad = in_turn(
        lambda one: one.answer_json(resource_list("v1", PODS)),
        lambda one: one.answer(200, "<html>", "text/html"),
    )
    with serving(well_behaved({"/api/v1": bad})) as server:
        with make(server) as client:
            assert client.discovery.resolve("po").name == "pods"
            client.discovery.refresh()
            assert client.discovery.resolve("po").name == "pods"
            assert client.discovery.snapshot().group_versions["v1"].state == "failed"
        with make(server) as again:
            assert again.discovery.resolve("po").name == "pods"
