"""What is in a cache: whose, how much, how old, and for whom it is still fresh."""

import os
import time

from kubelag.kube.cache import pack
from kubelag.kube.cache.directory import as_clause
from kubelag.kube.cache.layout import PACK, ttl_s
from kubelag.kube.cache.walk import walk
from kubelag.kube.discovery.snapshot import FRESH_S
from kubelag.kube.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from kubelag.kube.cache.pack import Index
    from kubelag.kube.cache.walk import Item, Kind

    Writer = Literal["kubectl", "kubelag", "nobody"]

_TEN_MINUTES_UNTIL = "1.23.0"


class HostStatus(Record):
    """One server's part."""

    path: str
    server: "str | None"
    """Its URL; None where only kubectl wrote, whose directory's name does not tell it."""
    group_versions: int
    """With a file of kubectl's."""
    size_bytes: int
    """kubectl's files and ours."""
    oldest_age_s: "float | None"
    """Of kubectl's files; None where there are none."""
    newest_age_s: "float | None"
    writer: "Writer"
    """Of kubectl's servergroups.json."""
    is_fresh_until_1_23: bool
    """For kubectl up to 1.23, which believes it for ten minutes."""
    is_fresh_since_1_24: bool
    """For kubectl from 1.24 on, which believes it for six hours."""
    is_fresh_for_kubelag: bool
    kubelag_age_s: "float | None"
    """Since the server last vouched for our own file; None where there is none to be believed."""


class CacheStatus(Record):
    """A whole cache."""

    root: str
    hosts: "tuple[HostStatus, ...]"
    http_entries: int
    http_bytes: int
    could_not_look: "tuple[str, ...]"
    """Clauses that name the path and say why."""


def status(root: str, *, now_s: "float | None" = None, uid: "int | None" = None) -> CacheStatus:
    """What is in a cache.

    Args:
        root: Of the whole cache.
        now_s: Seconds since the epoch; by default now.
        uid: Whose it should be; by default the process's.
    """
    now_s = time.time() if now_s is None else now_s
    uid = os.geteuid() if uid is None else uid
    errors: list[OSError] = []
    files = [_seen(item) for item in walk(root, uid, errors) if item.kind != "directory"]
    paths = sorted({each.directory for each in files if each.kind in _MARKS})
    entries = [each for each in files if each.kind in {"dump", "summed"}]
    return CacheStatus(
        root=root,
        hosts=tuple(_host(path, _below(path, paths, files), uid, now_s) for path in paths),
        http_entries=len(entries),
        http_bytes=sum(each.size_bytes for each in entries),
        could_not_look=tuple(map(as_clause, errors)),
    )


_MARKS = frozenset({"groups", "pack"})
"""A directory with one of these is a server's."""


class _Seen(Record):
    directory: str
    kind: "Kind"
    size_bytes: int
    modified_s: float
    stamp: "pack.Stamp"


def _seen(item: "Item") -> _Seen:
    found = item.found
    return _Seen(
        directory=item.directory.path,
        kind=item.kind,
        size_bytes=found.st_size,
        modified_s=found.st_mtime,
        stamp=(found.st_mtime_ns, found.st_size, found.st_ino),
    )


def _below(path: str, paths: list[str], files: list[_Seen]) -> list[_Seen]:
    """The files of one server, without those of another whose URL has more parts."""
    inner = tuple(f"{each}/" for each in paths if each.startswith(f"{path}/"))
    return [
        each
        for each in files
        if f"{each.directory}/".startswith(f"{path}/")
        and not (inner and f"{each.directory}/".startswith(inner))
    ]


def _host(path: str, files: list[_Seen], uid: int, now_s: float) -> HostStatus:
    index = pack.read_index(f"{path}/{PACK}", uid, now_s)
    theirs = [each for each in files if each.kind in {"groups", "resources"}]
    ages = [now_s - each.modified_s for each in theirs]
    groups = next((each for each in theirs if each.kind == "groups"), None)
    age_s = float("inf") if groups is None else now_s - groups.modified_s
    own_age_s = None if index is None else now_s - index.fetched_s
    return HostStatus(
        path=path,
        server=None if index is None else index.server,
        group_versions=sum(each.kind == "resources" for each in theirs),
        size_bytes=sum(each.size_bytes for each in files),
        oldest_age_s=max(ages, default=None),
        newest_age_s=min(ages, default=None),
        writer=_writer(groups, index),
        is_fresh_until_1_23=age_s < ttl_s(_TEN_MINUTES_UNTIL),
        is_fresh_since_1_24=age_s < ttl_s(None),
        is_fresh_for_kubelag=own_age_s is not None and own_age_s < FRESH_S,
        kubelag_age_s=own_age_s,
    )


def _writer(groups: "_Seen | None", index: "Index | None") -> "Writer":
    if groups is None:
        return "nobody"
    is_ours = index is not None and index.stamp == groups.stamp and index.source != "kubectl"
    return "kubelag" if is_ours else "kubectl"
