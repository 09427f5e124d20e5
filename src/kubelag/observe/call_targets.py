"""What each system call acts on, by its number: which argument names its file or address."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a call's arguments name its target; numbers are argument positions from 0."""

    name: str
    fd: int | None = None
    """A descriptor; the directory where there is a path too."""
    path: int | None = None
    """A pointer to a path."""
    address: int | None = None
    """A pointer to a socket address."""


_BY_FD = (
    "fsync fdatasync sync_file_range syncfs close getdents64 fchmod write pwrite64 ftruncate flock"
)
_BY_PATH = "open creat mkdir unlink rmdir stat lstat chmod readlink access truncate execve"
_BY_DIRECTORY = (
    "openat openat2 mkdirat unlinkat newfstatat statx readlinkat faccessat faccessat2 fchmodat "
    "fchmodat2 execveat"
)
# From the kernel's arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
_X86_64 = (
    "write=1 open=2 close=3 stat=4 lstat=6 pwrite64=18 access=21 connect=42 execve=59 flock=73 "
    "fsync=74 fdatasync=75 truncate=76 ftruncate=77 rename=82 mkdir=83 rmdir=84 creat=85 unlink=87 "
    "readlink=89 chmod=90 fchmod=91 getdents64=217 openat=257 mkdirat=258 newfstatat=262 "
    "unlinkat=263 renameat=264 readlinkat=267 fchmodat=268 faccessat=269 sync_file_range=277 "
    "syncfs=306 renameat2=316 execveat=322 statx=332 openat2=437 faccessat2=439 fchmodat2=452"
)
_AARCH64 = (
    "flock=32 mkdirat=34 unlinkat=35 renameat=38 truncate=45 ftruncate=46 faccessat=48 fchmod=52 "
    "fchmodat=53 openat=56 close=57 getdents64=61 write=64 pwrite64=68 readlinkat=78 newfstatat=79 "
    "fsync=82 fdatasync=83 sync_file_range=84 connect=203 execve=221 syncfs=267 renameat2=276 "
    "execveat=281 statx=291 openat2=437 faccessat2=439 fchmodat2=452"
)


def targets(machine: str) -> dict[bytes, Target]:
    """Targets by call number (in decimal, as /proc prints it); empty for a machine not known."""
    table = {"x86_64": _X86_64, "aarch64": _AARCH64}.get(machine, "")
    numbers = (entry.split("=") for entry in table.split())
    return {number.encode(): _target(name) for name, number in numbers}


def _target(name: str) -> Target:
    if name in _BY_FD.split():
        return Target(name=name, fd=0)
    if name in _BY_PATH.split():
        return Target(name=name, path=0)
    if name in _BY_DIRECTORY.split():
        return Target(name=name, fd=0, path=1)
    if name == "rename":
        return Target(name=name, path=1)
    if name == "connect":
        return Target(name=name, address=1)
    return Target(name=name, fd=2, path=3)  # renameat, renameat2: the new name
