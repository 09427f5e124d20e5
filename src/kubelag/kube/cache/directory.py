"""The only hand that touches the cache: one open directory at a time, no link followed.

Everything is done relative to an open directory, so that nobody can swap a part of the path for a
link between a check and its use. Every failure is an `OSError` with the whole path and a clause in
it, refusals of our own among them.
"""

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

DIRECTORY_MODE = 0o750
"""As kubectl makes them (CVE-2019-11244, kubernetes/kubernetes#76676)."""
SHARED_FILE_MODE = 0o660
"""Of kubectl's files, as kubectl makes them."""
OWN_FILE_MODE = 0o600
"""Of files that only kubelag reads."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_READ_BYTES = 1 << 20


class Directory:
    """An open directory of the cache.

    Args:
        descriptor: Closed with it.
        path: For messages.
        uid: Whose it must be before anything is written.
    """

    __slots__ = ("descriptor", "path", "uid")

    def __init__(self, descriptor: int, path: str, uid: int) -> None:
        self.descriptor = descriptor
        self.path = path
        self.uid = uid

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self,
        _kind: "type[BaseException] | None",
        _error: "BaseException | None",
        _trace: "TracebackType | None",
    ) -> None:
        os.close(self.descriptor)

    def itself(self) -> os.stat_result:
        """What it is."""
        return os.fstat(self.descriptor)

    def set_mode(self, mode: int) -> None:
        """Change its own permissions.

        Raises:
            OSError: If they cannot be.
        """
        with _Named(self, ""):
            os.fchmod(self.descriptor, mode)

    def check(self) -> None:
        """Refuse a directory that is not ours, or that others may write to.

        Raises:
            OSError: With the reason.
        """
        if why := why_not_ours(os.fstat(self.descriptor), self.uid):
            raise OSError(errno.EPERM, why, self.path)

    def child(self, name: str, *, is_made: bool = False, may_be_link: bool = False) -> "Directory":
        """Open a directory in it.

        Args:
            name: One name, no path.
            is_made: Whether it is created where it is missing.
            may_be_link: Only of `discovery` and `http`, which a remedy of ours links to memory.

        Raises:
            OSError: If it cannot be opened or is a link.
        """
        flags = _DIRECTORY | (0 if may_be_link else os.O_NOFOLLOW)
        with _Named(self, name):
            if is_made:
                _make(name, self.descriptor)
            descriptor = os.open(name, flags, dir_fd=self.descriptor)
        return Directory(descriptor, f"{self.path}/{name}", self.uid)

    def descend(self, relative: str, *, is_made: bool = False) -> "Directory":
        """Open a directory below it, part by part; when made, every part is checked to be ours.

        Raises:
            OSError: If a part cannot be opened, is a link, or is not ours.
        """
        at = Directory(os.dup(self.descriptor), self.path, self.uid)
        for name in filter(None, relative.split("/")):
            with at:
                at = at.child(name, is_made=is_made)
            if is_made:
                at.check_or_close()
        return at

    def check_or_close(self) -> None:
        """As `check`; a refused directory is closed."""
        try:
            self.check()
        except OSError:
            os.close(self.descriptor)
            raise

    def read(self, name: str) -> "tuple[bytes, os.stat_result]":
        """A file's content and what it is; of what is no regular file, no content.

        Raises:
            OSError: If it is not there, is a link, or may not be read.
        """
        with _Named(self, name):
            descriptor = os.open(name, _READ, dir_fd=self.descriptor)
            try:
                return _read(descriptor)
            finally:
                os.close(descriptor)

    def stat(self, name: str) -> "os.stat_result | None":
        """What is there under that name, links not followed; None if there is nothing."""
        try:
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except OSError:
            return None

    def write(
        self,
        name: str,
        data: bytes,
        mode: int,
        *,
        modified_ns: "int | None" = None,
    ) -> None:
        """Put a whole file in the place of what was there: temporary, one write, rename, no sync.

        Raises:
            OSError: If it cannot be; nothing is left behind.
        """
        temporary = f"{name}.{random_digits()}"
        with _Named(self, name):
            descriptor = self.create(temporary)
            try:
                try:
                    write_all(descriptor, data)
                    os.fchmod(descriptor, mode)
                    if modified_ns is not None:
                        os.utime(descriptor, ns=(modified_ns, modified_ns))
                finally:
                    os.close(descriptor)
                self.rename(temporary, self, name)
            except BaseException:
                self.forget(temporary)
                raise

    def create(self, name: str) -> int:
        """A descriptor of a new file that only we may read."""
        return os.open(name, _CREATE, OWN_FILE_MODE, dir_fd=self.descriptor)

    def rename(self, name: str, target: "Directory", new_name: str) -> None:
        """Move a file, replacing what was there."""
        os.rename(name, new_name, src_dir_fd=self.descriptor, dst_dir_fd=target.descriptor)

    def renew(self, name: str, modified_ns: int) -> None:
        """Set the time of a file that is unchanged.

        Raises:
            OSError: If it is not ours or a link.
        """
        with _Named(self, name):
            times = (modified_ns, modified_ns)
            os.utime(name, ns=times, dir_fd=self.descriptor, follow_symlinks=False)

    def unlink(self, name: str) -> None:
        """Remove a file or a link.

        Raises:
            OSError: If it cannot be.
        """
        with _Named(self, name):
            os.unlink(name, dir_fd=self.descriptor)

    def forget(self, name: str) -> None:
        """Remove a file if it is there and can be."""
        try:  # noqa: SIM105 - contextlib costs an import
            os.unlink(name, dir_fd=self.descriptor)
        except OSError:
            pass

    def remove_if_empty(self, name: str) -> bool:
        """Remove a directory in it that holds nothing; whether it did."""
        try:
            os.rmdir(name, dir_fd=self.descriptor)
        except OSError:
            return False
        return True

    def entries(self) -> "Iterator[tuple[str, os.stat_result]]":
        """Names and what they are, sorted, links not followed.

        Raises:
            OSError: If it cannot be listed.
        """
        with _Named(self, ""):
            names = sorted(os.listdir(self.descriptor))  # noqa: PTH208 - an open one
        for name in names:
            if (found := self.stat(name)) is not None:
                yield name, found


def open_root(path: str, uid: int, *, is_made: bool = False) -> Directory:
    """Open the root of the cache; it may be a link, since a remedy of ours makes it one.

    Raises:
        OSError: If it cannot be opened or made.
    """
    if is_made:
        _make_path(path, uid)
    return Directory(os.open(path, _DIRECTORY), path, uid)


def open_host(root: str, relative: str, uid: int, *, is_made: bool = False) -> Directory:
    """Open a server's directory below `discovery/`; when made, every part is checked to be ours.

    Raises:
        OSError: If a part cannot be opened, or is not ours where something is to be written.
    """
    if not relative:
        raise OSError(errno.EINVAL, "the server's URL gives no directory below it", root)
    with open_root(root, uid, is_made=is_made) as top:
        discovery = open_part(top, "discovery", is_made=is_made)
    with discovery:
        return discovery.descend(relative, is_made=is_made)


def open_part(top: Directory, name: str, *, is_made: bool = False) -> Directory:
    """Open `discovery` or `http` below an open root; when made, both are checked to be ours.

    Raises:
        OSError: If it cannot be opened, or is not ours where something is to be written.
    """
    if is_made:
        top.check()
    part = top.child(name, is_made=is_made, may_be_link=True)
    if is_made:
        part.check_or_close()
    return part


def why_not_ours(found: os.stat_result, uid: int) -> str:
    """Why nothing is written to this directory, a clause; empty if it may be."""
    if found.st_uid != uid:
        return f"it belongs to user {found.st_uid}, and this is user {uid}"
    if found.st_mode & _WRITABLE_BY_OTHERS:
        return f"others may write to it (mode {stat.S_IMODE(found.st_mode):04o})"
    return ""


def as_clause(error: OSError) -> str:
    """What a user is told of a failure: the path, then why."""
    return f"{error.filename}: {error.strerror}"


def random_digits() -> str:
    """The end of a temporary's name, as Go's CreateTemp makes it."""
    return str(int.from_bytes(os.urandom(5), "big"))


def write_all(descriptor: int, data: bytes) -> None:
    """Write everything, in one call where the kernel takes it so."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


