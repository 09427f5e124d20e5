"""Discovery for the official client over its own connections, as whoever it is.

However its configuration came by its credentials (a kubeconfig, a hook, a header of the caller's),
they are right for discovery too, which no second reading of a kubeconfig could promise.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import cast

from kubelag.errors import TransportError
from kubelag.kube.adapters.packages import MissingPackageError
from kubelag.kube.cache.layout import cache_root
from kubelag.kube.cache.store import Store
from kubelag.kube.discovery.fetch import Fetcher
from kubelag.kube.discovery.service import Discovery
from kubelag.kube.transport.messages import Response

try:
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError
except ImportError as error:
    raise MissingPackageError("kubernetes", error) from error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from kubelag.kube.client import Settings
    from kubelag.kube.session import Ask, Session

THREADS = 8
"""Requests at a time, within what the client's pool keeps. Arbitrary: a legacy server with 150
group-versions is asked in 20 rounds, and no priority level's queue is filled."""
_SHORTEST_S = 0.001
_NOT_KEPT = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers that are no longer true of a body that urllib3 has decoded."""


def own_discovery(client: "Any", settings: "Settings") -> Discovery:  # noqa: ANN401 - untyped there
    """Discovery of the server that a dynamic client talks to, asked through that client.

    Args:
        client: A `DynamicClient`, which may still be in the making.
        settings: Where the cache is and how it is written.
    """
    server = str(client.configuration.host)
    store = _store(server, settings)

    def keep(path: str, accept: str, response: Response) -> None:
        if store is not None:
            store.put(server.rstrip("/") + path, response, accept)

    session = cast("Session", ClientSession(client))
    return Discovery(server, store, lambda: Fetcher(session, server, keep))


class ClientSession:
    """Sends as `Session.send_all` does, through a dynamic client.

    Args:
        client: A `DynamicClient`.
    """

    def __init__(self, client: "Any") -> None:  # noqa: ANN401 - untyped there
        self._client = client

    def send_all(
        self, asks: "Sequence[Ask]", timeout_s: float | None = None
    ) -> "list[Response | TransportError]":
        """Several requests side by side; what became of each, in their order.

        Args:
            asks: Without bodies.
            timeout_s: For all of it.
        """
        deadline_s = time.monotonic() + timeout_s if timeout_s else None
        threads = min(THREADS, self._client.configuration.connection_pool_maxsize or 1, len(asks))
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(lambda ask: self._send(ask, deadline_s), asks))

    def _send(self, ask: "Ask", deadline_s: float | None) -> "Response | TransportError":
        left_s = max(deadline_s - time.monotonic(), _SHORTEST_S) if deadline_s else None
        try:
            found = self._client.request(
                ask.method,
                ask.path,
                header_params={"Accept": ask.accept, **dict(ask.headers)},
                serialize=False,
                _request_timeout=left_s,
            )
            return _response(found.status, found.headers, found.data)
        except ApiException as error:
            if error.status:  # a refusal, or 304, which that client takes for one
                return _response(error.status, error.headers or {}, error.body or b"")
            return self._failure(error)
        except (HTTPError, OSError) as error:
            return self._failure(error)

    def _failure(self, error: Exception) -> TransportError:
        host = self._client.configuration.host
        told = TransportError(f"{host} cannot be asked ({error})", "check that it can be reached")
        told.__cause__ = error
        return told


def _store(server: str, settings: "Settings") -> Store | None:
    if settings.cache == "memory":
        return None
    root = cache_root(settings.cache_dir, os.environ, None, os.getcwd())  # noqa: PTH109 -- text
    return Store(root.path, server, policy=settings.cache)


def _response(status: int, headers: "Mapping[str, str]", body: bytes | str) -> Response:
    lowered = {name.lower(): headers[name] for name in headers}
    kept = {name: value for name, value in lowered.items() if name not in _NOT_KEPT}
    return Response(
        status=status, headers=kept, body=body.encode() if isinstance(body, str) else body
    )
