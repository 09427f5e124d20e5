"""Sees slow system calls while they are in flight, without stopping anything, by sampling.

/proc/<pid>/task/<tid>/syscall (proc(5)) gives number and arguments of the call that a thread is
blocked in. Descriptors are looked up in /proc/<pid>/fd, pointers in /proc/<pid>/mem. A call that
is over before we come is not seen: only slow ones matter. A call that is seen at several looks in
a row counts from halfway after the last look that did not see it to halfway before the next, so
that over many calls the times come out right.
"""

import os
import platform
import posixpath
import socket
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kubelag.model.evidence import Look
from kubelag.model.units import counted
from kubelag.observe.call_targets import Target, targets
from kubelag.observe.kept_files import KeptFiles, ids, link
from kubelag.observe.periodic import Periodic

INTERVAL_S = 0.002
"""Between two looks, where that costs little; with 30 threads it was 11 ms (Periodic)."""
CALM_S, CALM_INTERVAL_S = 0.2, 0.01
"""A run that is over by then was hardly slow, and would pay most for being looked at."""
_PAGE_BYTES = 4096
_SOCKADDR_IN_BYTES = 16
_SOCKADDR_IN6_BYTES = 28
_AT_FDCWD = 0xFFFFFF9C
_32_BIT = 1 << 32
"""The stack of a 64-bit program lies above; a 32-bit one numbers its calls otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One call that was seen in flight, or several on the same file that no look told apart."""

    tid: int
    name: str
    first_ns: int
    """The first look that saw it, on the wall clock."""
    last_ns: int
    """The last look that saw it; the same where there was one."""
    start_ns: int
    """Halfway between the look before and the first that saw it."""
    end_ns: int
    """Halfway between the last look that saw it and the next."""
    path: str | None = None
    address: str | None = None


