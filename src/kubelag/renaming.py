"""Renames in one step, in the two ways that Python has no name for: renameat2(2)."""

import ctypes
import errno
import os
from pathlib import Path

# fcntl.h and linux/fs.h
_AT_FDCWD = -100
_NO_REPLACE = 1
_EXCHANGE = 2
# What a C library, kernel or file system answers that cannot do it (NFS and some FUSE: EINVAL).
_CANNOT = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})


def exchange(one: Path, other: Path) -> bool:
    """Swap two names at once; False where the file system cannot.

    Raises:
        OSError: One of them is not there, or may not be renamed.
    """
    try:
        _renameat2(one, other, _EXCHANGE)
    except OSError as error:
        if error.errno in _CANNOT:
            return False
        raise
    return True


def rename_to_new(source: Path, target: Path) -> None:
    """Rename to a name that nothing has; where the file system cannot, in two steps.

    Raises:
        FileExistsError: Something has that name.
        OSError: The source is not there, or may not be renamed.
    """
    try:
        _renameat2(source, target, _NO_REPLACE)
    except OSError as error:
        if error.errno not in _CANNOT or os.path.lexists(target):
            raise
        source.rename(target)


def _renameat2(source: Path, target: Path, flags: int) -> None:
    names = os.fsencode(source), os.fsencode(target)
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError as error:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from error
    if call(_AT_FDCWD, names[0], _AT_FDCWD, names[1], flags) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(source), None, str(target))
