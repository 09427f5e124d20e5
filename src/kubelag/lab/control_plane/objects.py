"""The objects that the embedded server holds, each encoded once. Pure.

Built-in and custom resources are written differently by the real server: a custom object has its
keys in alphabetical order and never spreads over lines, and carries its kind inside lists too.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from kubelag.lab.control_plane import go_json, inventory
from kubelag.lab.control_plane.catalog import Catalog, GroupVersion
from kubelag.lab.control_plane.inventory import JsonObject
from kubelag.lab.control_plane.options import ControlPlaneOptions, Member

FIRST_REVISION = 1000
"""Everything before it counts as compacted, so a continue token with less is expired."""

_WITHOUT_GENERATION = ("Node", "Pod", "Namespace", "Endpoints")
_OWN_COLUMNS = {
    ("v1", "nodes"),
    ("v1", "pods"),
    ("v1", "namespaces"),
    ("v1", "endpoints"),
    ("discovery.k8s.io/v1beta1", "endpointslices"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """One object with what its lists need, encoded."""

    value: JsonObject
    key: str
    """`namespace/name`, or the name alone; lists are sorted by it."""
    compact: str
    listed: str
    """As an item of a list."""
    summary: str
    """Its metadata, as a Table carries it."""

    @property
    def metadata(self) -> JsonObject:
        """The object's metadata."""
        metadata: JsonObject = self.value["metadata"]
        return metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """All objects of one resource, sorted by key."""

    group_version: GroupVersion
    kind: str
    columns: str
    """Which of the builtin tables' columns it has."""
    objects: tuple[StoredObject, ...]

    @property
    def is_custom(self) -> bool:
        """Whether it is written the way custom resources are."""
        return self.group_version.origin == "custom"

    def find(self, namespace: str, name: str) -> StoredObject | None:
        """One object; the namespace is empty for what has none."""
        key = f"{namespace}/{name}" if namespace else name
        return next((item for item in self.objects if item.key == key), None)

    def within(self, namespace: str) -> tuple[StoredObject, ...]:
        """The objects of one namespace, or all where it is empty."""
        if not namespace:
            return self.objects
        return tuple(item for item in self.objects if item.metadata.get("namespace") == namespace)


def build_collections(
    catalog: Catalog,
    options: ControlPlaneOptions,
    members: Sequence[Member],
    created_s: float,
) -> dict[tuple[str, str], Collection]:
    """A collection for each (group-version, resource) that can be listed; most are empty."""
    stock = {
        ("v1", "nodes"): inventory.nodes(options),
        ("v1", "pods"): inventory.pods(options),
        ("v1", "namespaces"): _namespaces(options),
        ("v1", "endpoints"): iter([inventory.kubernetes_endpoints(members)]),
        ("discovery.k8s.io/v1beta1", "endpointslices"): inventory.kubernetes_slices(members),
    }
    if catalog.stocked is not None:
        first = catalog.stocked
        name = f"{first.group}/{first.version}"
        stock[name, first.plural] = inventory.custom_objects(options, first)
    collections = {}
    for item in catalog.group_versions:
        for resource in item.resources:
            if "list" in resource["verbs"]:
                key = (item.name, resource["name"])
                objects = _store(stock.get(key, ()), item, created_s)
                collections[key] = Collection(
                    group_version=item,
                    kind=resource["kind"],
                    columns=_columns(item, resource["name"]),
                    objects=objects,
                )
    return collections


def _columns(item: GroupVersion, resource: str) -> str:
    if item.origin == "custom":
        return "custom"
    return resource if (item.name, resource) in _OWN_COLUMNS else "other"


def _namespaces(options: ControlPlaneOptions) -> Iterable[JsonObject]:
    for name in inventory.namespace_names(options):
        yield {
            "kind": "Namespace",
            "apiVersion": "v1",
            "metadata": {"name": name},
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        }


def _store(
    values: Iterable[JsonObject], item: GroupVersion, created_s: float
) -> tuple[StoredObject, ...]:
    stored = (
        _stored(_complete(value, number, created_s), is_custom=item.origin == "custom")
        for number, value in enumerate(values, start=FIRST_REVISION)
    )
    return tuple(sorted(stored, key=lambda each: each.key))


def _complete(value: JsonObject, revision: int, created_s: float) -> JsonObject:
    """The object with the metadata that a server adds, in the server's order."""
    given = value["metadata"]
    names = {key: given[key] for key in ("name", "namespace") if key in given}
    created = datetime.fromtimestamp(created_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    added = {
        "uid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{value['kind']}/{'/'.join(names.values())}")),
        "resourceVersion": str(revision),
        **({} if value["kind"] in _WITHOUT_GENERATION else {"generation": 1}),
        "creationTimestamp": created,
    }
    return value | {"metadata": names | added | given}


def _stored(value: JsonObject, *, is_custom: bool) -> StoredObject:
    metadata = value["metadata"]
    inner = {key: part for key, part in value.items() if key not in {"kind", "apiVersion"}}
    summary = {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
    }
    shown = sort_keys(value) if is_custom else value
    return StoredObject(
        value=shown,
        key="/".join(filter(None, (metadata.get("namespace"), metadata["name"]))),
        compact=go_json.compact(shown),
        listed=go_json.compact(shown if is_custom else inner),
        summary=go_json.compact(summary),
    )


def sort_keys(value: JsonObject) -> JsonObject:
    """Keys in alphabetical order at every level, as Go writes maps."""
    return {
        key: sort_keys(item) if isinstance(item, dict) else item
        for key, item in sorted(value.items())
    }
