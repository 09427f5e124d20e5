"""What a request is about, from its method and path; the names are those of RBAC. Pure.

Source: `k8s.io/apiserver/pkg/endpoints/request/requestinfo.go`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

_VERBS = {
    "GET": "get",
    "HEAD": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_COLLECTION_VERBS = {"get": "list", "delete": "deletecollection"}
_NAMESPACE_SUBRESOURCES = ("status", "finalize")
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A resource, or one object of it."""

    verb: str
    group: str
    """Empty for core."""
    version: str
    namespace: str
    """Empty for all namespaces and for what has none."""
    resource: str
    subresource: str
    name: str
    """Empty for the whole collection."""

    @property
    def group_version(self) -> str:
        """`group/version`, or the version alone for core."""
        return f"{self.group}/{self.version}" if self.group else self.version


def parse_target(method: str, path: str, *, is_watch: bool) -> Target | None:
    """The resource that a request is about; None for documents, health and the unknown."""
    parts = [part for part in path.split("/") if part]
    match parts:
        case ["api", version, _, *_]:
            group, rest = "", parts[2:]
        case ["apis", group, version, _, *_]:
            rest = parts[3:]
        case _:
            return None
    namespace, resource, name, subresource = _split(rest)
    verb = _VERBS.get(method, method.lower())
    if not name:
        verb = "watch" if is_watch and verb == "get" else _COLLECTION_VERBS.get(verb, verb)
    return Target(
        verb=verb,
        group=group,
        version=version,
        namespace=namespace,
        resource=resource,
        subresource=subresource,
        name=name,
    )


def _split(rest: list[str]) -> tuple[str, str, str, str]:
    """Namespace, resource, name and subresource, empty where absent."""
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in _NAMESPACE_SUBRESOURCES:  # noqa: PLR2004
            rest = rest[2:]
    resource, name, subresource = (*rest, "", "")[:3]
    return namespace, resource, name, subresource


def longest_prefix(path: str, by_prefix: Mapping[str, _Value]) -> _Value | None:
    """What belongs to the longest prefix of the path; None where no prefix fits."""
    found = [prefix for prefix in by_prefix if path.startswith(prefix)]
    return by_prefix[max(found, key=len)] if found else None
