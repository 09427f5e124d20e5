"""Says why a client could not write to a directory, without trying to."""

import os

from kubelag.observe.mounts import Mount

# Less than this and the discovery documents of an ordinary cluster (about 0.5 MB) do not fit.
_SPACE_NEEDED_BYTES = 512 * 1024
# The files of an ordinary cluster's cache: two for each of some 50 group-versions.
_FILES_NEEDED = 100
# File systems of the kernel's own, where nobody can create a file.
_KERNEL_FILE_SYSTEMS = frozenset({"proc", "sysfs", "cgroup", "cgroup2", "debugfs", "tracefs"})


def why_not_writable(place: str, existing: str, mount: Mount | None) -> str | None:
    """Why nothing can be created in `place`, in one clause; None where it can.

    Args:
        place: The directory that the client wants.
        existing: Itself, or its nearest parent that exists, links resolved.
        mount: The mount that holds it, where known.
    """
    if not os.path.isdir(existing):  # noqa: PTH112 -- text throughout
        return f"the file {existing} is in the place of a directory"
    if mount and mount.file_system in _KERNEL_FILE_SYSTEMS:
        return f"{existing} is on {mount.file_system}, where no file can be created"
    try:
        state = os.statvfs(existing)
    except OSError as error:
        return f"{existing} does not answer ({(error.strerror or str(error)).lower()})"
    if state.f_flag & os.ST_RDONLY:
        return f"{existing} is on a file system that is mounted read-only"
    if not os.access(existing, os.W_OK | os.X_OK, effective_ids=True):
        return f"{existing} may not be written by {_who()} ({owner(existing)})"
    return _shortage(existing, state, place)


def _shortage(existing: str, state: os.statvfs_result, place: str) -> str | None:
    is_root = os.geteuid() == 0
    blocks = state.f_bfree if is_root else state.f_bavail
    files = state.f_ffree if is_root else state.f_favail
    # Some file systems (tmpfs without limits, FUSE) count nothing and report zero of zero.
    if state.f_blocks and blocks * state.f_frsize < _SPACE_NEEDED_BYTES:
        left = blocks * state.f_frsize // 1024
        return f"the file system of {existing} is full ({left} KiB left for {place})"
    if state.f_files and files < _FILES_NEEDED:
        return f"the file system of {existing} is out of inodes ({files} left for {place})"
    return None


def _who() -> str:
    return "root" if os.geteuid() == 0 else f"user {os.geteuid()}"


def owner(path: str) -> str:
    """Whose it is, in a clause."""
    try:
        found = os.stat(path)  # noqa: PTH116 -- text
    except OSError:
        return "it cannot be looked at"
    return f"it belongs to user {found.st_uid}, mode {found.st_mode & 0o7777:04o}"
