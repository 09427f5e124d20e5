"""The ASGI application around the core: reads the scope, waits where told, sends."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from typing import Any

from kubelag.lab.control_plane.core import ApiServer
from kubelag.lab.control_plane.identity import Identity
from kubelag.lab.control_plane.messages import Request, parse_query, wire_headers

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]

RESPONSE = {"http": "http.response", "websocket": "websocket.http.response"}
"""How a response is announced, by what was asked for; nobody gets a WebSocket here."""


class LabApplication:
    """Serves one `ApiServer`.

    Args:
        server: Answers; may be exchanged while requests are on their way.
        certificate: Whom the client certificate of the current connection names.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        server: ApiServer,
        certificate: ContextVar[Identity | None],
        clock: Callable[[], float],
    ) -> None:
        self.server = server
        self._certificate = certificate
        self._clock = clock

    async def __call__(
        self,
        scope: Scope,
        receive: Callable[[], Awaitable[Message]],  # noqa: ARG002 - no request body matters here
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answer one request."""
        if scope["type"] not in RESPONSE:
            return
        request = self._request(scope)
        response = self.server.respond(request, self._clock())
        headers, body = wire_headers(request, response)
        if response.delay_s > 0:
            await asyncio.sleep(response.delay_s)
        encoded = [(name.encode(), value.encode()) for name, value in headers]
        kind = RESPONSE[scope["type"]]
        await send({"type": f"{kind}.start", "status": response.status, "headers": encoded})
        await send({"type": f"{kind}.body", "body": body})

    def _request(self, scope: Scope) -> Request:
        # any byte may come; as Latin-1 none is refused before it is looked at
        headers = (
            (name.decode("latin-1"), text.decode("latin-1")) for name, text in scope["headers"]
        )
        return Request(
            method=scope.get("method", "GET"),  # a WebSocket is always asked for with GET
            path=scope["path"],
            query=parse_query(scope["query_string"].decode("latin-1")),
            headers={name.lower(): text for name, text in headers},
            certificate=self._certificate.get(),
            is_http2=scope["http_version"] == "2",
        )
