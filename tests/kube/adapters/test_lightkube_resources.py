"""lightkube's classes, made from what the server offers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import lightkube
import pytest
from lightkube.core.resource_registry import resource_registry
from lightkube.generic_resource import create_namespaced_resource, get_generic_resource
from lightkube.resources.apps_v1 import Deployment

from counted_server import Counted
from kubelag.errors import UnknownResourceError
from kubelag.kube import Client, Resource
from kubelag.kube.adapters.lightkube_resources import register, resource

if TYPE_CHECKING:
    from conftest import MakeClient


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    """lightkube's registry as it was before the test."""
    before = dict(resource_registry._registry)
    yield
    resource_registry._registry.clear()
    resource_registry._registry.update(before)


@pytest.fixture
def custom(warm: Client) -> Resource:
    """The custom resource that has objects."""
    return next(one for one in warm.discovery.resources() if "example.com" in one.group)


@contextmanager
def opened(server: Counted) -> Iterator[Any]:
    """lightkube's client, its connections closed at the end."""
    client = lightkube.Client(
        config=lightkube.KubeConfig.from_file(str(server.kubeconfig)), namespace="default"
    )
    try:
        yield client
    finally:
        client._client._client.close()


def test_a_custom_resource_is_listed_with_one_request(
    warm: Client, custom: Resource, server: Counted
) -> None:
    made = resource(warm, custom.qualified_name)
    assert server.take() == []
    with opened(server) as client:
        found = list(client.list(made))
    assert len(found) == 3
    assert {one.kind for one in found} <= {custom.kind, None}
    assert server.take() == [custom.path("default")]


def test_a_resource_of_kubernetes_itself_is_lightkubes_own_class(warm: Client) -> None:
    assert resource(warm, "deploy") is Deployment


def test_a_resource_is_the_same_class_every_time(warm: Client, custom: Resource) -> None:
    first = resource(warm, custom.qualified_name)
    assert resource(warm, f"{custom.kind}.{custom.version}.{custom.group}") is first
    found: Any = get_generic_resource(custom.api_version, custom.kind)  # type: ignore[no-untyped-call]
    assert found is first


def test_a_class_of_the_programs_own_is_kept(warm: Client, custom: Resource) -> None:
    own = create_namespaced_resource(
        custom.group, custom.version, custom.kind, custom.name, verbs=["get"]
    )
    assert resource(warm, custom.qualified_name) is own


def test_a_class_of_that_kind_for_another_resource_is_refused(
    warm: Client, custom: Resource
) -> None:
    create_namespaced_resource(custom.group, custom.version, custom.kind, "somethingelse")
    with pytest.raises(ValueError, match="already created"):
        resource(warm, custom.qualified_name)


def test_all_custom_resources_are_registered_and_no_others(warm: Client, server: Counted) -> None:
    made = register(warm)
    offered = {
        f"{one.api_version} {one.kind}"
        for one in warm.discovery.resources()
        if "example.com" in one.group
    }
    assert offered <= made.keys()
    assert "apps/v1 Deployment" not in made
    assert not any(key.startswith("v1 ") for key in made)
    assert register(warm) == made
    assert server.take() == []


def test_only_chosen_groups_are_registered(warm: Client, custom: Resource) -> None:
    made = register(warm, [custom.group])
    assert {key.partition("/")[0] for key in made} == {custom.group}
    assert made[f"{custom.api_version} {custom.kind}"].__name__ == custom.kind


def test_an_unknown_name_costs_the_conditional_pair(warm: Client, server: Counted) -> None:
    for _ in range(2):
        with pytest.raises(UnknownResourceError):
            resource(warm, "nothings.example.com")
    assert sorted(server.take()) == ["/api", "/apis"]


def test_a_cold_cache_is_filled_for_the_next_process(
    make_client: "MakeClient", server: Counted
) -> None:
    register(make_client())
    assert sorted(server.take()) == ["/api", "/apis"]
    register(make_client())
    assert server.take() == []
