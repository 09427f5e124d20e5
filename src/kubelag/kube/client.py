"""The client: one server as one user, with its discovery in kubectl's own cache directory.

Nothing is read or asked before it is needed, and what loads slowly (TLS above all) is loaded last:
resolving a kind from the cache touches neither network nor `ssl`.
"""

import os
from _thread import allocate_lock

from kubelag import __version__
from kubelag.errors import KubelagError
from kubelag.kube.config.kubeconfig import choose_kubeconfig
from kubelag.kube.config.overrides import Overrides
from kubelag.kube.discovery.service import Discovery, Manner
from kubelag.kube.record import Record
from kubelag.kube.shown import without_user

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Any, Literal, Self

    from kubelag.kube.cache.store import Store
    from kubelag.kube.config.kubeconfig import Kubeconfig
    from kubelag.kube.discovery.fetch import Fetcher
    from kubelag.kube.discovery.resolve import Resource
    from kubelag.kube.session import Session
    from kubelag.kube.transport.events import Observer
    from kubelag.kube.transport.messages import Response

    JsonObject = dict[str, Any]
    CachePolicy = Literal["checksummed", "synced", "read-only", "memory"]

CHUNK = 500
"""Objects asked for at a time. Source: `--chunk-size` of kubectl."""
_SUCCESS = range(200, 300)
_MANNERS = {"synced": Manner(is_eager=True), "read-only": Manner(may_write=False)}


class Settings(Record):
    """How a client works, whoever it talks to."""

    cache: "CachePolicy" = "checksummed"
    """`checksummed`: verified when read, never synced. `synced`: as kubectl 1.24 and older, every
    answer synced under one lock. `read-only`: what is on disk is used, and nothing written.
    `memory`: nothing on disk is read or written."""
    cache_dir: str | None = None
    """Root of the cache; None for kubectl's own (KUBECACHEDIR, else ~/.kube/cache)."""
    timeout_s: float = 0.0
    """For one request with its repetitions; 0 for none, as `--request-timeout`."""
    user_agent: str = f"kubelag/{__version__}"


