"""Reads what `get` is asked for: many types at once, names or lists, in chunks.

The first request of every type goes out together; chunks follow one another, since each names the
next.
"""

from kubelag.errors import KubelagError, TransportError, UsageError
from kubelag.kube.answers import document_of, error_of, next_page
from kubelag.kube.query import segment, with_query
from kubelag.kube.record import Record
from kubelag.kube.session import Ask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from kubelag.kube.client import Client
    from kubelag.kube.discovery.resolve import Resource
    from kubelag.kube.selection import Wanted
    from kubelag.kube.transport.messages import Response

    JsonObject = dict[str, Any]

ACCEPT_TABLE = ",".join(  # noqa: FLY002 -- as a list it can be read
    (
        "application/json;as=Table;v=v1;g=meta.k8s.io",
        "application/json;as=Table;v=v1beta1;g=meta.k8s.io",
        "application/json",
    )
)
"""To the letter what kubectl sends."""
_OK, _NOT_FOUND = 200, 404


class Query(Record):
    """Which objects, and how they are asked for."""

    namespace: str
    all_namespaces: bool = False
    label_selector: str = ""
    field_selector: str = ""
    chunk: int = 500
    """Objects asked for at a time; 0 for all at once."""
    as_table: bool = True
    with_objects: bool = False
    """Whether rows of tables carry whole objects and not only their metadata."""
    ignore_not_found: bool = False


class Piece(Record):
    """One answer."""

    resource: "Resource"
    document: "JsonObject"
    """A Table, a list, or an object; which one tells its `kind`."""
    is_named: bool
    """Whether it was asked for by name."""


Finding = Piece | KubelagError


def read(client: "Client", wanted: "Sequence[Wanted]", query: Query) -> "Iterator[Finding]":
    """Everything that was asked for, in the order in which it was; errors in their places.

    Raises:
        UsageError: If names and a selector, or names and all namespaces, are combined, or a name
            can be none.
        UnknownResourceError: If the first type is unknown. Whatever else `discovery` raises.
    """
    _refuse_contradictions(wanted, query)
    targets = list(_targets(client, wanted, query))
    asks = [target.ask for target in targets]
    answers = client.session.send_all(asks, client.settings.timeout_s)
    for target, answer in zip(targets, answers, strict=True):
        yield from _pieces(client, query, target, answer)


class _Target(Record):
    """One request with what it is for."""

    resource: "Resource"
    is_named: bool
    ask: Ask


def _refuse_contradictions(wanted: "Sequence[Wanted]", query: Query) -> None:
    names = [name for one in wanted for name in one.names]
    for name in names:
        segment(name, "name")
    if names and (query.label_selector or query.field_selector):
        raise UsageError("names and a selector were given", "give one of the two")
    if names and query.all_namespaces:
        raise UsageError(
            "an object cannot be named across all namespaces", "leave out -A, or the name"
        )


def _targets(client: "Client", wanted: "Iterable[Wanted]", query: Query) -> "Iterator[_Target]":
    seen: set[tuple[str, str]] = set()
    for one in wanted:
        resources = _resources(client, one.type)
        if one.names and len(resources) > 1:
            raise UsageError(
                f"{one.type!r} is several types, and {one.names[0]!r} a name in one of them",
                "write TYPE/NAME",
            )
        for resource in resources:
            key = resource.api_version, resource.kind
            if key in seen and not one.names:
                continue  # `pods,po` are shown once; names as often as they are typed
            seen.add(key)
            for name in one.names:
                ask = _ask(resource, query, name=name)
                yield _Target(resource=resource, is_named=True, ask=ask)
            if not one.names:
                yield _Target(resource=resource, is_named=False, ask=_ask(resource, query))


def _resources(client: "Client", typed: str) -> "Sequence[Resource]":
    found = client.discovery.category(typed) if "." not in typed else []
    return found or [client.discovery.resolve(typed)]


def _ask(resource: "Resource", query: Query, *, name: str = "", token: str = "") -> Ask:
    namespace = None if query.all_namespaces else segment(query.namespace, "namespace")
    path = resource.path(namespace, segment(name, "name") if name else "")
    chunk = str(query.chunk) if query.chunk and not name else ""
    pairs = (
        ("continue", token),
        ("fieldSelector", query.field_selector),
        ("includeObject", "Object" if query.with_objects and query.as_table else ""),
        ("labelSelector", query.label_selector),
        ("limit", chunk),
    )
    accept = ACCEPT_TABLE if query.as_table else "application/json"
    return Ask(path=with_query(path, pairs), accept=accept)


def _pieces(
    client: "Client", query: Query, target: _Target, answer: "Response | TransportError"
) -> "Iterator[Finding]":
    token = ""
    while True:
        try:
            document = _document(client, target.ask, answer)
            token = next_page(document, token, target.ask.path, client.address)
        except KubelagError as error:
            if not (query.ignore_not_found and getattr(error, "status", 0) == _NOT_FOUND):
                yield error
            return
        yield Piece(resource=target.resource, document=document, is_named=target.is_named)
        if not token or target.is_named:
            return
        target = target.but(ask=_ask(target.resource, query, token=token))
        answer = client.session.send_all([target.ask], client.settings.timeout_s)[0]


def _document(client: "Client", ask: Ask, answer: "Response | TransportError") -> "JsonObject":
    if isinstance(answer, TransportError):
        raise answer
    if answer.status != _OK:
        raise error_of(answer, ask.method, ask.path, client.address)
    return document_of(answer, ask.path, client.address)
