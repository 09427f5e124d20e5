"""Writes the classic BPF programs that answer some system calls with "done" without doing them.

Pure: a program here is a tuple of instructions; `kubelag.launch.seccomp` hands it to the kernel.

Sources: seccomp(2) and `linux/seccomp.h`, `linux/audit.h`, `linux/filter.h`; the numbers are from
`arch/x86/entry/syscalls/syscall_64.tbl` and `asm-generic/unistd.h` (aarch64).
"""

from collections.abc import Mapping
from typing import NamedTuple

AUDIT_ARCH_X86_64 = 0xC000003E
AUDIT_ARCH_AARCH64 = 0xC00000B7

SYNC_CALLS: Mapping[int, Mapping[str, int]] = {
    AUDIT_ARCH_X86_64: {
        "fsync": 74,
        "fdatasync": 75,
        "sync": 162,
        "sync_file_range": 277,
        "syncfs": 306,
    },
    AUDIT_ARCH_AARCH64: {
        "sync": 81,
        "fsync": 82,
        "fdatasync": 83,
        "sync_file_range": 84,
        "syncfs": 267,
    },
}
"""Number of every call that only waits for a disk, by audit architecture."""

UNUSED_CALLS = (990, 991, 992, 993, 994)
"""As many numbers that no architecture has given to a call: for the placebo, whose program is thus
as long as the real one. Linux 6.18 ends at 470."""

X32_BIT = 0x40000000
"""Calls of the x32 ABI carry this bit under the x86_64 audit architecture."""

RET_ALLOW = 0x7FFF0000
RET_DONE = 0x00050000
"""SECCOMP_RET_ERRNO with errno 0: the caller sees the call return 0."""

_LOAD_WORD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JUMP_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_JUMP_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K
_NUMBER_OFFSET = 0  # of struct seccomp_data
_ARCH_OFFSET = 4


class Instruction(NamedTuple):
    """One `struct sock_filter`."""

    code: int
    if_true: int
    """How many instructions to skip where the comparison holds."""
    if_false: int
    operand: int


def answer_done(calls: Mapping[int, tuple[int, ...]]) -> tuple[Instruction, ...]:
    """A program that answers the given calls with 0 and lets every other call through.

    A call of another architecture (i386 or x32 on x86_64, 32-bit ARM on aarch64) goes through.

    Args:
        calls: Call numbers by audit architecture.
    """
    program = [Instruction(_LOAD_WORD, 0, 0, _ARCH_OFFSET)]
    for architecture, numbers in calls.items():
        block = _block(numbers)
        program += [Instruction(_JUMP_EQUAL, 0, len(block), architecture), *block]
    return (*program, Instruction(_RETURN, 0, 0, RET_ALLOW))


def _block(numbers: tuple[int, ...]) -> list[Instruction]:
    """Decide for one architecture; always returns, never falls through."""
    to_allow = len(numbers)
    tests = [
        Instruction(_JUMP_EQUAL, len(numbers) - at, 0, number) for at, number in enumerate(numbers)
    ]
    return [
        Instruction(_LOAD_WORD, 0, 0, _NUMBER_OFFSET),
        Instruction(_JUMP_AT_LEAST, to_allow, 0, X32_BIT),
        *tests,
        Instruction(_RETURN, 0, 0, RET_ALLOW),
        Instruction(_RETURN, 0, 0, RET_DONE),
    ]
