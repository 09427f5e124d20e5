"""The client for asyncio: a thin facade, every call in a thread.

The synchronous client does the work, so that there is one of everything; its pool may be used by
several threads at once, each call on a connection of its own.
"""

import asyncio

from kubelag.kube.client import Client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType
    from typing import Any, Self

    from kubelag.kube.discovery.resolve import Resource
    from kubelag.kube.transport.messages import Response

    JsonObject = dict[str, Any]


class AsyncClient:
    """`Client`, awaited.

    >>> async with AsyncClient(context="prod") as client:                 # doctest: +SKIP
    ...     async for pod in client.list("pods", all_namespaces=True):
    ...         print(pod["metadata"]["name"])

    Args:
        client: One to be used; None to make one of `options`.
        options: As `Client` takes them.
    """

    def __init__(self, client: Client | None = None, **options: "Any") -> None:  # noqa: ANN401 - as Client's
        self.client = client or Client(**options)

    async def resolve(self, name: str) -> "Resource":
        """As `client.discovery.resolve`."""
        return await asyncio.to_thread(self.client.discovery.resolve, name)

    async def get(self, resource: "str | Resource", name: str, **options: "Any") -> "JsonObject":  # noqa: ANN401 - as Client's
        """As `Client.get`."""
        return await asyncio.to_thread(self.client.get, resource, name, **options)

    async def list(
        self,
        resource: "str | Resource",
        **options: "Any",  # noqa: ANN401 - as Client's
    ) -> "AsyncIterator[JsonObject]":
        """As `Client.list`: chunks are read while objects are taken."""
        items = self.client.list(resource, **options)
        while (item := await asyncio.to_thread(next, items, None)) is not None:
            yield item

    async def request(self, path: str, **options: "Any") -> "Response":  # noqa: ANN401 - as Client's
        """As `Client.request`."""
        return await asyncio.to_thread(self.client.request, path, **options)

    async def close(self) -> None:
        """As `Client.close`."""
        await asyncio.to_thread(self.client.close)

    async def __aenter__(self) -> "Self":
        return self

    async def __aexit__(
        self,
        kind: "type[BaseException] | None",
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        await asyncio.to_thread(self.client.__exit__, kind, error, traceback)
