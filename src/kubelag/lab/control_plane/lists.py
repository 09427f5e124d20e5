"""Answers requests for resources: lists, single objects, and Tables of both. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from kubelag.lab.control_plane import answers, go_json, negotiation, statuses
from kubelag.lab.control_plane.inventory import JsonObject
from kubelag.lab.control_plane.messages import Request, Response
from kubelag.lab.control_plane.negotiation import Form
from kubelag.lab.control_plane.objects import Collection, StoredObject
from kubelag.lab.control_plane.paging import ExpiredTokenError, Page, page
from kubelag.lab.control_plane.paths import Target
from kubelag.lab.control_plane.selectors import (
    Predicate,
    field_predicates,
    label_predicates,
)
from kubelag.lab.control_plane.tables import compact_table, table_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    request: Request
    target: Target
    collection: Collection
    form: Form
    now_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ListReader:
    """Reads the collections; nothing is ever written, so every other method is refused."""

    collections: Mapping[tuple[str, str], Collection]
    """By group-version and resource."""
    columns: Mapping[str, Sequence[JsonObject]]
    """Of Tables."""
    revision: int
    """The store's resource version."""

    def respond(self, request: Request, target: Target, now_s: float) -> Response:
        """Answer a request for a resource that discovery names."""
        collection = self.collections.get((target.group_version, target.resource))
        is_subresource = target.subresource not in {"", "status"}
        if collection is None or is_subresource or target.verb not in {"get", "list"}:
            return answers.failure(statuses.method_not_allowed(), request)
        form = negotiation.negotiate(request.accept, negotiation.TABLES)
        if form is None:
            return answers.not_acceptable(request)
        asked = _Asked(
            request=request, target=target, collection=collection, form=form, now_s=now_s
        )
        return self._one(asked) if target.verb == "get" else self._list(asked)

    def _one(self, asked: _Asked) -> Response:
        target, collection = asked.target, asked.collection
        # a namespace's own name stands where that of a namespaced object's namespace does
        namespace = "" if target.resource == "namespaces" else target.namespace
        found = collection.find(namespace, target.name)
        if found is None:
            missing = statuses.not_found(target.resource, target.group, target.name)
            return answers.failure(missing, asked.request)
        if asked.form != negotiation.PLAIN:
            metadata = {"resourceVersion": found.metadata["resourceVersion"]}
            return self._table(asked, metadata, (found,))
        if asked.request.is_pretty:
            # custom objects are never spread, but lose the newline
            return _ok(found.compact if collection.is_custom else go_json.indented(found.value))
        return _ok(found.compact + "\n")

    def _list(self, asked: _Asked) -> Response:
        try:
            predicates = _predicates(asked.request, asked.target.resource)
            found = self._page(asked, predicates)
        except ValueError as error:
            return answers.failure(statuses.bad_request(str(error)), asked.request)
        except ExpiredTokenError as error:
            return answers.failure(statuses.expired(error.token), asked.request)
        metadata = found.metadata(self.revision, is_counted=not predicates)
        if asked.form != negotiation.PLAIN:
            return self._table(asked, metadata, found.objects)
        return _ok(_plain_list(asked, metadata, found.objects))

    def _page(self, asked: _Asked, predicates: Sequence[Predicate]) -> Page:
        objects: Sequence[StoredObject] = asked.collection.within(asked.target.namespace)
        if predicates:
            objects = [item for item in objects if all(holds(item.value) for holds in predicates)]
        return page(
            objects,
            limit=_limit(asked.request),
            token=asked.request.query.get("continue", ""),
            namespace=asked.target.namespace,
            revision=self.revision,
        )

    def _table(
        self, asked: _Asked, metadata: JsonObject, objects: Sequence[StoredObject]
    ) -> Response:
        included = asked.request.query.get("includeObject", "Metadata")
        value = {
            "kind": "Table",
            "apiVersion": f"meta.k8s.io/{asked.form.version}",
            "metadata": metadata,
            "columnDefinitions": self.columns[asked.collection.columns],
            "rows": table_rows(asked.collection.columns, objects, included, asked.now_s),
        }
        if asked.request.is_pretty:
            return _ok(go_json.indented(value))
        return _ok(compact_table(value) + "\n")


def _plain_list(asked: _Asked, metadata: JsonObject, objects: Sequence[StoredObject]) -> str:
    kind = f"{asked.collection.kind}List"
    api_version = asked.collection.group_version.name
    items = ",".join(item.listed for item in objects)
    if asked.collection.is_custom:
        # maps are written with their keys in alphabetical order
        ordered = go_json.compact(dict(sorted(metadata.items())))
        head = f'"apiVersion":"{api_version}","items":[{items}]'
        newline = "" if asked.request.is_pretty else "\n"
        return f'{{{head},"kind":"{kind}","metadata":{ordered}}}{newline}'
    value = {"kind": kind, "apiVersion": api_version, "metadata": metadata}
    if asked.request.is_pretty:
        return go_json.indented(value | {"items": [_without_kind(item.value) for item in objects]})
    return f'{go_json.compact(value)[:-1]},"items":[{items}]}}\n'


def _without_kind(value: JsonObject) -> JsonObject:
    return {key: part for key, part in value.items() if key not in {"kind", "apiVersion"}}


def _predicates(request: Request, resource: str) -> list[Predicate]:
    fields = field_predicates(request.query.get("fieldSelector", ""), resource)
    return fields + label_predicates(request.query.get("labelSelector", ""))


def _limit(request: Request) -> int:
    text = request.query.get("limit", "") or "0"
    try:
        return int(text)
    except ValueError as error:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax') from error


def _ok(body: str) -> Response:
    return Response(status=HTTPStatus.OK, body=body.encode())
