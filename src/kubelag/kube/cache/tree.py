"""kubectl's own discovery files: read into a snapshot, and written as kubectl would write them.

Source of the shapes: client-go `discovery/cached/disk/cached_discovery.go`. A group-version that is
listed in servergroups.json but has no file is what kubectl leaves of one that failed or was empty.
"""

import json

from kubelag.kube.cache.directory import open_host
from kubelag.kube.cache.examine import (
    GROUPS_KIND,
    RESOURCES_KIND,
    Flaw,
    is_safe_name,
    parse_groups,
    parse_resources,
    stat_problem,
)
from kubelag.kube.cache.layout import SERVER_GROUPS, SERVER_RESOURCES, ttl_s
from kubelag.kube.discovery.snapshot import Group, GroupVersion, Snapshot
from kubelag.kube.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from kubelag.kube.cache.directory import Directory
    from kubelag.kube.cache.examine import Problem
    from kubelag.kube.cache.pack import Stamp
    from kubelag.kube.cache.place import Place
    from kubelag.kube.discovery.snapshot import JsonObject

    Parse = Callable[[bytes], tuple[JsonObject | None, Problem | None]]

MISSING = "missing from kubectl's cache"
"""Why a group-version is `failed` where kubectl's tree lists it and has no file of it."""


class Reading(Record):
    """What kubectl's tree said."""

    snapshot: "Snapshot | None"
    """None where its servergroups.json is of no use."""
    flaws: "tuple[Flaw, ...]"
    stamp: "Stamp | None"
    """Of servergroups.json, taken when it was read; None where it could not be."""


def read_tree(place: "Place", now_s: float) -> Reading:
    """Read everything there is; what is missing or damaged becomes a flaw, never an error."""
    try:
        host = open_host(place.root, place.relative, place.uid)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        flaw = Flaw(path=place.path, problem="missing" if missing else "unreadable")
        return Reading(snapshot=None, flaws=(flaw,), stamp=None)
    with host:
        return _Reader(host, now_s).read(place.server)


def stamp_of(host: "Directory") -> "Stamp | None":
    """The stamp of kubectl's servergroups.json as it is now."""
    found = host.stat(SERVER_GROUPS)
    return None if found is None else (found.st_mtime_ns, found.st_size, found.st_ino)


def files(snapshot: Snapshot) -> "Iterator[tuple[str, str, bytes]]":
    """Directory, name and content of each file, resource files first, servergroups.json last."""
    for each in snapshot.group_versions.values():
        if each.state == "ok" and each.resources and is_safe_name(each.name):
            yield each.name, SERVER_RESOURCES, _resource_list(each)
    groups = {"kind": GROUPS_KIND, "apiVersion": "v1", "groups": [*map(_group, snapshot.groups)]}
    yield "", SERVER_GROUPS, _json(groups)


class _Reader:
    """Collects flaws and the oldest time while files are read."""

    def __init__(self, host: "Directory", now_s: float) -> None:
        self._host = host
        self._now_s = now_s
        self._ttl_s = ttl_s(None)
        self._flaws: list[Flaw] = []
        self._oldest_s = now_s

    def read(self, server: str) -> Reading:
        stamp = stamp_of(self._host)
        document, _ = self._document("", SERVER_GROUPS, parse_groups)
        if document is None:
            return Reading(snapshot=None, flaws=tuple(self._flaws), stamp=stamp)
        groups = tuple(map(_read_group, document["groups"]))
        names = [_name(group, version) for group in groups for version in group.versions]
        group_versions = {name: self._group_version(name) for name in names}
        snapshot = Snapshot(
            server=server,
            fetched_s=self._oldest_s,
            source="kubectl",
            groups=groups,
            group_versions=group_versions,
            etags={},
        )
        return Reading(snapshot=snapshot, flaws=tuple(self._flaws), stamp=stamp)

    def _group_version(self, name: str) -> GroupVersion:
        document, problem = self._document(
            name, SERVER_RESOURCES, lambda data: parse_resources(data, name)
        )
        if document is None:
            why = MISSING if problem == "missing" else f"kubectl's copy is flawed: {problem}"
            return GroupVersion(name=name, state="failed", why=why)
        resources = tuple(document["resources"])
        return GroupVersion(name=name, state="ok" if resources else "empty", resources=resources)

    def _document(
        self, directory: str, name: str, parse: "Parse"
    ) -> "tuple[JsonObject | None, Problem | None]":
        document, problem = self._read(directory, name, parse)
        if problem is not None:
            path = "/".join(filter(None, (self._host.path, directory, name)))
            self._flaws.append(Flaw(path=path, problem=problem))
        return document, problem

    def _read(
        self, directory: str, name: str, parse: "Parse"
    ) -> "tuple[JsonObject | None, Problem | None]":
        if directory and not is_safe_name(directory):
            return None, "undecodable"
        try:
            with self._host.descend(directory) as at:
                found = at.stat(name)
                problem = self._stat_problem(found)
                if problem not in {None, "expired"}:
                    return None, problem
                data, found = at.read(name)
        except OSError as error:
            return None, "missing" if isinstance(error, FileNotFoundError) else "unreadable"
        document, damage = parse(data)
        if document is not None:
            self._oldest_s = min(self._oldest_s, found.st_mtime)
        return document, damage or problem

    def _stat_problem(self, found: "os.stat_result | None") -> "Problem | None":
        if found is None:
            return "missing"
        return stat_problem(found, uid=self._host.uid, now_s=self._now_s, ttl_s=self._ttl_s)


def _read_group(group: "JsonObject") -> Group:
    return Group(
        name=group.get("name", ""),
        versions=tuple(each["version"] for each in group.get("versions") or []),
        preferred=(group.get("preferredVersion") or {}).get("version", ""),
    )


def _group(group: Group) -> "JsonObject":
    # A group without versions is what kubectl makes of one whose server cannot be asked.
    return {
        "name": group.name,
        "versions": [_version(group, version) for version in group.versions] or None,
        "preferredVersion": _version(group, group.preferred),
    }


def _version(group: Group, version: str) -> "JsonObject":
    return {"groupVersion": _name(group, version), "version": version}


def _name(group: Group, version: str) -> str:
    return f"{group.name}/{version}" if group.name and version else version


def _resource_list(each: GroupVersion) -> bytes:
    return _json(
        {
            "kind": RESOURCES_KIND,
            "apiVersion": "v1",
            "groupVersion": each.name,
            "resources": each.resources,
        }
    )


def _json(document: "JsonObject") -> bytes:
    return json.dumps(document, separators=(",", ":")).encode("ascii") + b"\n"
