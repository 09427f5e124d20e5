"""kr8s with our discovery: the same answers in the same order, without its requests."""

import asyncio
import importlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import kr8s.asyncio
import pytest

from counted_server import Counted
from kubelag.kube import Client, Settings
from kubelag.kube.adapters import kr8s_discovery
from kubelag.kube.adapters.kr8s_discovery import install
from kubelag.kube.adapters.packages import ChangedPackageError

if TYPE_CHECKING:
    from conftest import MakeClient

T = TypeVar("T")
API = importlib.import_module("kr8s._api").Api


@asynccontextmanager
async def opened(kubeconfig: Path) -> AsyncIterator[Any]:
    """A kr8s API whose connections end with it."""
    api = await kr8s.asyncio.api(kubeconfig=str(kubeconfig))
    try:
        yield api
    finally:
        if api._session is not None:
            await api._session.aclose()


def with_api(kubeconfig: Path, use: Callable[[Any], Awaitable[T]]) -> T:
    """What `use` gives, with an API of a loop of its own."""

    async def run() -> T:
        async with opened(kubeconfig) as api:
            return await use(api)

    return asyncio.run(run())


@pytest.fixture
def installed(warm: Client) -> Iterator[Client]:
    """kr8s with our discovery and a warm cache."""
    with install(warm):
        yield warm


def test_its_resources_are_those_that_it_finds_itself_in_the_same_order(
    legacy_server: Counted, cache_dir: Path
) -> None:
    theirs = with_api(legacy_server.kubeconfig, lambda api: api.api_resources())
    settings = Settings(cache_dir=str(cache_dir))
    client = Client(kubeconfig=str(legacy_server.kubeconfig), settings=settings)
    with client, install(client):
        ours = with_api(legacy_server.kubeconfig, lambda api: api.api_resources())
    assert ours == theirs


def test_a_warm_cache_costs_no_request(installed: Client, server: Counted) -> None:
    custom = next(one for one in installed.discovery.resources() if "example.com" in one.group)

    async def look_up(api: Any) -> tuple[str, str, bool]:
        await api.lookup_kind("node")
        found: tuple[str, str, bool] = await api.lookup_kind(f"{custom.name}.{custom.group}")
        return found

    assert with_api(server.kubeconfig, look_up) == (
        f"{custom.singular}.{custom.api_version}",
        custom.name,
        True,
    )
    assert server.take_discovery() == []


def test_objects_are_listed_with_one_request(installed: Client, server: Counted) -> None:
    async def names(api: Any) -> list[str]:
        return [one.name async for one in api.get("nodes")]

    assert with_api(server.kubeconfig, names) == ["node1", "node2", "node3"]
    assert server.take() == ["/version", "/api/v1/nodes"]
    assert not installed.troubles


def test_an_unknown_kind_costs_the_conditional_pair(installed: Client, server: Counted) -> None:
    with pytest.raises(ValueError, match="not found"):
        with_api(server.kubeconfig, lambda api: api.lookup_kind("nothings"))
    assert sorted(server.take_discovery()) == ["/api", "/apis"]
    assert installed.discovery.resolve("nodes").kind == "Node"


def test_a_cold_cache_is_filled_for_the_next_process(
    make_client: "MakeClient", server: Counted
) -> None:
    with install(make_client()):
        with_api(server.kubeconfig, lambda api: api.lookup_kind("node"))
    assert sorted(server.take_discovery()) == ["/api", "/apis"]
    with install(make_client()):
        with_api(server.kubeconfig, lambda api: api.lookup_kind("node"))
    assert server.take_discovery() == []


def test_another_server_is_discovered_by_kr8s_itself(
    installed: Client, legacy_server: Counted
) -> None:
    with_api(legacy_server.kubeconfig, lambda api: api.lookup_kind("nodes"))
    assert len(legacy_server.take_discovery()) > 2
    assert installed.server != legacy_server.url


def test_its_synchronous_api_is_helped_too(installed: Client, server: Counted) -> None:
    api: Any = kr8s.api(kubeconfig=str(server.kubeconfig))
    assert api.lookup_kind("deploy")[1] == "deployments"
    assert server.take_discovery() == []
    portal = importlib.import_module("kr8s._async_utils").Portal()
    portal.call(api._session.aclose)
    assert installed.discovery.has_work_left is False


def test_what_was_there_comes_back() -> None:
    before = API.async_api_resources, API.async_api_resources_uncached
    installed = install()
    assert API.async_api_resources is not before[0]
    installed.uninstall()
    assert (API.async_api_resources, API.async_api_resources_uncached) == before


def test_the_last_installed_goes_first() -> None:
    before = API.async_api_resources
    first, second = install(), install()
    with pytest.raises(ChangedPackageError, match="opposite order"):
        first.uninstall()
    second.uninstall()
    first.uninstall()
    assert API.async_api_resources is before


@pytest.mark.parametrize("name", ["async_api_resources", "async_api_resources_uncached"])
def test_a_kr8s_that_has_changed_is_left_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(API, name, lambda self, kind: (self, kind))
    with pytest.raises(ChangedPackageError, match=name):
        install()


@pytest.mark.parametrize(
    ("module", "name"), [("kr8s._api", "Api"), ("kr8s._data_utils", "sort_versions")]
)
def test_a_kr8s_that_lacks_something_is_left_alone(
    module: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(importlib.import_module(module), name)
    with pytest.raises(ChangedPackageError, match=name):
        kr8s_discovery.install()
