"""Empties a cache of what belongs to it, by name and place, never of a directory as a whole."""

import os
import stat

from kubelag.kube.cache.directory import Directory, as_clause, open_part, open_root
from kubelag.kube.cache.layout import DISCOVERY, HTTP, HTTP_TEMPORARY, host_directory
from kubelag.kube.cache.walk import Item, walk, walk_host
from kubelag.kube.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Cleared(Record):
    """What was removed, and what was not."""

    files: int
    size_bytes: int
    kept: "tuple[str, ...]"
    """What could not or may not be removed: clauses that name the path and say why."""


def clear(
    root: str,
    *,
    server: "str | None" = None,
    uid: "int | None" = None,
    may_touch_foreign: bool = False,
) -> Cleared:
    """Remove the cache's files, and directories that are empty then.

    Args:
        root: Of the whole cache.
        server: Only this server's discovery files; by default everything, http/ included.
        uid: Whose it should be; by default the process's.
        may_touch_foreign: Whether other users' files may be removed, where the system lets us.
    """
    uid = os.geteuid() if uid is None else uid
    errors: list[OSError] = []
    clearing = _Clearing(None if may_touch_foreign else uid)
    for item in _items(root, server, uid, errors):
        clearing.take(item)
    kept = [*clearing.kept, *map(as_clause, errors)]
    _remove_empty(root, uid)
    return Cleared(files=clearing.files, size_bytes=clearing.size_bytes, kept=tuple(kept))


def _items(root: str, server: "str | None", uid: int, errors: "list[OSError]") -> "Iterator[Item]":
    if server is None:
        return walk(root, uid, errors)
    relative = os.path.relpath(host_directory(root, server), f"{root}/{DISCOVERY}")
    return iter(()) if relative.startswith(".") else walk_host(root, relative, uid, errors)


class _Clearing:
    """Removes file by file.

    Args:
        uid: Whose files it removes; None for everybody's.
    """

    def __init__(self, uid: "int | None") -> None:
        self.files = 0
        self.size_bytes = 0
        self.kept: list[str] = []
        self._uid = uid

    def take(self, item: Item) -> None:
        if item.kind == "directory":
            if item.is_link:
                self.kept.append(f"{item.path}: it is a symbolic link")
        elif stat.S_ISDIR(item.found.st_mode):
            self.kept.append(f"{item.path}: it is a directory")
        elif self._uid not in {None, item.found.st_uid}:
            self.kept.append(f"{item.path}: it belongs to user {item.found.st_uid}")
        elif self._uid not in {None, (owner := item.directory.itself().st_uid)}:
            self.kept.append(f"{item.path}: its directory belongs to user {owner}")
        else:
            self._remove(item)

    def _remove(self, item: Item) -> None:
        try:
            item.directory.unlink(item.name)
        except OSError as error:
            self.kept.append(as_clause(error))
            return
        self.files += 1
        self.size_bytes += item.found.st_size


def _remove_empty(root: str, uid: int) -> None:
    """Remove what became empty below `discovery`, and the HTTP cache's place for temporaries."""
    try:
        with open_root(root, uid) as top:
            with open_part(top, DISCOVERY) as discovery:
                _prune(discovery)
            with open_part(top, HTTP) as http:
                http.remove_if_empty(HTTP_TEMPORARY)
    except OSError:
        return  # nothing there, or not to be opened, which the walk has told


def _prune(directory: Directory) -> None:
    for name, found in list(directory.entries()):
        if stat.S_ISDIR(found.st_mode):
            with directory.child(name) as child:
                _prune(child)
            directory.remove_if_empty(name)
