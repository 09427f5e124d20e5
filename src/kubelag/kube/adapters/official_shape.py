"""Discovery in the shape in which the official client keeps it. Pure, and without that client.

It is the shape of its cache file, by prefix, group, version and kind; its objects are made from
the same fields. Sources: kubernetes 37.0 `dynamic/discovery.py` (get_resources_for_api_version,
CacheDecoder) and `dynamic/resource.py`; for `base_resource_lookup` the collection kubernetes.core,
`plugins/module_utils/client/{discovery,resource}.py`.
"""

from kubelag.kube.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from kubelag.kube.discovery.snapshot import GroupVersion, Snapshot

    JsonObject = dict[str, Any]
    Kinds = dict[str, list[JsonObject]]

_LISTS: "JsonObject" = {
    "_type": "ResourceList",
    "group": "",
    "api_version": "v1",
    "kind": "List",
    "base_kind": "",
    "base_resource_lookup": None,
}
"""The kind List, which no server tells of and that client knows."""
_NOT_THEIRS = frozenset({"prefix", "group", "version", "api_version", "client", "preferred"})
"""Fields of an APIResource that would get in the way of those of its group-version."""


class Part(Record):
    """One group-version as that client sorts it."""

    prefix: str
    """`api` or `apis`."""
    group: str
    """Empty for the core group, and for the kind List."""
    version: str
    is_preferred: bool
    known: "GroupVersion | None"
    """None for the one that holds the kind List."""


def parts(snapshot: "Snapshot") -> "Iterator[Part]":
    """Every group-version, in the order in which that client looks through them."""
    named = [group for group in snapshot.groups if group.name]
    for group in (one for one in snapshot.groups if not one.name):
        for version in group.versions:
            known = snapshot.group_versions[version]
            yield Part(prefix="api", group="", version=version, is_preferred=True, known=known)
    yield Part(prefix="apis", group="", version="v1", is_preferred=True, known=None)
    for group in named:
        for version in group.versions:
            yield Part(
                prefix="apis",
                group=group.name,
                version=version,
                is_preferred=version == group.preferred,
                known=snapshot.group_versions[f"{group.name}/{version}"],
            )


def kinds(part: Part) -> "Kinds":
    """By kind its resources, each followed by its list, as the cache file has them."""
    if part.known is None:
        return {"List": [_LISTS]}
    subresources: dict[str, JsonObject] = {}
    for one in part.known.resources:
        name, slash, short = one["name"].partition("/")
        if slash:
            subresources.setdefault(name, {})[short] = one
    found: Kinds = {}
    for one in part.known.resources:
        if "/" not in one["name"]:
            found.setdefault(one["kind"], []).append(_resource(part, one, subresources))
            found.setdefault(f"{one['kind']}List", []).append(_list(part, one))
    return found


def _resource(part: Part, raw: "JsonObject", subresources: "dict[str, JsonObject]") -> "JsonObject":
    return {
        "_type": "Resource",
        "prefix": part.prefix,
        "group": part.group,
        "api_version": part.version,
        "preferred": part.is_preferred,
        "subresources": subresources.get(raw["name"], {}),
        **{key: value for key, value in raw.items() if key not in _NOT_THEIRS},
    }


def _list(part: Part, raw: "JsonObject") -> "JsonObject":
    lookup = {
        "prefix": part.prefix,
        "group": part.group,
        "api_version": part.version,
        "kind": raw["kind"],
        "name": raw["name"],
    }
    return {
        "_type": "ResourceList",
        "group": part.group,
        "api_version": part.version,
        "kind": f"{raw['kind']}List",
        "base_kind": raw["kind"],
        "base_resource_lookup": lookup,
    }
