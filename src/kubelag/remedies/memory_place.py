"""Finds a private place in memory, and makes directories there that nobody else can have made.

Not every tmpfs will do:

- `/run` belongs to root: what root makes there is safe from everybody.
- `/run/user/UID` belongs to one user. It goes away at the last logout, unless the user lingers.
- `/dev/shm` belongs to everybody. Its names are free again after a reboot, so another user may take
  ours first and hand us a cache of his making. Besides, systemd-logind empties it of a user's files
  at the last logout (`RemoveIPC=`, on by default). What must live there gets a name that cannot be
  guessed, inside a directory that nobody else can list.
"""

import hashlib
import os
import secrets
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kubelag.errors import RefusedError
from kubelag.observe.mounts import is_in_memory
from kubelag.remedies.contract import Context
from kubelag.remedies.told import told

# The cache of a cluster with 77 group-versions takes 1 MB; arbitrary, with room for many of them.
_ROOM_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A tmpfs to make a directory in."""

    base: Path
    is_private: bool
    """Whether nobody but root and the user can create names in it."""


def find_place(context: Context) -> Place | None:
    """The best tmpfs at hand, None where there is none with room."""
    run = context.paths.run
    private = run if context.uid == 0 else run / "user" / str(context.uid)
    for base in (private, context.paths.shared_memory):
        if _is_usable(base):
            return Place(base=base, is_private=base == private and _is_private(base, context.uid))
    return None


def choose_directory(place: Place, context: Context, target: Path) -> Path:
    """The name of the directory to be; nothing is made."""
    top = place.base / f"kubelag-{context.uid}"
    if place.is_private:
        return top / hashlib.sha256(os.fsencode(target)).hexdigest()[:12]
    return top / secrets.token_hex(16)


def make_directory(directory: Path, uid: int) -> None:
    """Make the directory and the one around it, 0700 and ours, or find them so.

    Raises:
        RefusedError: Where somebody else owns one of them, or it is a link.
        RemedyError: Where it cannot be made.
    """
    for path in (directory.parent, directory):
        with suppress(FileExistsError), told(path):
            path.mkdir(mode=0o700)
        if problem := directory_problem(path, uid):
            raise RefusedError(
                f"{path} {problem}, so it is not used", "find out who made it, and remove it"
            )


def directory_problem(path: Path, uid: int) -> str:
    """Why this directory must not be trusted, as the rest of a sentence; empty where it may be."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return "does not exist"
    except OSError as error:
        return f"is not a directory of ours ({error.strerror})"
    try:
        found = os.fstat(fd)
    finally:
        os.close(fd)
    if found.st_uid != uid:
        return f"belongs to user {found.st_uid}"
    if stat.S_IMODE(found.st_mode) & 0o077:
        return f"has mode {stat.S_IMODE(found.st_mode):04o} instead of 0700"
    return ""


def remove_directory(directory: Path, uid: int) -> None:
    """Remove the directory if it is ours, and the one around it if that is, and is empty then."""
    if directory_problem(directory.parent, uid):
        return
    if directory_problem(directory, uid) == "":
        with told(directory):
            shutil.rmtree(directory)
    with suppress(OSError):
        directory.parent.rmdir()


def _is_usable(base: Path) -> bool:
    if not is_in_memory(base) or not os.access(base, os.W_OK | os.X_OK):
        return False
    room = os.statvfs(base)
    return room.f_bavail * room.f_frsize >= _ROOM_BYTES


def _is_private(base: Path, uid: int) -> bool:
    found = base.stat()
    return found.st_uid in {0, uid} and not found.st_mode & 0o022
