"""What may be wrong with one of kubectl's discovery files. Pure."""

import json
import stat

from kubelag.kube.cache.sealed import FUTURE_S
from kubelag.kube.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from typing import Any, Literal

    from kubelag.kube.discovery.snapshot import JsonObject

    Problem = Literal[
        "zero-length",
        "truncated",
        "undecodable",
        "NUL-filled",
        "damaged",
        "wrong kind",
        "future mtime",
        "foreign owner",
        "writable by others",
        "symlink",
        "not a regular file",
        "expired",
        "unreadable",
        "missing",
        "leftover",
        "bloat",
    ]

GROUPS_KIND = "APIGroupList"
RESOURCES_KIND = "APIResourceList"


class Flaw(Record):
    """One thing that is wrong with one file."""

    path: str
    problem: "Problem"


def stat_problem(
    found: "os.stat_result", *, uid: int, now_s: float, ttl_s: float
) -> "Problem | None":
    """What is wrong with a file before it is read; the gravest, if several."""
    if stat.S_ISLNK(found.st_mode):
        return "symlink"
    if not stat.S_ISREG(found.st_mode):
        return "not a regular file"
    if found.st_uid != uid:
        return "foreign owner"
    if found.st_mode & stat.S_IWOTH:  # its group may: kubectl makes its files 0660
        return "writable by others"
    if found.st_size == 0:
        return "zero-length"
    if found.st_mtime > now_s + FUTURE_S:
        return "future mtime"
    return "expired" if found.st_mtime + ttl_s < now_s else None


def parse_groups(data: bytes) -> "tuple[JsonObject | None, Problem | None]":
    """The document in servergroups.json, or what is wrong with it."""
    return _parse(data, GROUPS_KIND, "groups", _is_group)


def parse_resources(
    data: bytes, group_version: "str | None"
) -> "tuple[JsonObject | None, Problem | None]":
    """The document in a serverresources.json, or what is wrong with it."""
    document, problem = _parse(data, RESOURCES_KIND, "resources", _is_resource)
    if document is not None and group_version not in {None, document.get("groupVersion")}:
        return None, "wrong kind"
    return document, problem


def is_safe_name(group_version: object) -> bool:
    """Whether a group-version, which is a server's word, may become a path below ours."""
    if not isinstance(group_version, str):
        return False
    parts = group_version.split("/")
    return len(parts) in {1, 2} and all(
        part.strip(".") and part.isascii() and part.replace("-", "").replace(".", "").isalnum()
        for part in parts
    )


def _parse(
    data: bytes, kind: str, key: str, is_item: "Callable[[Any], bool]"
) -> "tuple[JsonObject | None, Problem | None]":
    if b"\0" in data:
        return None, "NUL-filled"
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None, "undecodable" if data.rstrip().endswith(b"}") else "truncated"
    if not isinstance(document, dict) or document.get("kind") != kind:
        return None, "wrong kind"
    items = document.setdefault(key, None)
    if items is None:  # as Go writes an empty list
        items = document[key] = []
    if not isinstance(items, list) or not all(is_item(item) for item in items):
        return None, "undecodable"
    return document, None


def _is_group(group: "Any") -> bool:  # noqa: ANN401 - anything JSON can hold
    if not isinstance(group, dict) or not isinstance(group.get("name", ""), str):
        return False
    versions = group.get("versions") or []
    preferred = group.get("preferredVersion") or {}
    return (
        isinstance(versions, list)
        and all(_is_version(version) for version in versions)
        and isinstance(preferred, dict)
        and isinstance(preferred.get("version", ""), str)
    )


def _is_version(version: "Any") -> bool:  # noqa: ANN401 - the same
    return isinstance(version, dict) and isinstance(version.get("version"), str)


def _is_resource(resource: "Any") -> bool:  # noqa: ANN401 - the same
    return (
        isinstance(resource, dict)
        and isinstance(resource.get("name"), str)
        and isinstance(resource.get("kind"), str)
    )
