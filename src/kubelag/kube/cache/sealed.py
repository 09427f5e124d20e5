"""A sealed file: two sections, each with its length and SHA-256, so that damage reads as absence.

Nothing here is ever synced, so a crash may leave a file short, empty or full of NULs. That is safe
only if every reading is verified and a mismatch is a miss. The checksum guards against accidents;
against other people there are ownership and permissions, which are checked as well.

Layout, integers big-endian: magic (8 bytes), version (4), length of the first section (8), of the
second (8), SHA-256 of the second (32), SHA-256 of all of the above and of the first section (32);
then the sections. The first can be read and verified without the second.
"""

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import sha256
else:
    # hashlib loads OpenSSL, 3 ms. The bare module is what random.py takes for its SHA-512, too.
    try:
        from _sha2 import sha256
    except ImportError:
        try:
            from _sha256 import sha256  # before Python 3.12
        except ImportError:
            from hashlib import sha256

MAGIC = b"kubelag\x00"
FUTURE_S = 60
"""A file whose time is further ahead than this is not believed. Arbitrary; clocks jump by less."""

_LENGTHS_AT = 12
_SECOND_AT = 28
_FIRST_AT = 60
HEADER_BYTES = 92
_FIRST_READ_BYTES = 1 << 16
"""Holds the first section of about 130 group-versions, so that they take one read."""
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def seal(version: int, first: bytes, second: bytes = b"") -> bytes:
    """The whole file."""
    lengths = len(first).to_bytes(8, "big") + len(second).to_bytes(8, "big")
    head = MAGIC + version.to_bytes(4, "big") + lengths + sha256(second).digest()
    return b"".join((head, _first_digest(head, first), first, second))


def first_end(data: bytes, version: int) -> "int | None":
    """Where the first section ends; None if this is no such file or too little of one."""
    opening = MAGIC + version.to_bytes(4, "big")
    if len(data) < HEADER_BYTES or not data.startswith(opening):
        return None
    return HEADER_BYTES + _length(data, _LENGTHS_AT)


def open_first(data: bytes, version: int, size: "int | None" = None) -> "bytes | None":
    """The first section.

    Args:
        data: The file, or its beginning.
        version: The only one that is taken.
        size: Length of the whole file where `data` is only its beginning.
    """
    end = first_end(data, version)
    size = len(data) if size is None else size
    if end is None or end > len(data) or end + _length(data, _LENGTHS_AT + 8) != size:
        return None
    first = data[HEADER_BYTES:end]
    is_whole = _first_digest(data[:_FIRST_AT], first) == data[_FIRST_AT:HEADER_BYTES]
    return first if is_whole else None


def open_both(data: bytes, version: int) -> "tuple[bytes, bytes] | None":
    """Both sections."""
    first = open_first(data, version)
    if first is None:
        return None
    second = data[HEADER_BYTES + len(first) :]
    is_whole = sha256(second).digest() == data[_SECOND_AT:_FIRST_AT]
    return (first, second) if is_whole else None


def read_first(path: str, version: int, uid: int, now_s: float) -> "bytes | None":
    """The first section of a file that is ours; None if there is none that can be believed."""
    return _read(path, version, uid, now_s, is_whole=False)


def read_all(path: str, version: int, uid: int, now_s: float) -> "bytes | None":
    """A file that is ours, sections not yet verified; None if there is none to be believed."""
    return _read(path, version, uid, now_s, is_whole=True)


def is_believable(found: os.stat_result, uid: int, now_s: float) -> bool:
    """Whether a file may be ours: we alone may write it, and it is not from the future."""
    return (
        stat.S_ISREG(found.st_mode)
        and found.st_uid == uid
        and not found.st_mode & _WRITABLE_BY_OTHERS
        and found.st_mtime <= now_s + FUTURE_S
    )


def _read(path: str, version: int, uid: int, now_s: float, *, is_whole: bool) -> "bytes | None":
    try:
        descriptor = os.open(path, _FLAGS)
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return None
    try:
        found = os.fstat(descriptor)
        if not is_believable(found, uid, now_s):
            return None
        if is_whole:
            return _read_up_to(descriptor, b"", found.st_size)
        return _read_first(descriptor, version, found.st_size)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _read_first(descriptor: int, version: int, size: int) -> "bytes | None":
    data = os.read(descriptor, _FIRST_READ_BYTES)
    end = first_end(data, version)
    if end is None or end > size:
        return None
    return open_first(_read_up_to(descriptor, data, end), version, size)


def _read_up_to(descriptor: int, data: bytes, end: int) -> bytes:
    pieces = [data]
    have = len(data)
    while have < end and (piece := os.read(descriptor, end - have)):
        pieces.append(piece)
        have += len(piece)
    return b"".join(pieces)


def _first_digest(head: bytes, first: bytes) -> bytes:
    digest = sha256(head)
    digest.update(first)
    return digest.digest()


def _length(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "big")