class _Named:
    """Gives every OSError its whole path; a link is called a link."""

    def __init__(self, directory: Directory, name: str) -> None:
        self._directory = directory
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        _kind: "type[BaseException] | None",
        error: "BaseException | None",
        _trace: "TracebackType | None",
    ) -> None:
        if isinstance(error, OSError):
            path = f"{self._directory.path}/{self._name}".rstrip("/")
            raise OSError(error.errno, self._clause(error), path) from error

    def _clause(self, error: OSError) -> str:
        found = self._directory.stat(self._name) if error.errno in _LINK_ERRORS else None
        if found is not None and stat.S_ISLNK(found.st_mode):
            return "it is a symbolic link, which kubelag does not follow"
        return error.strerror or str(error)


# O_NOFOLLOW says ELOOP, together with O_DIRECTORY it says ENOTDIR.
_LINK_ERRORS = (errno.ELOOP, errno.ENOTDIR)


def _read(descriptor: int) -> "tuple[bytes, os.stat_result]":
    found = os.fstat(descriptor)
    pieces = []
    if stat.S_ISREG(found.st_mode):
        while piece := os.read(descriptor, _READ_BYTES):
            pieces.append(piece)
    return b"".join(pieces), found


def _make(name: str, parent: int) -> None:
    try:  # noqa: SIM105 - contextlib costs an import
        os.mkdir(name, DIRECTORY_MODE, dir_fd=parent)
    except FileExistsError:
        pass


def _make_path(path: str, uid: int) -> None:
    """Make a path; root makes nothing in a directory of somebody else's, such as a user's home."""
    if os.path.isdir(path):  # noqa: PTH112 - pathlib costs an import
        return
    parent = os.path.dirname(path)  # noqa: PTH120 - the same
    _make_path(parent, uid)
    if uid == 0 and (owner := os.stat(parent).st_uid) != 0:  # noqa: PTH116 - the same
        raise OSError(errno.EPERM, f"it belongs to user {owner}, and this is user 0", parent)
    try:  # noqa: SIM105 - the same
        os.mkdir(path, DIRECTORY_MODE)  # noqa: PTH102 - the same
    except FileExistsError:
        pass