class Client:
    """Talks to one API server as one user.

    >>> with Client(context="prod") as client:                        # doctest: +SKIP
    ...     for pod in client.list("pods", namespace="shop"):
    ...         print(pod["metadata"]["name"])

    Args:
        overrides: What the kubeconfig is overridden with; None for what `config` gives.
        settings: Cache, timeouts and the like.
        observe: Told every phase of every request (`kubelag.kube.transport.events`).
        env: Environment variables; this process's where None.
        config: Fields of `Overrides`, such as `context`, `namespace`, `server`, `token`.

    Raises:
        KubeconfigError: If there is no usable kubeconfig.
    """

    def __init__(
        self,
        overrides: Overrides | None = None,
        *,
        settings: Settings | None = None,
        observe: "Observer | None" = None,
        env: "Mapping[str, str] | None" = None,
        **config: "Any",  # noqa: ANN401 - the fields of Overrides, which checks them
    ) -> None:
        self.settings = settings or Settings()
        self._env = os.environ if env is None else env
        self._observe = observe
        self.kubeconfig: Kubeconfig = choose_kubeconfig(overrides or Overrides(**config), self._env)
        self._session: Session | None = None
        self._unsettled: list[str] = []
        self._lock = allocate_lock()
        self._store = self._make_store()
        self.discovery = Discovery(
            self.server,
            self._store,
            self._make_fetcher,
            observe,
            manner=_MANNERS.get(self.settings.cache, Manner()),
        )

    @property
    def server(self) -> str:
        """The server's URL, as the kubeconfig spells it."""
        return self.kubeconfig.cluster.server

    @property
    def address(self) -> str:
        """The same for messages: without what it may say of a user."""
        return without_user(self.server)

    @property
    def namespace(self) -> str:
        """The namespace where none is named."""
        return self.kubeconfig.namespace

    @property
    def troubles(self) -> "Sequence[str]":
        """What kept the cache from being used, a clause each."""
        return [*(self._store.troubles if self._store is not None else ()), *self._unsettled]

    @property
    def obstacle(self) -> str:
        """Why the cache cannot be written, a clause; empty where it can, or nothing is to be."""
        if self._store is None or not self.discovery.has_work_left:
            return ""
        return self._store.obstacle()

    def get(
        self, resource: "str | Resource", name: str, *, namespace: str | None = None
    ) -> "JsonObject":
        """One object.

        Args:
            resource: As `discovery.resolve` takes it.
            name: Of the object.
            namespace: None for the kubeconfig's.

        Raises:
            UsageError: If there can be no such name.
            UnknownResourceError: If there is no such resource.
            ApiError: If the server refuses, 404 among the reasons.
            TransportError: If it cannot be asked, or answers with something else.
        """
        from kubelag.kube.query import segment  # noqa: PLC0415 -- resolving needs none of it

        found = self._resolved(resource)
        place = segment(namespace or self.namespace, "namespace")
        return self.document(found.path(place, segment(name, "name")))

    def list(
        self,
        resource: "str | Resource",
        *,
        namespace: str | None = None,
        all_namespaces: bool = False,
        label_selector: str = "",
        field_selector: str = "",
        chunk: int = CHUNK,
    ) -> "Iterator[JsonObject]":
        """Objects, read in chunks while they are taken.

        Each has its `apiVersion` and `kind`, which the server leaves out of the items of a list.

        Args:
            resource: As `discovery.resolve` takes it.
            namespace: None for the kubeconfig's.
            all_namespaces: Whether to look in every namespace.
            label_selector: For example `app=web,tier!=db`.
            field_selector: For example `status.phase=Running`.
            chunk: Objects asked for at a time; 0 for all at once.

        Raises:
            UnknownResourceError: If there is no such resource.
            ApiError: If the server refuses; 410 if the list changed too much while it was read.
            TransportError: If it cannot be asked, or answers with something else.
        """
        from kubelag.kube.answers import items_of, next_page  # noqa: PLC0415 -- as above
        from kubelag.kube.query import segment, with_query  # noqa: PLC0415 -- as above

        found = self._resolved(resource)
        place = segment(namespace or self.namespace, "namespace")
        path = found.path(None if all_namespaces else place)
        token = ""
        while True:
            pairs = (
                ("limit", str(chunk) if chunk else ""),
                ("continue", token),
                ("labelSelector", label_selector),
                ("fieldSelector", field_selector),
            )
            document = self.document(with_query(path, pairs))
            head = {"apiVersion": found.api_version, "kind": found.kind}
            for item in items_of(document, path, self.server):
                yield {**head, **item}
            token = next_page(document, token, path, self.server)
            if not token:
                return

    def document(self, path: str, accept: str = "application/json") -> "JsonObject":
        """The JSON object at a path.

        Raises:
            ApiError: If the server refuses.
            TransportError: If it cannot be asked, or answers with something else.
        """
        from kubelag.kube.answers import document_of  # noqa: PLC0415 -- as above

        return document_of(self.request(path, accept=accept), path, self.address)

    def request(
        self,
        path: str,
        *,
        method: str = "GET",
        accept: str = "application/json",
        headers: "tuple[tuple[str, str], ...]" = (),
        body: bytes = b"",
    ) -> "Response":
        """One request, one answer.

        Args:
            path: With its query, percent-encoded.
            method: Only reading ones are repeated after a lost connection.
            accept: What is to come back.
            headers: Others, lower-case names.
            body: To be sent.

        Raises:
            ApiError: If the status is no success.
            TransportError: If the server cannot be asked.
        """
        from kubelag.kube.answers import error_of  # noqa: PLC0415 -- as above
        from kubelag.kube.session import Ask  # noqa: PLC0415 -- loads TLS

        ask = Ask(path=path, method=method, accept=accept, headers=headers, body=body)
        response = self.session.send(ask, self.settings.timeout_s)
        if response.status not in _SUCCESS:
            raise error_of(response, method, path, self.address)
        return response

    @property
    def session(self) -> "Session":
        """Sends requests side by side; made when it is first needed."""
        with self._lock:
            if self._session is None:
                self._session = self._make_session()
            return self._session

    def settle(self, *, may_ask: bool = True) -> None:
        """Write to the cache what is new, and ask anew for what is old; may wait for the disk.

        Args:
            may_ask: Whether the server may be asked.

        Raises:
            KubelagError: If it had to be asked and could not be.
        """
        self.discovery.settle(may_ask=may_ask)

    @property
    def may_ask_unseen(self) -> bool:
        """Whether the server can be asked without a plugin that somebody would have to watch."""
        return self._session is not None or self.kubeconfig.user.auth != "exec"

    def forget_connections(self) -> None:
        """Leave the sockets to another process, after a fork."""
        if self._session is not None:
            self._session.close()

    def close(self) -> None:
        """Settle, and let go of the connections.

        What was asked for has been had by now, so that what cannot be settled is no error: it is
        added to `troubles`.
        """
        try:
            self.settle()
        except KubelagError as error:
            self._unsettled.append(str(error))
        finally:
            self.forget_connections()

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        if error is None:
            self.close()
        else:
            self.forget_connections()

    def _resolved(self, resource: "str | Resource") -> "Resource":
        return self.discovery.resolve(resource) if isinstance(resource, str) else resource

    def _make_store(self) -> "Store | None":
        if self.settings.cache == "memory":
            return None
        from kubelag.kube.cache.layout import cache_root  # noqa: PLC0415 -- not without a cache
        from kubelag.kube.cache.store import Store  # noqa: PLC0415 -- the same

        root = cache_root(self.settings.cache_dir, self._env, None, os.getcwd())  # noqa: PTH109 -- text
        policy = self.settings.cache
        return Store(
            root.path, self.server, policy="checksummed" if policy == "read-only" else policy
        )

    def _make_fetcher(self) -> "Fetcher":
        from kubelag.kube.discovery.fetch import (  # noqa: PLC0415 -- loads TLS
            DISCOVERY_TIMEOUT_S,
            Fetcher,
        )

        # As client-go, whose discovery has a limit of its own only where there is no other.
        timeout_s = self.settings.timeout_s or DISCOVERY_TIMEOUT_S
        return Fetcher(self.session, self.server, self._keep, timeout_s=timeout_s)

    def _keep(self, path: str, accept: str, response: "Response") -> None:
        if self._store is not None:
            self._store.put(self.server.rstrip("/") + path, response, accept)

    def _make_session(self) -> "Session":
        from kubelag.kube.connecting import connect  # noqa: PLC0415 -- loads TLS
        from kubelag.kube.transport.events import no_observer  # noqa: PLC0415 -- the same

        observe = self._observe or no_observer
        return connect(self.kubeconfig, self._env, self.settings.user_agent, observe)
