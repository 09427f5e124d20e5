"""The official client (`kubernetes`) with kubectl's discovery cache in the place of its own.

>>> from kubernetes import config                                         # doctest: +SKIP
>>> from kubernetes.dynamic import DynamicClient                          # doctest: +SKIP
>>> from kubelag.kube.adapters.official import KubectlCacheDiscoverer     # doctest: +SKIP
>>> api_client = config.new_client_from_config()                          # doctest: +SKIP
>>> client = DynamicClient(api_client, discoverer=KubectlCacheDiscoverer)  # doctest: +SKIP
>>> client.resources.get(api_version="apps/v1", kind="Deployment")        # doctest: +SKIP

What is found is what that client's own discoverer finds, in the same order; a contract test holds
both to it. It differs in what it costs. Warm it asks nothing. A kind that is not there costs two
conditional requests, not one for each group-version; it is asked for every time, as there, since
programs create a definition and look its kind up at once.
"""

import threading
import time
from contextlib import contextmanager

from kubelag.errors import ApiError
from kubelag.kube.adapters import official_shape
from kubelag.kube.adapters.keeping import known, renewed
from kubelag.kube.adapters.official_transport import own_discovery
from kubelag.kube.adapters.packages import MissingPackageError
from kubelag.kube.client import Settings
from kubelag.kube.record import Record

try:
    from kubernetes.client import ApiException
    from kubernetes.dynamic.exceptions import (
        ResourceNotFoundError,
        ResourceNotUniqueError,
        api_exception,
    )
    from kubernetes.dynamic.resource import Resource, ResourceList
except ImportError as error:
    raise MissingPackageError("kubernetes", error) from error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, KeysView
    from typing import Any

    from kubelag.kube.client import Client
    from kubelag.kube.discovery.service import Discovery
    from kubelag.kube.discovery.snapshot import Snapshot

    Kinds = dict[str, list[Any]]


class Query(Record):
    """What is searched for; empty is anything."""

    prefix: str = ""
    group: str = ""
    version: str = ""
    kind: str = ""
    attributes: "dict[str, Any]"
    """Of the resource, such as `name`; one that matches is enough."""


class KubectlCacheDiscoverer:
    """A discoverer for `DynamicClient(…, discoverer=KubectlCacheDiscoverer)`.

    Nothing is read before something is looked up.

    Args:
        client: The `DynamicClient` that it works for.
        cache_file: As that client passes it on; not used.
        discovery: Where resources are from; None to ask through `client`'s own connections, with
            its credentials, and to use kubectl's own cache.
    """

    def __init__(
        self,
        client: "Any",  # noqa: ANN401 - untyped there
        cache_file: str | None = None,  # noqa: ARG002 - part of the call
        *,
        discovery: "Discovery | None" = None,
    ) -> None:
        self.client = client
        self._discovery = discovery or own_discovery(client, Settings())
        self._parts: list[_Part] | None = None
        self._asked_s = 0.0
        self._version: dict[str, Any] | None = None
        self._lock = threading.RLock()

    def get(self, **wanted: "Any") -> "Any":  # noqa: ANN401 - as theirs
        """The one `Resource` that matches; a list kind only where nothing else does.

        Args:
            wanted: As `search` takes it.

        Raises:
            ResourceNotFoundError: If none does.
            ResourceNotUniqueError: If several do.
        """
        found = self.search(**wanted)
        if len(found) > 1 and wanted.get("api_version"):
            found = [one for one in found if one.group_version == wanted["api_version"]]
        if len(found) > 1:
            found = [one for one in found if not isinstance(one, ResourceList)] or found
        if not found:
            raise ResourceNotFoundError(f"No matches found for {wanted}")
        if len(found) > 1:
            raise ResourceNotUniqueError(f"Multiple matches found for {wanted}: {found}")
        return found[0]

    def search(
        self,
        prefix: str | None = None,
        group: str | None = None,
        api_version: str | None = None,
        kind: str | None = None,
        **attributes: "Any",  # noqa: ANN401 - as theirs
    ) -> "list[Any]":
        """Every `Resource` and `ResourceList` that matches; asks the server anew if none does.

        Args:
            prefix: `api` or `apis`.
            group: Of the resource.
            api_version: A bare version, or group and version.
            kind: Of the resource.
            attributes: Others of the resource, such as `name`; one that matches is enough.
        """
        if not group and api_version and "/" in api_version:
            group, _, api_version = api_version.partition("/")
        query = Query(
            prefix=prefix or "",
            group=group or "",
            version=api_version or "",
            kind=kind or "",
            attributes=attributes,
        )
        began_s = time.time()
        found = self._found(query)
        if not found and self._asked_s < began_s:
            self.invalidate_cache()
            found = self._found(query)
        return found

    @property
    def api_groups(self) -> "KeysView[str]":
        """The names of the groups; the empty one is that of the kind List."""
        return {part.group: None for part in self._loaded() if part.prefix == "apis"}.keys()

    @property
    def version(self) -> "dict[str, Any]":
        """What the server says of itself: `version["kubernetes"]["gitVersion"]`; asked once."""
        if self._version is None:
            told = self.client.request("get", "/version", serializer=lambda _, document: document)
            self._version = {"kubernetes": told}
        return self._version

    def invalidate_cache(self) -> None:
        """Ask the server now; two conditional requests where nothing has changed."""
        with self._lock, _their_errors():
            self._parts = self._read(renewed)

    def __iter__(self) -> "Iterator[list[Any]]":
        """For each kind in each version its resources, as their lazy discoverer has it."""
        for part in self._loaded():
            yield from part.kinds().values()

    def _found(self, query: Query) -> "list[Any]":
        return [one for part in self._loaded() if part.is_in(query) for one in part.matches(query)]

    def _loaded(self) -> "list[_Part]":
        with self._lock, _their_errors():
            if self._parts is None:
                self._parts = self._read(known)
            return self._parts

    def _read(self, how: "Callable[[Discovery], Snapshot]") -> "list[_Part]":
        snapshot = how(self._discovery)
        self._asked_s = snapshot.fetched_s
        return [_Part(part, self.client) for part in official_shape.parts(snapshot)]


