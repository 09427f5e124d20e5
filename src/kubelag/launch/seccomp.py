"""Puts a seccomp filter on this process and all that it starts; no privilege, no dependency.

The filter is inherited over fork and exec and can never be taken off again. A process without
CAP_SYS_ADMIN has to give up gaining privileges first (`no_new_privs`), so that setuid helpers,
`sudo` for one, no longer work below it; a process that has it keeps them.

Fork first, then `install` in the child: the program is built beforehand, and `install` makes two
or three system calls and allocates next to nothing.
"""

import ctypes
import errno
import os
import platform
from dataclasses import dataclass

from kubelag.errors import KubelagError
from kubelag.launch import bpf

_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_SET_MODE_FILTER = 1
# Without it kernels before 5.16 slow every filtered process by their Spectre v4 mitigation.
_SECCOMP_FILTER_FLAG_SPEC_ALLOW = 1 << 2
_SECCOMP_GET_ACTION_AVAIL = 2
_SECCOMP_CALLS = {"x86_64": 317, "aarch64": 277}


class SeccompError(KubelagError):
    """The kernel, or the container that we are in, does not let us filter system calls."""


class _SockFilter(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("jt", ctypes.c_uint8),
        ("jf", ctypes.c_uint8),
        ("k", ctypes.c_uint32),
    )


class _SockFprog(ctypes.Structure):
    _fields_ = (("len", ctypes.c_uint16), ("filter", ctypes.POINTER(_SockFilter)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A filter, ready for the kernel."""

    header: _SockFprog
    libc: ctypes.CDLL
    call: int
    """Number of seccomp(2) on this machine."""


def no_sync_program() -> Program:
    """fsync, fdatasync, sync_file_range, syncfs and sync succeed at once."""
    return _ready(
        bpf.answer_done({arch: tuple(calls.values()) for arch, calls in bpf.SYNC_CALLS.items()})
    )


def placebo_program() -> Program:
    """The same filter on calls that nobody makes: costs as much and changes nothing."""
    return _ready(bpf.answer_done(dict.fromkeys(bpf.SYNC_CALLS, bpf.UNUSED_CALLS)))


def _ready(instructions: tuple[bpf.Instruction, ...]) -> Program:
    call = _SECCOMP_CALLS.get(platform.machine())
    if call is None:
        raise SeccompError(
            f"system calls are filtered on x86_64 and aarch64 only, not on {platform.machine()}",
            "run the command without --no-sync",
        )
    array = (_SockFilter * len(instructions))(*(_SockFilter(*one) for one in instructions))
    header = _SockFprog(len(instructions), ctypes.cast(array, ctypes.POINTER(_SockFilter)))
    return Program(header=header, libc=ctypes.CDLL(None, use_errno=True), call=call)


def install(program: Program) -> None:
    """Filter this thread and all that it starts from now on, for good.

    Raises:
        SeccompError: Where the kernel refuses.
    """
    if _set_filter(program, _SECCOMP_FILTER_FLAG_SPEC_ALLOW):
        return
    if ctypes.get_errno() == errno.EINVAL and _set_filter(program, 0):  # before Linux 4.17
        return
    if ctypes.get_errno() == errno.EACCES:  # not privileged
        program.libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if _set_filter(program, _SECCOMP_FILTER_FLAG_SPEC_ALLOW) or _set_filter(program, 0):
            return
    raise SeccompError(
        f"the kernel refused the system call filter: {os.strerror(ctypes.get_errno())}",
        "a container may forbid it; run outside it or without --no-sync",
    )


def _set_filter(program: Program, flags: int) -> bool:
    header = ctypes.byref(program.header)
    return bool(program.libc.syscall(program.call, _SECCOMP_SET_MODE_FILTER, flags, header) == 0)


def probe() -> str | None:
    """Why no filter can be set here, in one clause; None where it can.

    Asks the kernel whether it knows the action; nothing is filtered by asking.
    """
    try:
        program = no_sync_program()
    except SeccompError as error:
        return error.message
    action = ctypes.c_uint32(bpf.RET_DONE)
    if program.libc.syscall(program.call, _SECCOMP_GET_ACTION_AVAIL, 0, ctypes.byref(action)) == 0:
        return None
    reason = os.strerror(ctypes.get_errno())
    return f"the kernel or the container forbids system call filters ({reason})"
