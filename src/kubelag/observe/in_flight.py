"""Sees what slow system calls act on while they are in flight, without stopping anything.

/proc/<pid>/task/<tid>/syscall (proc(5)) gives number and arguments of the call that a thread is
blocked in. Descriptors are looked up in /proc/<pid>/fd, pointers in /proc/<pid>/mem. A call that
is over before we come is not seen: only slow ones matter.
"""

import os
import platform
import posixpath
import socket
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kubelag.observe import proc_text
from kubelag.observe.kept_files import KeptFiles
from kubelag.observe.periodic import Periodic
from kubelag.observe.tracefs_story import Sighting

INTERVAL_S = 0.002
"""A call twice as long is certainly seen; the pace drops where it would cost too much."""
_PAGE_BYTES = 4096
_SOCKADDR_IN_BYTES = 16
_SOCKADDR_IN6_BYTES = 28
_AT_FDCWD = 0xFFFFFF9C
# Processes are looked for less often than threads, since each costs a file per thread.
_TREE_EVERY = 10


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


class InFlightWatcher:
    """Looks at every thread of a process tree, in a thread, from `start` to `stop`."""

    def __init__(self, root: int, interval_s: float = INTERVAL_S, proc: str = "/proc") -> None:
        self._root = root
        self._proc = proc
        self._files = KeptFiles()
        self._targets = targets(platform.machine())
        self._pids: tuple[int, ...] = (root,)
        self._ticks = 0
        self._sightings: list[Sighting] = []
        self._pace = Periodic(tick=self._tick, interval_s=interval_s, name="in-flight")

    def start(self) -> None:
        """Begin."""
        self._pace.start()

    def stop(self) -> tuple[Sighting, ...]:
        """End; what was seen, in order, on CLOCK_MONOTONIC."""
        self._pace.stop()
        self._files.close()
        return tuple(self._sightings)

    @property
    def cost_ratio(self) -> float:
        """Own processor time over elapsed time."""
        return self._pace.cost_ratio

    def _tick(self) -> None:
        if self._ticks % _TREE_EVERY == 0:
            self._pids = tuple(self._tree())
        self._ticks += 1
        for pid in self._pids:
            for tid in _threads(f"{self._proc}/{pid}/task"):
                self._look(pid, tid)

    def _tree(self) -> Iterable[int]:
        todo = [self._root]
        for pid in todo:
            yield pid
            for tid in _threads(f"{self._proc}/{pid}/task"):
                text = self._files.read(f"{self._proc}/{pid}/task/{tid}/children") or b""
                todo.extend(proc_text.parse_pids(text.decode(errors="replace")))

    def _look(self, pid: int, tid: str) -> None:
        path = f"{self._proc}/{pid}/task/{tid}/syscall"
        state = self._files.read(path)
        if state is None:
            return
        target = self._targets.get(state.split(b" ", 1)[0])
        if target is None:
            return
        at_ns = time.monotonic_ns()
        arguments = _arguments(state)
        if arguments is None:
            return
        where, address = self._resolve(pid, target, arguments)
        # Only a call that is the same before and after was certainly the one that was looked up.
        if (where or address) and self._files.read(path) == state:
            self._sightings.append(
                Sighting(tid=int(tid), name=target.name, at_ns=at_ns, path=where, address=address)
            )

    def _resolve(
        self, pid: int, target: Target, arguments: tuple[int, ...]
    ) -> tuple[str | None, str | None]:
        if target.address is not None:
            data = self._memory(pid, arguments[target.address], _SOCKADDR_IN6_BYTES)
            return None, parse_socket_address(data)
        directory = None if target.fd is None else self._descriptor(pid, arguments[target.fd])
        if target.path is None:
            return directory, None
        name = self._string(pid, arguments[target.path])
        if name is None or name.startswith("/"):
            return name, None
        base = directory or _link(f"{self._proc}/{pid}/cwd")
        return (posixpath.join(base, name) if base and name else base), None

    def _descriptor(self, pid: int, number: int) -> str | None:
        if number & 0xFFFFFFFF == _AT_FDCWD:
            return _link(f"{self._proc}/{pid}/cwd")
        return _link(f"{self._proc}/{pid}/fd/{number & 0xFFFFFFFF}")

    def _string(self, pid: int, pointer: int) -> str | None:
        """A path in the process's memory, which may go on into a second page."""
        first = _PAGE_BYTES - pointer % _PAGE_BYTES
        data = self._memory(pid, pointer, first)
        if data and b"\0" not in data:
            data += self._memory(pid, pointer + first, _PAGE_BYTES)
        text, end, _ = data.partition(b"\0")
        return os.fsdecode(text) if end else None

    def _memory(self, pid: int, pointer: int, count: int) -> bytes:
        try:
            with Path(f"{self._proc}/{pid}/mem").open("rb", buffering=0) as memory:
                return os.pread(memory.fileno(), count, pointer)
        except (OSError, OverflowError):
            return b""


def _arguments(state: bytes) -> tuple[int, ...] | None:
    """The six arguments in a line such as `74 0x7 0x0 ... sp pc`; None for `running` or junk."""
    fields = state.split()
    if len(fields) != 9:  # noqa: PLR2004 - number, six arguments, stack, program counter: proc(5)
        return None
    try:
        return tuple(int(field, 16) for field in fields[1:7])
    except ValueError:
        return None


def parse_socket_address(data: bytes) -> str | None:
    """`IP:port` of a sockaddr_in or sockaddr_in6; None for any other kind and for junk."""
    if len(data) < _SOCKADDR_IN_BYTES:
        return None
    family = struct.unpack_from("=H", data)[0]
    port = struct.unpack_from(">H", data, 2)[0]
    if family == socket.AF_INET:
        return f"{socket.inet_ntop(socket.AF_INET, data[4:8])}:{port}"
    if family == socket.AF_INET6 and len(data) >= _SOCKADDR_IN6_BYTES:
        return f"[{socket.inet_ntop(socket.AF_INET6, data[8:24])}]:{port}"
    return None


def _threads(path: str) -> list[str]:
    try:
        return os.listdir(path)  # noqa: PTH208 - ten times faster than iterdir, at 500 Hz
    except OSError:
        return []


def _link(path: str) -> str | None:
    try:
        return os.readlink(path).removesuffix(" (deleted)")  # noqa: PTH115 - at 500 Hz
    except OSError:
        return None
