"""The official client with our discoverer: it finds what its own finds, and asks for less."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from kubernetes import config
from kubernetes.client import ApiClient, ApiException
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import (
    ForbiddenError,
    ResourceNotFoundError,
    ResourceNotUniqueError,
)
from kubernetes.dynamic.resource import ResourceList

from counted_server import Counted
from kubelag.errors import TransportError
from kubelag.kube import Client, Settings
from kubelag.kube.adapters.official import KubectlCacheDiscoverer, kubectl_cache_discoverer
from kubelag.lab.control_plane.handle import ControlPlane

if TYPE_CHECKING:
    from conftest import MakeClient

MakeDynamic = Callable[..., Any]

QUERIES: tuple[dict[str, Any], ...] = (
    {"api_version": "v1", "kind": "Pod"},
    {"api_version": "v1", "kind": "PodList"},
    {"kind": "Node"},
    {"kind": "Deployment"},
    {"group": "apps", "kind": "Deployment"},
    {"group": "apps", "api_version": "v1", "kind": "Deployment"},
    {"api_version": "apps/v1", "kind": "Deployment"},
    {"prefix": "apis", "kind": "Event"},
    {"kind": "Event"},
    {"kind": "List"},
    {"api_version": "v1"},
    {"group": "apps"},
    {"name": "deployments", "group": "apps", "kind": "Deployment"},
    {"singular_name": "pod", "kind": "Pod"},
    {"api_version": "v1", "kind": "Pod", "name": "nodes"},
    {"api_version": "v1", "kind": "Nothing"},
    {"group": "empty.example.com", "kind": "Nothing"},
    {},
)


@pytest.fixture
def make_dynamic(tmp_path: Path) -> Iterator[MakeDynamic]:
    """Makes dynamic clients; their connections end with the test."""
    made: list[ApiClient] = []

    def make(kubeconfig: Path, discoverer: Any = None, **options: Any) -> Any:
        api = config.new_client_from_config(str(kubeconfig))  # type: ignore[no-untyped-call]
        made.append(api)
        options.setdefault("cache_file", str(tmp_path / "their-own.json"))
        return DynamicClient(api, discoverer=discoverer, **options)  # type: ignore[no-untyped-call]

    yield make
    for api in made:
        api.rest_client.pool_manager.clear()


@pytest.fixture
def ours(server: Counted, warm: Client, make_dynamic: MakeDynamic) -> Any:
    """A dynamic client with our discoverer and a warm cache."""
    return make_dynamic(server.kubeconfig, kubectl_cache_discoverer(warm))


def shape(found: Any) -> Any:
    """What distinguishes one resource from another."""
    fields = found.to_dict()
    fields.pop("storageVersionHash", None)  # aggregated discovery does not tell it
    for one in fields.get("subresources", {}).values():
        one.pop("group", None)
        one.pop("version", None)
        one["singularName"] = ""
    return fields


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_it_finds_what_their_own_finds_in_the_same_order(
    query: dict[str, Any],
    legacy_server: Counted,
    cache_dir: Path,
    make_dynamic: MakeDynamic,
) -> None:
    theirs = make_dynamic(legacy_server.kubeconfig).resources
    settings = Settings(cache_dir=str(cache_dir))
    discoverer = kubectl_cache_discoverer(settings=settings)
    ours = make_dynamic(legacy_server.kubeconfig, discoverer).resources
    assert [shape(one) for one in ours.search(**query)] == [
        shape(one) for one in theirs.search(**query)
    ]


def test_aggregated_discovery_gives_the_same_resources_as_their_own(
    server: Counted, ours: Any, make_dynamic: MakeDynamic
) -> None:
    theirs = make_dynamic(server.kubeconfig)
    names = [
        {(one.prefix, one.group_version, one.name, one.kind, one.namespaced) for one in found}
        for found in (
            [one for one in client.resources.search() if not isinstance(one, ResourceList)]
            for client in (ours, theirs)
        )
    ]
    assert names[0] == names[1]
    assert list(ours.resources.api_groups) == list(theirs.resources.api_groups)
    assert ours.version == theirs.version


def test_iterating_gives_lists_of_resources_as_their_lazy_discoverer_does(
    legacy_server: Counted, cache_dir: Path, make_dynamic: MakeDynamic
) -> None:
    theirs = make_dynamic(legacy_server.kubeconfig).resources
    discoverer = kubectl_cache_discoverer(settings=Settings(cache_dir=str(cache_dir)))
    ours = make_dynamic(legacy_server.kubeconfig, discoverer).resources
    assert [[shape(one) for one in each] for each in ours] == [
        [shape(one) for one in each] for each in theirs
    ]


def test_a_warm_cache_costs_no_request_until_something_is_listed(
    ours: Any, server: Counted
) -> None:
    nodes = ours.resources.get(api_version="v1", kind="Node")
    custom = next(one for one in ours.resources.search() if "example.com" in (one.group or ""))
    assert ours.resources.get(group=custom.group, kind=custom.kind).name == custom.name
    assert server.take() == []
    assert [one.metadata.name for one in nodes.get().items] == ["node1", "node2", "node3"]
    assert server.take() == ["/api/v1/nodes"]


def test_an_unknown_kind_costs_the_conditional_pair(ours: Any, server: Counted) -> None:
    for _ in range(2):
        with pytest.raises(ResourceNotFoundError):
            ours.resources.get(kind="Nothing")
        assert sorted(server.take()) == ["/api", "/apis"]


def test_a_cold_cache_is_filled_for_the_next_process_and_not_asked_for_twice(
    server: Counted, make_client: "MakeClient", make_dynamic: MakeDynamic
) -> None:
    first = make_dynamic(server.kubeconfig, kubectl_cache_discoverer(make_client()))
    with pytest.raises(ResourceNotFoundError):
        first.resources.get(kind="Nothing")
    assert sorted(server.take()) == ["/api", "/apis"]
    second = make_dynamic(server.kubeconfig, kubectl_cache_discoverer(make_client()))
    second.resources.get(kind="Node")
    assert server.take() == []


def test_a_kind_with_several_versions_is_not_unique_as_with_their_own(ours: Any) -> None:
    with pytest.raises(ResourceNotUniqueError):
        ours.resources.get(kind="Event")


def test_a_list_of_objects_finds_the_resource_of_its_items(ours: Any, server: Counted) -> None:
    pods = ours.resources.get(api_version="v1", kind="PodList")
    assert pods.base_resource().name == "pods"
    assert ours.resources.get(kind="Pod").log.path(name="web", namespace="shop") == (
        "/api/v1/namespaces/shop/pods/web/log"
    )
    assert server.take() == []


def test_without_a_client_it_asks_through_the_connections_of_the_api_client(
    control_plane: ControlPlane,
    make_dynamic: MakeDynamic,
    cache_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Over TLS, as the user of a client certificate, into kubectl's own cache."""
    monkeypatch.setenv("KUBECACHEDIR", str(cache_dir))
    kubeconfig = control_plane.kubeconfig()
    client = make_dynamic(kubeconfig, KubectlCacheDiscoverer)
    assert not cache_dir.exists()
    assert client.resources.get(kind="Node").get().items
    assert list(cache_dir.glob("discovery/*/apps/v1/serverresources.json"))
    config_of_nobody = control_plane.kubeconfig("anonymous")
    other = make_dynamic(config_of_nobody, KubectlCacheDiscoverer)
    assert other.resources.get(kind="Node").name == "nodes"


