"""Removes what is damaged, so that kubectl fetches it again instead of believing it.

Works relative to open directories, follows no link, and touches nothing but files that bear a name
of the cache in a place of the cache. What belongs to somebody else is left alone unless the caller
says otherwise.
"""

import os
import stat
import time

from kubelag.kube.cache.directory import open_part, open_root
from kubelag.kube.cache.findings import (
    HARMLESS,
    MOST_ENTRIES,
    MOST_HTTP_BYTES,
    bloat_of,
    problem_of,
    unreadable,
)
from kubelag.kube.cache.layout import DISCOVERY, HTTP, host_directory
from kubelag.kube.cache.walk import Item, walk, walk_host
from kubelag.kube.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubelag.kube.cache.examine import Problem

_GROUP_AND_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Repaired(Record):
    """What was done about one thing that was wrong."""

    path: str
    problem: "Problem"
    done: str
    """A clause: `removed`; empty where nothing was done."""
    why_not: str = ""
    """A clause; empty where something was done."""


def repair(
    root: str,
    *,
    now_s: "float | None" = None,
    uid: "int | None" = None,
    may_touch_foreign: bool = False,
) -> "tuple[Repaired, ...]":
    """Heal a whole cache.

    Args:
        root: Of the whole cache.
        now_s: Seconds since the epoch; by default now.
        uid: Whose it should be; by default the process's.
        may_touch_foreign: Whether other users' files may be removed, where the system lets us.
    """
    mender = _Mender(now_s, uid, may_touch_foreign=may_touch_foreign)
    errors: list[OSError] = []
    mender.mend(walk(root, mender.uid, errors))
    mender.cannot_look(errors)
    mender.shrink(root)
    return tuple(mender.repaired)


def sweep(
    root: str, server: str, *, now_s: "float | None" = None, uid: "int | None" = None
) -> "tuple[Repaired, ...]":
    """Heal one server's files, as is due after an unclean boot.

    A few milliseconds for a hundred group-versions; `Store.save` afterwards remembers that it was
    done, and writes what was removed.
    """
    mender = _Mender(now_s, uid, may_touch_foreign=False)
    relative = os.path.relpath(host_directory(root, server), f"{root}/{DISCOVERY}")
    if relative == "." or relative.startswith(".."):
        return ()
    errors: list[OSError] = []
    mender.mend(walk_host(root, relative, mender.uid, errors))
    mender.cannot_look(errors)
    return tuple(mender.repaired)


class _Mender:
    """Judges item by item, and does what is to be done."""

    def __init__(
        self, now_s: "float | None", uid: "int | None", *, may_touch_foreign: bool
    ) -> None:
        self.now_s = time.time() if now_s is None else now_s
        self.uid = os.geteuid() if uid is None else uid
        self.repaired: list[Repaired] = []
        self._may_touch_foreign = may_touch_foreign
        self._entries: list[tuple[float, str, int]] = []

    def mend(self, items: "Iterable[Item]") -> None:
        for item in items:
            try:
                problem = problem_of(item, self.now_s, self.uid)
            except OSError as error:
                self.cannot_look([error])
                continue
            if problem is not None and problem not in HARMLESS:
                self._tell(item, problem)
            elif item.kind in {"dump", "summed"}:
                self._entries.append((item.found.st_mtime, item.name, item.found.st_size))

    def cannot_look(self, errors: "Iterable[OSError]") -> None:
        for each in map(unreadable, errors):
            self.repaired.append(
                Repaired(path=each.path, problem=each.problem, done="", why_not=each.meaning)
            )

    def shrink(self, root: str) -> None:
        """Take away the oldest entries of an http/ that has grown too large."""
        size = sum(each[2] for each in self._entries)
        if bloat_of("", len(self._entries), size) is None:
            return
        count = len(self._entries)
        going = []
        for _, name, bytes_ in sorted(self._entries):
            if count <= MOST_ENTRIES // 2 and size <= MOST_HTTP_BYTES // 2:
                break
            going.append(name)
            count, size = count - 1, size - bytes_
        self._remove_entries(root, going)

    def _remove_entries(self, root: str, names: list[str]) -> None:
        path, done, why_not = f"{root}/{HTTP}", "", ""
        try:
            with open_root(root, self.uid) as top, open_part(top, HTTP) as http:
                if why_not := self._why_not_in(http.itself()):
                    names = []
                for name in names:
                    http.unlink(name)
            done = "" if why_not else f"removed the {len(names)} oldest entries"
        except OSError as error:
            why_not = str(error.strerror)
        self.repaired.append(Repaired(path=path, problem="bloat", done=done, why_not=why_not))

    def _tell(self, item: Item, problem: "Problem") -> None:
        done, why_not = "", self._why_not(item, problem)
        if not why_not:
            try:
                done = _heal(item)
            except OSError as error:
                why_not = str(error.strerror)
        self.repaired.append(Repaired(path=item.path, problem=problem, done=done, why_not=why_not))

    def _why_not(self, item: Item, problem: "Problem") -> str:
        if item.kind == "directory" and problem != "writable by others":
            return "it is a directory, and not ours to remove"
        if item.kind != "directory" and stat.S_ISDIR(item.found.st_mode):
            return "it is a directory where a file should be"
        if self._may_touch_foreign:
            return ""
        if item.found.st_uid != self.uid:
            return f"it belongs to user {item.found.st_uid}"
        return self._why_not_in(item.directory.itself())

    def _why_not_in(self, directory: os.stat_result) -> str:
        if directory.st_uid == self.uid or self._may_touch_foreign:
            return ""
        return f"its directory belongs to user {directory.st_uid}"


def _heal(item: Item) -> str:
    if item.kind == "directory":
        mode = stat.S_IMODE(item.found.st_mode) & ~_GROUP_AND_OTHERS_WRITE
        item.directory.set_mode(mode)
        return f"mode set to {mode:04o}"
    item.directory.unlink(item.name)
    return "removed"
