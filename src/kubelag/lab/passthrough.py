"""A slow file system in user space: another directory, shown with a delay on chosen operations.

Runs as a process of its own, `python -m kubelag.lab.passthrough BACKING MOUNT_POINT …`, until it
is unmounted. Needs mfusepy and libfuse 3; no root.
"""

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

STAT_FIELDS = ("st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_blocks")
STATVFS_FIELDS = ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree")


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Time added to operations, in milliseconds."""

    fsync_ms: float = 0.0
    metadata_ms: float = 0.0
    """Each of lookup, open, create, mkdir and rename, as on a network file system."""
    flush_ms: float = 0.0
    """Each close of a file."""


class Passthrough:
    """The operations of the file system, in the names and shapes that mfusepy calls."""

    use_ns = True
    """Tells mfusepy that times are whole nanoseconds."""

    def __init__(self, backing: str, latency: Latency) -> None:
        self._backing = backing
        self._fsync_s = latency.fsync_ms / 1000
        self._metadata_s = latency.metadata_ms / 1000
        self._flush_s = latency.flush_ms / 1000

    # Lookups, as the kernel sends them: one for each part of a path that it does not remember.

    def getattr(self, path: str, fh: int | None = None) -> Mapping[str, int]:
        """What lstat(2) or fstat(2) says; this is also how libfuse asks for a lookup."""
        if fh is None:
            _delay(self._metadata_s)
        found = os.lstat(self._real(path)) if fh is None else os.fstat(fh)
        times = {
            f"st_{name}": getattr(found, f"st_{name}_ns") for name in ("atime", "mtime", "ctime")
        }
        return {name: getattr(found, name) for name in STAT_FIELDS} | times

    def open(self, path: str, flags: int) -> int:
        """Open a file that exists."""
        _delay(self._metadata_s)
        # The kernel gives every write its offset; O_APPEND would make pwrite(2) ignore it.
        return os.open(self._real(path), flags & ~os.O_APPEND)

    def create(self, path: str, mode: int, flags: int) -> int:
        """Create a file, and open it."""
        _delay(self._metadata_s)
        return os.open(self._real(path), (flags & ~os.O_APPEND) | os.O_CREAT, mode)

    def mkdir(self, path: str, mode: int) -> None:
        """Make a directory."""
        _delay(self._metadata_s)
        os.mkdir(self._real(path), mode)  # noqa: PTH102 - one system call for one operation

    def rename(self, old: str, new: str) -> None:
        """Put a file in another's place."""
        _delay(self._metadata_s)
        os.rename(self._real(old), self._real(new))  # noqa: PTH104 - as above

    # What a disk does with data.

    def fsync(self, _path: str, _datasync: int, _fh: int) -> None:
        """Pretend to wait for the disk; the backing directory has nothing worth keeping."""
        _delay(self._fsync_s)

    def flush(self, _path: str, _fh: int) -> None:
        """One of maybe several closes of an open file."""
        _delay(self._flush_s)

    def read(self, _path: str, size: int, offset: int, fh: int) -> bytes:
        """Bytes at an offset."""
        return os.pread(fh, size, offset)

    def write(self, _path: str, data: bytes, offset: int, fh: int) -> int:
        """How many bytes went to an offset."""
        return os.pwrite(fh, data, offset)

    def release(self, _path: str, fh: int) -> None:
        """The last close."""
        os.close(fh)

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        """Cut or extend a file."""
        os.truncate(self._real(path) if fh is None else fh, length)

    # The rest, without delay.

    def readdir(self, path: str, _fh: int) -> Sequence[str]:
        """Names in a directory."""
        return (".", "..", *os.listdir(self._real(path)))  # noqa: PTH208 - names, not paths

    def unlink(self, path: str) -> None:
        """Remove a file."""
        os.unlink(self._real(path))  # noqa: PTH108 - one system call for one operation

    def rmdir(self, path: str) -> None:
        """Remove an empty directory."""
        os.rmdir(self._real(path))  # noqa: PTH106 - as above

    def symlink(self, link: str, target: str) -> None:
        """Make a symbolic link with this text."""
        os.symlink(target, self._real(link))  # noqa: PTH211 - as above

    def readlink(self, path: str) -> str:
        """The text of a symbolic link."""
        return os.readlink(self._real(path))  # noqa: PTH115 - as above

    def link(self, new: str, existing: str) -> None:
        """Give a file a second name."""
        os.link(self._real(existing), self._real(new))

    def chmod(self, path: str, mode: int) -> None:
        """Change permissions."""
        os.chmod(self._real(path), mode)  # noqa: PTH101 - as above

    def chown(self, path: str, uid: int, gid: int) -> None:
        """Change the owner; -1 leaves one alone."""
        os.chown(self._real(path), uid, gid, follow_symlinks=False)

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> None:
        """Set access and modification time, in nanoseconds."""
        real = self._real(path)
        if times is None:
            os.utime(real, follow_symlinks=False)
        else:
            os.utime(real, ns=times, follow_symlinks=False)

    def statfs(self, path: str) -> Mapping[str, int]:
        """Room left on the backing file system."""
        found = os.statvfs(self._real(path))
        return {name: getattr(found, name) for name in STATVFS_FIELDS}

    def _real(self, path: str) -> str:
        return self._backing + path


def _delay(duration_s: float) -> None:
    if duration_s:
        time.sleep(duration_s)


def main() -> None:
    """Serve the file system in the foreground until it is unmounted."""
    parser = argparse.ArgumentParser(prog="python -m kubelag.lab.passthrough")
    parser.add_argument("backing")
    parser.add_argument("mount_point")
    parser.add_argument("--fsync-ms", type=float, default=0.0)
    parser.add_argument("--metadata-ms", type=float, default=0.0)
    parser.add_argument("--flush-ms", type=float, default=0.0)
    args = parser.parse_args()
    import mfusepy  # noqa: PLC0415 - loads libfuse, which only this process needs

    os.umask(0)  # the kernel has applied the caller's umask already
    latency = Latency(fsync_ms=args.fsync_ms, metadata_ms=args.metadata_ms, flush_ms=args.flush_ms)
    shown = Passthrough(args.backing, latency)
    try:
        mfusepy.FUSE(shown, args.mount_point, foreground=True, fsname="kubelag")
    except RuntimeError as error:  # libfuse has said why on standard error
        sys.exit(f"libfuse ended with code {error}")


if __name__ == "__main__":
    main()
