"""The client, awaited."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostile_server import NODE, HostileServer, kubeconfig, serving, tree, well_behaved
from kubelag.errors import ApiError, UnknownResourceError
from kubelag.kube import AsyncClient


@pytest.fixture
def server() -> Iterator[HostileServer]:
    special = {
        "/api/v1/nodes": lambda one: one.answer_json({"items": [NODE, NODE]}),
        "/api/v1/nodes/node1": lambda one: one.answer_json(NODE),
    }
    with serving(well_behaved(special)) as found:
        yield found


@pytest.fixture
def env(server: HostileServer, tmp_path: Path) -> dict[str, str]:
    return {"KUBECONFIG": str(kubeconfig(tmp_path, server.url)), "HOME": str(tmp_path / "home")}


def test_everything_may_be_awaited(env: dict[str, str], tmp_path: Path) -> None:
    async def ask() -> None:
        async with AsyncClient(env=env) as client:
            assert (await client.resolve("no")).name == "nodes"
            assert await client.get("node", "node1") == NODE
            assert [one["kind"] async for one in client.list("nodes")] == ["Node", "Node"]
            assert (await client.request("/version")).status == 200

    asyncio.run(ask())
    assert any(one.endswith("servergroups.json") for one in tree(tmp_path / "home"))


def test_many_are_awaited_at_once(env: dict[str, str]) -> None:
    async def ask() -> list[object]:
        async with AsyncClient(env=env) as client:
            await client.resolve("nodes")
            return await asyncio.gather(*(client.get("nodes", "node1") for _ in range(40)))

    assert asyncio.run(ask()) == [NODE] * 40


def test_the_loop_goes_on_while_a_server_is_silent(env: dict[str, str], tmp_path: Path) -> None:
    async def ask(silent: HostileServer) -> None:
        path = kubeconfig(tmp_path, silent.url)
        async with AsyncClient(env={**env, "KUBECONFIG": str(path)}) as client:
            waiting = asyncio.create_task(client.request("/version"))
            await asyncio.to_thread(silent.connected.wait, 30)
            assert not waiting.done()
            silent.close()
            with pytest.raises(Exception, match="127"):
                await waiting

    with serving() as silent:
        asyncio.run(ask(silent))


def test_errors_are_the_same(env: dict[str, str], tmp_path: Path) -> None:
    async def ask() -> None:
        async with AsyncClient(env=env) as client:
            with pytest.raises(UnknownResourceError):
                await client.resolve("nonsense")
            with pytest.raises(ApiError):
                await client.get("nodes", "nobody")

    asyncio.run(ask())

    async def fail() -> None:
        async with AsyncClient(env={**env, "HOME": str(tmp_path / "other")}) as client:
            await client.resolve("deploy")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(fail())
    assert tree(tmp_path / "other") == []