class InFlightWatcher:
    """Looks at every thread of some processes, in a thread, from `start` to `stop`.

    Args:
        pids: The processes that live now.
        interval_s: Between two looks.
        proc: Where /proc is.
    """

    def __init__(
        self,
        pids: Callable[[], Iterable[int]],
        interval_s: float = INTERVAL_S,
        proc: str = "/proc",
    ) -> None:
        self._pids = pids
        self._proc = proc
        self._files = KeptFiles()
        self._targets = targets(platform.machine())
        self._looks = 0
        self._refused: set[str] = set()
        self._ticked_ns = 0
        self._looked_ns: dict[str, int] = {}
        self._open: dict[str, tuple[bytes, Sighting]] = {}
        self._closed: list[Sighting] = []
        self._pace = Periodic(
            tick=self._tick, interval_s=interval_s, name="in-flight", calm=(CALM_S, CALM_INTERVAL_S)
        )

    def start(self) -> None:
        """Begin."""
        self._ticked_ns = time.time_ns()
        self._pace.start()

    def stop(self) -> tuple[tuple[Sighting, ...], Look]:
        """End; what was seen, by start."""
        self._pace.stop()
        self._files.close()
        for tid in tuple(self._open):
            self._close(tid, self._open[tid][1].last_ns)
        return tuple(sorted(self._closed, key=lambda one: one.start_ns)), self._look_back()

    def _look_back(self) -> Look:
        why_not = self._why_not()
        cost = f"{self._pace.cost_ratio:.1%} of one processor"
        return Look(
            observer="calls_in_flight",
            state="could_not_look" if why_not else "looked",
            how=why_not or f"{self._pace.ticks:,} looks at /proc/<pid>/syscall, {cost}",
            events=len(self._closed),
        )

    def _why_not(self) -> str:
        """Why not every thread was looked at, empty where each was: the others may be guilty."""
        if not self._targets:
            return f"the numbers of system calls on {platform.machine()} are not known"
        if self._refused:
            threads = counted(len(self._refused), "thread")
            return f"{threads} may not be looked at (another user's, or of a 32-bit program)"
        return "" if self._looks else "the kernel does not tell what threads wait in"

    def _tick(self) -> None:
        seen = set()
        for pid in self._pids():
            for tid in ids(f"{self._proc}/{pid}/task"):
                seen.add(tid)
                self._look(pid, tid)
        self._ticked_ns = time.time_ns()
        for tid in self._looked_ns.keys() - seen:
            self._close(tid, self._ticked_ns)
            del self._looked_ns[tid]
        self._files.forget_vanished()

    def _look(self, pid: int, tid: str) -> None:
        path = f"{self._proc}/{pid}/task/{tid}/syscall"
        state = self._files.read(path)
        if state is None:
            self._note_refusal(path, tid)
            return
        self._looks += 1
        at_ns, before_ns = time.time_ns(), self._looked_ns.get(tid, self._ticked_ns)
        self._looked_ns[tid] = at_ns
        call = self._call(pid, tid, state)
        known, sighting = self._open.get(tid, (b"", None))
        # A descriptor or a buffer may be another file's by now, with all numbers the same.
        if sighting and call and known == state and _file_of(sighting) == call[1:]:
            self._open[tid] = known, replace(sighting, last_ns=at_ns)
            return
        self._close(tid, at_ns)
        # Only a call that is the same before and after was certainly the one that was looked up.
        if call and self._files.read(path) == state:
            name, where, address = call
            self._open[tid] = (
                state,
                Sighting(
                    tid=int(tid),
                    name=name,
                    first_ns=at_ns,
                    last_ns=at_ns,
                    start_ns=(before_ns + at_ns) // 2,
                    end_ns=at_ns,
                    path=where,
                    address=address,
                ),
            )

    def _note_refusal(self, path: str, tid: str) -> None:
        """A thread that has gone is no loss; one that is hidden from us is."""
        if tid not in self._refused and _is_forbidden(path):
            self._refused.add(tid)

    def _call(self, pid: int, tid: str, state: bytes) -> tuple[str, str | None, str | None] | None:
        """Name, file and address of the call in flight, None where it is none that matters."""
        target = self._targets.get(state.split(b" ", 1)[0])
        registers = _registers(state) if target else None
        if target is None or registers is None:
            return None
        *arguments, stack, _ = registers
        if stack < _32_BIT:
            self._refused.add(tid)
            return None
        where, address = self._resolve(pid, target, arguments)
        return (target.name, where, address) if where or address else None

    def _close(self, tid: str, next_ns: int) -> None:
        """The call is over: it was not seen at this next look."""
        _, sighting = self._open.pop(tid, (b"", None))
        if sighting is not None:
            end_ns = (sighting.last_ns + next_ns) // 2
            self._closed.append(replace(sighting, end_ns=end_ns))

    def _resolve(
        self, pid: int, target: Target, arguments: Sequence[int]
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
        base = directory or _file(f"{self._proc}/{pid}/cwd")
        return (posixpath.join(base, name) if base and name else base), None

    def _descriptor(self, pid: int, number: int) -> str | None:
        if number & 0xFFFFFFFF == _AT_FDCWD:
            return _file(f"{self._proc}/{pid}/cwd")
        return _file(f"{self._proc}/{pid}/fd/{number & 0xFFFFFFFF}")

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


def _file_of(sighting: Sighting) -> tuple[str | None, str | None]:
    return sighting.path, sighting.address


def _is_forbidden(path: str) -> bool:
    try:
        Path(path).read_bytes()
    except PermissionError:
        return True
    except OSError:
        pass
    return False


def _registers(state: bytes) -> tuple[int, ...] | None:
    """Six arguments, stack and program counter of `74 0x7 0x0 ... sp pc`; None for `running`."""
    fields = state.split()
    if len(fields) != 9:  # noqa: PLR2004 - number, six arguments, stack, program counter: proc(5)
        return None
    try:
        return tuple(int(field, 16) for field in fields[1:])
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


def _file(path: str) -> str | None:
    """What a link under /proc leads to; a file that was deleted since keeps its name."""
    target = link(path)
    return target.removesuffix(" (deleted)") if target else target