def test_own_connections_revalidate_too(
    server: Counted, cache_dir: Path, make_dynamic: MakeDynamic
) -> None:
    discoverer = kubectl_cache_discoverer(settings=Settings(cache_dir=str(cache_dir)))
    make_dynamic(server.kubeconfig, discoverer).resources.get(kind="Node")
    assert sorted(server.take()) == ["/api", "/apis"]
    second = make_dynamic(server.kubeconfig, discoverer)
    with pytest.raises(ResourceNotFoundError):
        second.resources.get(kind="Nothing")
    assert sorted(server.take()) == ["/api", "/apis"]
    assert second.resources.get(kind="Node").name == "nodes"


def test_memory_alone_writes_nothing(
    server: Counted, make_dynamic: MakeDynamic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECACHEDIR", str(tmp_path / "nowhere"))
    discoverer = kubectl_cache_discoverer(settings=Settings(cache="memory"))
    assert make_dynamic(server.kubeconfig, discoverer).resources.get(kind="Node")
    assert not (tmp_path / "nowhere").exists()


def test_a_refusal_is_their_exception(
    control_plane: ControlPlane, make_dynamic: MakeDynamic, cache_dir: Path
) -> None:
    discoverer = kubectl_cache_discoverer(settings=Settings(cache_dir=str(cache_dir)))
    client = make_dynamic(control_plane.kubeconfig("anonymous"), discoverer)
    with pytest.raises(ForbiddenError) as caught:
        client.resources.get(kind="Node")
    assert isinstance(caught.value, ApiException)


def test_a_server_that_is_not_there_is_one_sentence(
    server: Counted, make_dynamic: MakeDynamic, cache_dir: Path
) -> None:
    discoverer = kubectl_cache_discoverer(settings=Settings(cache_dir=str(cache_dir)))
    client = make_dynamic(server.kubeconfig, discoverer)
    client.configuration.retries = False
    client.client.rest_client.pool_manager.connection_pool_kw["retries"] = False
    client.client.configuration.host = "http://127.0.0.1:1"
    with pytest.raises(TransportError, match="cannot be asked"):
        client.resources.get(kind="Node")


def test_a_client_for_another_server_is_refused(
    control_plane: ControlPlane, warm: Client, make_dynamic: MakeDynamic
) -> None:
    with pytest.raises(ValueError, match="is for"):
        make_dynamic(control_plane.kubeconfig(), kubectl_cache_discoverer(warm))


def test_several_threads_share_one_discoverer(ours: Any, server: Counted) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(ours.resources.get(kind="Node").name))
        for _ in range(8)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == ["nodes"] * 8
    assert server.take() == []


def test_their_own_cache_file_is_left_alone(ours: Any, tmp_path: Path) -> None:
    ours.resources.get(kind="Node")
    assert not (tmp_path / "their-own.json").exists()