def kubectl_cache_discoverer(
    client: "Client | None" = None, *, settings: Settings | None = None
) -> "Callable[[Any, str | None], KubectlCacheDiscoverer]":
    """A discoverer that uses a client of kubelag's, or a cache elsewhere.

    >>> DynamicClient(api, discoverer=kubectl_cache_discoverer(client))   # doctest: +SKIP

    Args:
        client: Asks and keeps the cache; None for the official client's own connections.
        settings: Of the cache, where no client is given; None for kubectl's own.

    Raises:
        ValueError: When the discoverer is made: `client` is for another server.
    """

    def made(dynamic: "Any", cache_file: str | None = None) -> KubectlCacheDiscoverer:  # noqa: ANN401 - untyped there
        host = str(dynamic.configuration.host)
        if client is None:
            discovery = own_discovery(dynamic, settings or Settings())
        elif client.server.rstrip("/") != host.rstrip("/"):
            raise ValueError(f"the client is for {client.server}, and the API client for {host}")
        else:
            discovery = client.discovery
        return KubectlCacheDiscoverer(dynamic, cache_file, discovery=discovery)

    return made


class _Part:
    """One group-version, its objects made when they are looked for."""

    def __init__(self, shape: official_shape.Part, client: "Any") -> None:  # noqa: ANN401 - as above
        self.prefix = shape.prefix
        self.group = shape.group
        self._shape = shape
        self._client = client
        self._kinds: Kinds | None = None

    def is_in(self, query: Query) -> bool:
        """Whether it may hold what is searched for."""
        return (
            query.prefix in {"", self.prefix}
            and query.group in {"", self.group}
            and query.version in {"", self._shape.version}
        )

    def kinds(self) -> "Kinds":
        """By kind its resources, then its lists."""
        if self._kinds is None:
            found = official_shape.kinds(self._shape)
            self._kinds = {
                kind: [_object(fields, self._client) for fields in each]
                for kind, each in found.items()
            }
        return self._kinds

    def matches(self, query: Query) -> "Iterator[Any]":
        """What is searched for; where attributes are given, the first of each kind that has one."""
        kinds = self.kinds()
        for found in [kinds.get(query.kind, [])] if query.kind else kinds.values():
            if not query.attributes:
                yield from found
            else:
                yield from [one for one in found if _has_any(one, query.attributes)][:1]


def _object(fields: "dict[str, Any]", client: "Any") -> "Any":  # noqa: ANN401 - untyped there
    make: Any = ResourceList if fields["_type"] == "ResourceList" else Resource
    return make(client=client, **{key: fields[key] for key in fields if key != "_type"})


def _has_any(resource: object, attributes: "dict[str, Any]") -> bool:
    return any(getattr(resource, name) == value for name, value in attributes.items())


@contextmanager
def _their_errors() -> "Iterator[None]":
    """A refusal of the server's as that client's callers expect it."""
    try:
        yield
    except ApiError as error:
        told = ApiException(status=error.status, reason=error.message)
        raise api_exception(told) from error  # type: ignore[no-untyped-call]
