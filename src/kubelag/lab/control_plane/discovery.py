"""Discovery documents: one per group-version, and the aggregated ones of newer servers. Pure."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from kubelag.lab.control_plane import go_json
from kubelag.lab.control_plane.catalog import Catalog, GroupVersion
from kubelag.lab.control_plane.inventory import JsonObject

WITHOUT_API_VERSION = ("v1", "extensions/v1beta1")
"""Group-versions whose document keeps its shape from before documents had one; recorded so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document, ready to be sent in either style."""

    value: JsonObject
    compact: str
    etag: str = ""
    """Quoted; empty for legacy documents, which have none."""


def legacy_documents(catalog: Catalog, address: str) -> dict[str, Document]:
    """Every legacy document by its path.

    Args:
        catalog: What is served.
        address: `HOST:PORT`, which /api tells.
    """
    cidr = {"clientCIDR": "0.0.0.0/0", "serverAddress": address}
    values: dict[str, JsonObject] = {
        "/api": {
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [cidr],
        },
        "/apis": {
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": [_group(name, items) for name, items in catalog.groups().items()],
        },
    }
    for name, items in catalog.groups().items():
        values[f"/apis/{name}"] = {"kind": "APIGroup", "apiVersion": "v1"} | _group(name, items)
    for item in catalog.group_versions:
        if item.origin != "unavailable":
            values[item.path] = _resource_list(item)
    return {path: _document(value) for path, value in values.items()}


def aggregated_documents(catalog: Catalog, version: str) -> dict[str, Document]:
    """The two aggregated documents, of /api and /apis, in one version of the format.

    Source: KEP-3352; `k8s.io/api/apidiscovery` types; `ETag` is the SHA-512 of the content.
    """
    core = [_aggregated_group("", catalog.group_versions[:1])]
    named = [_aggregated_group(name, items) for name, items in catalog.groups().items()]
    documents = {}
    for path, items in (("/api", core), ("/apis", named)):
        value = {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": f"apidiscovery.k8s.io/{version}",
            "metadata": {},
            "items": items,
        }
        digest = hashlib.sha512(go_json.compact(items).encode()).hexdigest().upper()
        documents[path] = _document(value, etag=f'"{digest}"')
    return documents


def _document(value: JsonObject, etag: str = "") -> Document:
    return Document(value=value, compact=go_json.compact(value) + "\n", etag=etag)


def _group(name: str, items: Iterable[GroupVersion]) -> JsonObject:
    versions = [{"groupVersion": item.name, "version": item.version} for item in items]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def _resource_list(item: GroupVersion) -> JsonObject:
    head = {"kind": "APIResourceList"}
    if item.name not in WITHOUT_API_VERSION:
        head["apiVersion"] = "v1"
    return head | {"groupVersion": item.name, "resources": list(item.resources)}


def _aggregated_group(name: str, items: Iterable[GroupVersion]) -> JsonObject:
    metadata = {"name": name} if name else {}
    return {
        "metadata": metadata | {"creationTimestamp": None},
        "versions": [_aggregated_version(item) for item in items],
    }


def _aggregated_version(item: GroupVersion) -> JsonObject:
    if item.origin == "unavailable":
        return {"version": item.version, "freshness": "Stale"}
    resources = [
        _aggregated_resource(item, resource)
        for resource in item.resources
        if "/" not in resource["name"]
    ]
    return {
        "version": item.version,
        **({"resources": resources} if resources else {}),
        "freshness": "Current",
    }


def _aggregated_resource(item: GroupVersion, resource: JsonObject) -> JsonObject:
    prefix = resource["name"] + "/"
    subresources = [
        {
            "subresource": other["name"].removeprefix(prefix),
            "responseKind": _kind(item, other),
            "verbs": other["verbs"],
        }
        for other in item.resources
        if other["name"].startswith(prefix)
    ]
    return {
        "resource": resource["name"],
        "responseKind": _kind(item, resource),
        "scope": "Namespaced" if resource["namespaced"] else "Cluster",
        "singularResource": resource["singularName"] or resource["kind"].lower(),
        "verbs": resource["verbs"],
        **{key: resource[key] for key in ("shortNames", "categories") if key in resource},
        **({"subresources": subresources} if subresources else {}),
    }


def _kind(item: GroupVersion, resource: JsonObject) -> JsonObject:
    return {
        "group": resource.get("group", item.group),
        "version": resource.get("version", item.version),
        "kind": resource["kind"],
    }
