"""Directories and files that nobody else may read: keys, tokens, kubeconfigs."""

import os
import stat
from pathlib import Path

from kubelag.errors import LabError


def make_private_directory(directory: Path) -> Path:
    """Create a directory 0700, or accept one that is already ours and private.

    Raises:
        LabError: It is a link, belongs to somebody else, or is open to others.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.lstat()
    except OSError as error:
        raise LabError(
            f"Cannot create the lab's directory {directory}: {error.strerror}",
            "name a directory that you may write",
        ) from error
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if not is_ours or found.st_mode & 0o077:
        raise LabError(
            f"The lab's directory {directory} is not private to you",
            "name one that does not exist yet",
        )
    return directory


def write_private(path: Path, content: bytes | str) -> Path:
    """Put a file of mode 0600 in place, whole or not at all."""
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
    temporary.replace(path)
    return path
