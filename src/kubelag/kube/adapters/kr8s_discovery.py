"""kr8s with kubectl's discovery cache in the place of its own discovery.

>>> import kr8s                                                           # doctest: +SKIP
>>> from kubelag.kube import Client                                       # doctest: +SKIP
>>> from kubelag.kube.adapters.kr8s_discovery import install              # doctest: +SKIP
>>> with Client() as client, install(client):                             # doctest: +SKIP
...     kr8s.api().lookup_kind("deploy")

kr8s has no hook for it, so two methods of its class are replaced, for all of its objects, the
synchronous ones among them. They are checked first: a kr8s that has changed gives an error and is
left alone. Objects for servers that no client was given for go on as before. Written for 0.20.
"""

import importlib
import inspect
import threading

from kubelag.kube.adapters.keeping import known, renewed
from kubelag.kube.adapters.packages import ChangedPackageError, MissingPackageError

try:
    import anyio.to_thread
    import kr8s
except ImportError as error:
    raise MissingPackageError("kr8s", error) from error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from types import TracebackType
    from typing import Any, Self

    from kubelag.kube.client import Client
    from kubelag.kube.discovery.service import Discovery
    from kubelag.kube.discovery.snapshot import Snapshot

    JsonObject = dict[str, Any]
    Method = Callable[[Any], Awaitable[list[JsonObject]]]

KNOWN, UNCACHED = "async_api_resources", "async_api_resources_uncached"
"""The replaced methods: for every look-up, and for one that found nothing."""


class Installed:
    """Two replaced methods, until `uninstall` or the end of a `with`."""

    def __init__(self, api: type, replacements: "dict[str, Method]") -> None:
        self._api = api
        self._replacements = replacements
        self._originals = {name: inspect.getattr_static(api, name) for name in replacements}
        for name, method in replacements.items():
            setattr(api, name, method)

    def uninstall(self) -> None:
        """Put back what was there; the last installed goes first.

        Raises:
            ChangedPackageError: If somebody else has replaced the methods since.
        """
        for name, method in self._replacements.items():
            if inspect.getattr_static(self._api, name) is not method:
                raise ChangedPackageError(
                    f"kr8s's {name} was replaced by somebody else since",
                    "uninstall in the opposite order",
                )
        for name, original in self._originals.items():
            setattr(self._api, name, original)

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        self.uninstall()


def install(*clients: "Client") -> Installed:
    """Let kr8s find resources through these clients, each for its server.

    Args:
        clients: For the servers that kr8s is to talk to; not closed.

    Raises:
        ChangedPackageError: If this kr8s is not one that can be helped so.
    """
    api = _api_class()
    servers = {client.server.rstrip("/"): client.discovery for client in clients}
    locks = {server: threading.Lock() for server in servers}

    def replacement(name: str, how: "Callable[[Discovery], Snapshot]") -> "Method":
        original: Method = getattr(api, name)

        async def method(self: "Any") -> "list[JsonObject]":  # noqa: ANN401 - kr8s's Api
            server = (self.auth.server or "").rstrip("/")
            if server not in servers:
                return await original(self)

            def read() -> "list[JsonObject]":
                with locks[server]:
                    return list(_listed(how(servers[server])))

            return await anyio.to_thread.run_sync(read)

        method.__name__, method.__doc__ = name, original.__doc__
        return method

    return Installed(
        api, {KNOWN: replacement(KNOWN, known), UNCACHED: replacement(UNCACHED, renewed)}
    )


def _api_class() -> type:
    """The class whose methods are replaced, if it is what this file was written for."""
    api = getattr(importlib.import_module("kr8s._api"), "Api", None)
    if not isinstance(api, type):
        raise _changed("its class _api.Api")
    for name in (KNOWN, UNCACHED):
        method = inspect.getattr_static(api, name, None)
        if not callable(method) or list(inspect.signature(method).parameters) != ["self"]:
            raise _changed(f"{name} of its class Api")
    if "self.auth.server" not in inspect.getsource(api):
        raise _changed("auth.server of its class Api")
    _sort_versions()
    return api


def _sort_versions() -> "Callable[..., list[str]]":
    found = getattr(importlib.import_module("kr8s._data_utils"), "sort_versions", None)
    if not callable(found):
        raise _changed("its _data_utils.sort_versions")
    sort: Callable[..., list[str]] = found
    return sort


def _changed(what: str) -> ChangedPackageError:
    version = getattr(kr8s, "__version__", "of unknown version")
    return ChangedPackageError(
        f"kr8s {version} is not what this adapter was written for: {what} is not as it was",
        "use it without the adapter, or a kr8s 0.20",
    )


def _listed(snapshot: "Snapshot") -> "Iterator[JsonObject]":
    """Resources as kr8s lists them: the first that a name fits is the one that it takes."""
    sort_versions = _sort_versions()
    for group in sorted(snapshot.groups, key=lambda one: one.name):
        names = [f"{group.name}/{one}" if group.name else one for one in group.versions]
        for name in sort_versions(names) if group.name else names:
            for raw in snapshot.group_versions[name].resources:
                if "/" not in raw["name"]:
                    fields = {key: raw[key] for key in raw if key not in {"group", "version"}}
                    yield {"version": name, **fields}
