"""Why a cache cannot be written, seen without writing: nobody waits for a disk to learn it.

Writing is left to a child that has nobody to tell, so whoever runs the command is told from here.
It is a glance, no promise: what it does not see the child skips in silence.
"""

import os

from kubelag.kube.cache.directory import as_clause, why_not_ours

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kubelag.kube.cache.place import Place


def obstacle(place: "Place") -> str:
    """A clause that names the path and says why; empty where nothing seems to be in the way."""
    try:
        nearest = _nearest(place.path)
        found = os.stat(nearest)  # noqa: PTH116 -- pathlib would cost 5 ms
        room = os.statvfs(nearest)
    except OSError as error:
        return as_clause(error)
    is_in_cache = nearest == place.root or nearest.startswith(f"{place.root}/")
    if is_in_cache and (why := why_not_ours(found, place.uid)):
        return f"{nearest}: {why}"
    if room.f_flag & os.ST_RDONLY:
        return f"{nearest}: its file system is read-only"
    if not os.access(nearest, os.W_OK | os.X_OK, effective_ids=True):
        return f"{nearest}: permission denied"
    return f"{nearest}: no space left on device" if _is_full(room, place.uid) else ""


def _is_full(room: os.statvfs_result, uid: int) -> bool:
    """Whether blocks or inodes are used up, of those that are counted at all."""
    free = room.f_bfree if uid == 0 else room.f_bavail
    return (room.f_blocks > 0 and not free) or (room.f_files > 0 and not room.f_ffree)


def _nearest(path: str) -> str:
    """The path, or the closest directory above it that is there.

    Raises:
        OSError: If something on the way is no directory, or must not be looked at.
    """
    while True:
        try:
            os.scandir(path).close()
        except FileNotFoundError:
            path = os.path.dirname(path) or "."  # noqa: PTH120 - text
        else:
            return path
