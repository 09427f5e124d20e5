"""Reads discovery documents of every format into one shape. Pure.

Sources: `k8s.io/apimachinery/pkg/apis/meta/v1` (APIVersions, APIGroupList, APIResourceList),
`k8s.io/api/apidiscovery/{v2,v2beta1}` (KEP-3352), and their translation in client-go
`discovery/aggregated_discovery.go`.
"""

from kubelag.kube.discovery.snapshot import Group, GroupVersion
from kubelag.kube.lean import json
from kubelag.kube.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, Literal

    JsonObject = dict[str, Any]
    Format = Literal["v2", "v2beta1", "legacy"]

_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"
ACCEPT_AGGREGATED = f"{_AGGREGATED.format('v2')},{_AGGREGATED.format('v2beta1')},application/json"
"""To the letter what kubectl 1.30 to 1.36 sends: its HTTP cache keys by it (`Vary: Accept`)."""

STALE = "the API server could not ask whoever serves it (Stale)"


class DocumentError(ValueError):
    """A document is not what it should be; says what is wrong with it."""


class Part(Record):
    """What one of the two paths told: groups, and what they hold where that came along."""

    groups: "tuple[Group, ...]"
    group_versions: "Mapping[str, GroupVersion]"
    """By name; empty for a legacy document, which only names them."""
    format: "Format"
    etag: str = ""
    """For the next, conditional request; empty where the server gave none."""


def format_of(content_type: str) -> "Format":
    """The format that a Content-Type announces, its parameters in any order."""
    media_type, *parameters = (word.strip() for word in content_type.split(";"))
    pairs = dict(word.partition("=")[::2] for word in parameters)
    values = {name.strip().lower(): value.strip().strip('"') for name, value in pairs.items()}
    if (
        media_type.lower() == "application/json"
        and values.get("g") == "apidiscovery.k8s.io"
        and values.get("as") == "APIGroupDiscoveryList"
    ):
        if values.get("v") == "v2":
            return "v2"
        if values.get("v") == "v2beta1":
            return "v2beta1"
    return "legacy"


def read_part(path: str, body: bytes, content_type: str, etag: str) -> Part:
    """Read the answer to `/api` or `/apis`.

    Raises:
        DocumentError: If it is no such document.
    """
    document = read_json(body)
    told = format_of(content_type)
    if told != "legacy":
        groups, group_versions = _aggregated(document)
        return Part(groups=groups, group_versions=group_versions, format=told, etag=etag)
    groups = (_core(document),) if path == "/api" else tuple(_groups(document))
    return Part(groups=groups, group_versions={}, format=told)


