"""Finds the resource that a user means by a name, as kubectl would. Pure.

`po`, `pod`, `Pod`, `pods`, `deploy.apps`, `deployments.v1.apps`, `Deployment.v1.apps`. Sources:
cli-runtime `pkg/resource/builder.go` (mappingFor); client-go `restmapper/{discovery,shortcut}.go`;
apimachinery `pkg/api/meta/{restmapper,priority}.go`; all at v0.33.
"""

from kubelag.kube.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from kubelag.kube.discovery.snapshot import Group, GroupVersion

    Row = Sequence[Any]
    """`[group_version, name, singular, kind, is_namespaced, short_names, categories]`."""

_VERSION_AND_GROUP = 3
"""Parts of `resource.version.group`, the last one with all the dots that are left."""


class Resource(Record):
    """One resource in one version."""

    group: str
    """Empty for the core group."""
    version: str
    name: str
    """As in paths: `deployments`."""
    kind: str
    singular: str
    """As the server told it; empty where it told none."""
    is_namespaced: bool
    short_names: "tuple[str, ...]" = ()
    categories: "tuple[str, ...]" = ()

    @property
    def api_version(self) -> str:
        """`apps/v1`; of the core group `v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified_name(self) -> str:
        """`deployments.apps`; of the core group `pods`."""
        return f"{self.name}.{self.group}" if self.group else self.name

    def path(self, namespace: str | None = None, name: str = "") -> str:
        """The path of its collection, or of one object.

        Args:
            namespace: None for all of them; not looked at where the resource has none.
            name: Empty for the collection.
        """
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        place = f"/namespaces/{namespace}" if namespace and self.is_namespaced else ""
        return f"{root}{place}/{self.name}" + (f"/{name}" if name else "")


def rows_of(group_version: "GroupVersion") -> "list[Row]":
    """One row for each resource of a group-version that is no subresource, in its order."""
    return [
        (
            group_version.name,
            one["name"],
            one.get("singularName") or "",
            one["kind"],
            one.get("namespaced", False),
            one.get("shortNames") or (),
            one.get("categories") or (),
        )
        for one in group_version.resources
        if "/" not in one["name"]
    ]


def resource_of(row: "Row") -> Resource:
    """A row of the index as a resource."""
    group_version, name, singular, kind, is_namespaced, short_names, categories = row
    group, _, version = group_version.rpartition("/")
    return Resource(
        group=group,
        version=version,
        name=name,
        kind=kind,
        singular=singular,
        is_namespaced=is_namespaced,
        short_names=tuple(short_names),
        categories=tuple(categories),
    )


def resolve(asked: str, rows: "Sequence[Row]", groups: "Sequence[Group]") -> Resource | None:
    """The resource that is meant; None where none is.

    Args:
        asked: For example `deploy`, `deployments.apps`, `deployments.v1.apps`, `Deployment`.
        rows: Every resource, in the order in which the server tells them.
        groups: In the order of their precedence, with preferred versions.
    """
    for found in _readings(asked, rows):
        matches = list(found)
        if matches:
            return resource_of(_best(matches, groups))
    return None


def expand_category(asked: str, rows: "Sequence[Row]", groups: "Sequence[Group]") -> list[Resource]:
    """The resources of a category such as `all`, each once.

    As if each had been asked for by name and group: some are in no preferred version (`cronjobs`
    were not, up to 1.20). Source: `replaceAliases` of cli-runtime's builder.
    """
    names = dict.fromkeys((row[1], _group(row)) for row in rows if asked in row[6])
    found = (resolve(f"{name}.{group}" if group else name, rows, groups) for name, group in names)
    return [one for one in found if one is not None]


def _readings(asked: str, rows: "Sequence[Row]") -> "Iterator[Iterable[Row]]":
    """What the name may mean, the likeliest first."""
    parts = asked.split(".", _VERSION_AND_GROUP - 1)
    if len(parts) == _VERSION_AND_GROUP:
        name, group = _without_short_form(parts[0], parts[2], rows)
        yield _named(name, rows, lambda row: row[0] == _joined(group, parts[1]))
    name, _, group = asked.partition(".")
    name, group = _without_short_form(name, group, rows)
    yield _named(name, rows, lambda row: not group or _group(row) == group)
    if group:
        yield _named(name, rows, lambda row: _group(row).startswith(group))
    yield from _kinds(asked, parts, rows)


def _named(name: str, rows: "Sequence[Row]", is_wanted: "Callable[[Row], bool]") -> "Iterable[Row]":
    name = name.lower()
    return (row for row in rows if name in (row[1], row[2] or row[3].lower()) and is_wanted(row))


def _kinds(asked: str, parts: list[str], rows: "Sequence[Row]") -> "Iterator[Iterable[Row]]":
    if len(parts) == _VERSION_AND_GROUP:
        wanted = _joined(parts[2], parts[1])
        yield (row for row in rows if parts[0] in (row[3], row[3].lower()) and row[0] == wanted)
    kind, _, group = asked.partition(".")
    yield (row for row in rows if kind in (row[3], row[3].lower()) and _group(row) == group)
    if not group:
        yield (row for row in rows if kind in (row[3], row[3].lower()))


def _without_short_form(name: str, group: str, rows: "Sequence[Row]") -> tuple[str, str]:
    """The full name and group of a short form; what was given where it is none."""
    if any(row[1] == name and (not group or _group(row) == group) for row in rows):
        return name, group
    for row in rows:
        if name in row[5] and (not group or _group(row) == group):
            return row[1], _group(row)
    for row in rows:
        if group and name in row[5] and _group(row).startswith(group):
            return row[1], _group(row)
    return name, group


def _joined(group: str, version: str) -> str:
    """The core group's name is empty: `pods.v1.` is meant."""
    return f"{group}/{version}" if group else version


def _group(row: "Row") -> str:
    return str(row[0]).rpartition("/")[0]


def _best(matches: "Sequence[Row]", groups: "Sequence[Group]") -> "Row":
    """By the order of the groups; in a group its preferred version first."""
    if len(matches) == 1:
        return matches[0]
    by_version = {row[0]: row for row in reversed(matches)}
    for group in groups:
        for version in (group.preferred, *group.versions):
            name = f"{group.name}/{version}" if group.name else version
            if name in by_version:
                return by_version[name]
    return matches[0]
