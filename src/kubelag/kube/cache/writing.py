"""What both policies do at the end: kubectl's discovery files, and our own pack.

Times are those of the snapshot, never of the writing: kubectl counts an entry's life from its
file's time, and a snapshot may be older than the moment at which it is written.
"""

import errno
import json

from kubelag.kube.cache import pack
from kubelag.kube.cache.directory import (
    OWN_FILE_MODE,
    SHARED_FILE_MODE,
    as_clause,
)
from kubelag.kube.cache.examine import stat_problem
from kubelag.kube.cache.layout import PACK, SERVER_GROUPS, ttl_s
from kubelag.kube.cache.tree import files, stamp_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os

    from kubelag.kube.cache.directory import Directory
    from kubelag.kube.cache.pack import Stamp
    from kubelag.kube.discovery.snapshot import Snapshot

_HOPELESS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
"""After these the next file would fail as well."""


def write_everything(
    host: "Directory",
    snapshot: "Snapshot",
    stamp: "Stamp | None",
    now_s: float,
    *,
    is_rewritten: bool,
) -> list[str]:
    """Write kubectl's files, then the pack.

    Args:
        host: The server's directory.
        snapshot: What is known.
        stamp: Of the servergroups.json that it was made from, where it was.
        now_s: Seconds since the epoch.
        is_rewritten: Whether unchanged files are written again, as kubectl does.

    Returns:
        What could not be written, in clauses.
    """
    tree = _Tree(host, snapshot, now_s, is_rewritten=is_rewritten)
    troubles = tree.write()
    content = pack.encode(snapshot, stamp=tree.stamp(stamp), boot_id=pack.this_boot())
    try:
        host.write(PACK, content, OWN_FILE_MODE)
    except OSError as error:
        if as_clause(error) not in troubles:
            troubles.append(as_clause(error))
    return troubles


class _Tree:
    """Writes kubectl's files of one snapshot."""

    def __init__(
        self, host: "Directory", snapshot: "Snapshot", now_s: float, *, is_rewritten: bool
    ) -> None:
        self._host = host
        self._snapshot = snapshot
        self._now_s = now_s
        self._modified_s = min(snapshot.fetched_s, now_s)
        self._is_rewritten = is_rewritten
        self._is_theirs = False

    def write(self) -> list[str]:
        """Write each file; what could not be, the first of its kind and how many more."""
        errors: list[OSError] = []
        for directory, name, content in files(self._snapshot):
            try:
                with self._host.descend(directory, is_made=True) as at:
                    self._put(at, name, content)
            except OSError as error:
                errors.append(error)
                if error.errno in _HOPELESS:
                    break
        if not errors:
            return []
        more = f" (and {len(errors) - 1} more of kubectl's files)" if len(errors) > 1 else ""
        return [as_clause(errors[0]) + more]

    def stamp(self, seen: "Stamp | None") -> "Stamp | None":
        """What the pack shall remember of servergroups.json.

        It as it is, unless kubectl wrote one that says something else and is newer than what we
        know: then the one that we knew.
        """
        return seen if self._is_theirs else stamp_of(self._host)

    def _put(self, at: "Directory", name: str, content: bytes) -> None:
        modified_ns = int(self._modified_s * 1e9)
        state = "stale" if self._is_rewritten else self._state(at, name, content)
        if state == "stale":
            at.write(name, content, SHARED_FILE_MODE, modified_ns=modified_ns)
        elif state == "same":
            at.renew(name, modified_ns)
        elif state == "theirs" and name == SERVER_GROUPS:
            self._is_theirs = True

    def _state(self, at: "Directory", name: str, content: bytes) -> str:
        """What is to be done with a file.

        `stale`: write it. `same`: renew its time. `fresh`: leave it. `theirs`: leave it, since it
        differs and is newer than the snapshot: somebody knows better.
        """
        found = at.stat(name)
        if found is None or self._is_flawed(found):
            return "stale"
        try:
            old, found = at.read(name)
        except OSError:
            return "stale"
        is_newer = found.st_mtime >= self._modified_s
        if _is_same(old, content):
            return "fresh" if is_newer else "same"
        return "theirs" if is_newer and _is_json(old) else "stale"

    def _is_flawed(self, found: "os.stat_result") -> bool:
        problem = stat_problem(found, uid=self._host.uid, now_s=self._now_s, ttl_s=ttl_s(None))
        return problem not in {None, "expired"}


def _is_json(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data), dict)
    except (ValueError, RecursionError):
        return False


def _is_same(old: bytes, new: bytes) -> bool:
    if old == new:
        return True
    try:
        return bool(json.loads(old) == json.loads(new))
    except (ValueError, RecursionError):
        return False