def read_json(body: bytes) -> "JsonObject":
    """A JSON object.

    Raises:
        DocumentError: If it is something else; its text is not told.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        looks_like = "HTML" if body.lstrip()[:1] == b"<" else "no JSON"
        raise DocumentError(f"it is {looks_like if body.strip() else 'empty'}") from error
    if not isinstance(document, dict):
        raise DocumentError("it is no JSON object")
    return document


def read_resources(document: "JsonObject", name: str) -> "tuple[JsonObject, ...]":
    """The resources of an APIResourceList.

    Args:
        document: Parsed.
        name: The group-version that was asked for, such as `apps/v1`.

    Raises:
        DocumentError: If it is another document, or another group-version's.
    """
    if document.get("kind") != "APIResourceList":
        raise DocumentError(f"it is no APIResourceList but {_shown(document.get('kind'))}")
    if document.get("groupVersion") != name:
        raise DocumentError(f"it is of {_shown(document.get('groupVersion'))} and not of {name}")
    return tuple(_checked(item) for item in _objects(document, "resources"))


def group_version_of(name: str, resources: "tuple[JsonObject, ...]") -> GroupVersion:
    """A group-version whose list was had, empty or not."""
    return GroupVersion(name=name, state="ok" if resources else "empty", resources=resources)


def _core(document: "JsonObject") -> Group:
    if document.get("kind") != "APIVersions":
        raise DocumentError(f"it is no APIVersions but {_shown(document.get('kind'))}")
    versions = document.get("versions")
    if not isinstance(versions, list) or not all(_is_segment(one) for one in versions):
        raise DocumentError("its versions are no list of names")
    preferred = versions[0] if versions else ""
    return Group(name="", versions=tuple(versions), preferred=preferred)


def _groups(document: "JsonObject") -> "Iterator[Group]":
    if document.get("kind") != "APIGroupList":
        raise DocumentError(f"it is no APIGroupList but {_shown(document.get('kind'))}")
    for item in _objects(document, "groups"):
        name = _segment(item, "name")
        versions = tuple(_segment(one, "version") for one in _objects(item, "versions"))
        preferred = item.get("preferredVersion")
        told = preferred.get("version") if isinstance(preferred, dict) else None
        best = told if told in versions else next(iter(versions), "")
        yield Group(name=name, versions=versions, preferred=best)


def _aggregated(
    document: "JsonObject",
) -> "tuple[tuple[Group, ...], dict[str, GroupVersion]]":
    if document.get("kind") != "APIGroupDiscoveryList":
        raise DocumentError(f"it is no APIGroupDiscoveryList but {_shown(document.get('kind'))}")
    groups: list[Group] = []
    found: dict[str, GroupVersion] = {}
    for item in _objects(document, "items"):
        metadata = item.get("metadata")
        told = metadata.get("name") if isinstance(metadata, dict) else None
        name = _segment({"name": told}, "name") if told else ""
        versions = []
        for one in _objects(item, "versions"):
            version = _segment(one, "version")
            versions.append(version)
            full = f"{name}/{version}" if name else version
            found[full] = _aggregated_version(full, one)
        preferred = versions[0] if versions else ""
        groups.append(Group(name=name, versions=tuple(versions), preferred=preferred))
    return tuple(groups), found


def _aggregated_version(name: str, item: "JsonObject") -> GroupVersion:
    if item.get("freshness") == "Stale":
        return GroupVersion(name=name, state="stale", why=STALE)
    resources: list[JsonObject] = []
    for one in _objects(item, "resources"):
        resources += _flattened(one)
    return group_version_of(name, tuple(resources))


def _flattened(item: "JsonObject") -> "Iterator[JsonObject]":
    """A resource and its subresources as an APIResourceList has them."""
    name = _word(item, "resource")
    common: JsonObject = {
        "singularName": item.get("singularResource") or "",
        "namespaced": item.get("scope") == "Namespaced",
    }
    if _has_kind(item):
        lists = {key: item[key] for key in ("shortNames", "categories") if item.get(key)}
        yield _checked({"name": name, **common, **_kind(item), "verbs": item.get("verbs"), **lists})
    for sub in _objects(item, "subresources"):
        if _has_kind(sub):
            full = f"{name}/{_word(sub, 'subresource')}"
            yield _checked({"name": full, **common, **_kind(sub), "verbs": sub.get("verbs")})


def _has_kind(item: "JsonObject") -> bool:
    kind = item.get("responseKind")
    return isinstance(kind, dict) and bool(kind.get("kind"))


def _kind(item: "JsonObject") -> "JsonObject":
    kind = item["responseKind"]
    return {key: kind[key] for key in ("group", "version", "kind") if kind.get(key)}


def _checked(item: "JsonObject") -> "JsonObject":
    """An APIResource that may be relied upon: texts are texts, lists are lists of texts."""
    _word(item, "name")
    _word(item, "kind")
    if not isinstance(item.get("singularName") or "", str):
        raise DocumentError("a singularName is no text")
    if not isinstance(item.get("namespaced"), bool):
        raise DocumentError(f"of {_shown(item['name'])} it does not tell whether it is namespaced")
    for key in ("verbs", "shortNames", "categories"):
        value = item.get(key)
        if value is not None and not (
            isinstance(value, list) and all(isinstance(one, str) for one in value)
        ):
            raise DocumentError(f"the {key} of {_shown(item['name'])} are no list of texts")
    return item


def _objects(document: "JsonObject", key: str) -> "list[JsonObject]":
    value = document.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise DocumentError(f"its {key} are no list of objects")
    return value


def _word(item: "JsonObject", key: str) -> str:
    value = item.get(key)
    if not _is_word(value):
        raise DocumentError(f"a {key} is {_shown(value)}")
    return str(value)


def _segment(item: "JsonObject", key: str) -> str:
    value = item.get(key)
    if not _is_segment(value):
        raise DocumentError(f"a {key} is {_shown(value)}")
    return str(value)


def _is_segment(value: object) -> bool:
    """A name that may become one part of a path: of a URL, and of a cache file."""
    return _is_word(value) and "/" not in str(value)


def _is_word(value: object) -> bool:
    """A name of such parts, as subresources have."""
    return (
        isinstance(value, str)
        and bool(value)
        and all(part not in {"", ".", ".."} for part in value.split("/"))
        and value.isprintable()
        and not any(char in value for char in " ?#%\\")
    )


def _shown(value: object) -> str:
    return repr(value)[:60] if isinstance(value, str) else "nothing" if value is None else "no text"
