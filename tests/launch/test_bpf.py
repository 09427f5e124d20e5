"""The filter programs, run by a tiny interpreter: every architecture, on any machine."""

import struct

import pytest

from kubelag.launch import bpf

I386 = 0x40000003
SYNC_PROGRAM = bpf.answer_done(
    {arch: tuple(calls.values()) for arch, calls in bpf.SYNC_CALLS.items()}
)
PLACEBO_PROGRAM = bpf.answer_done(dict.fromkeys(bpf.SYNC_CALLS, bpf.UNUSED_CALLS))


def decide(program: tuple[bpf.Instruction, ...], number: int, architecture: int) -> int:
    """What the kernel would do; fails on a jump out of the program, as the kernel's check does."""
    data = struct.pack("<II", number, architecture)
    accumulator = 0
    at = 0
    while True:
        one = program[at]
        at += 1
        if one.code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, one.operand)
        elif one.code == 0x15:
            at += one.if_true if accumulator == one.operand else one.if_false
        elif one.code == 0x35:
            at += one.if_true if accumulator >= one.operand else one.if_false
        elif one.code == 0x06:
            return one.operand
        else:
            raise AssertionError(one)


@pytest.mark.parametrize("architecture", bpf.SYNC_CALLS)
def test_exactly_the_sync_calls_are_answered_on_each_architecture(architecture: int) -> None:
    wanted = set(bpf.SYNC_CALLS[architecture].values())
    answered = {
        number
        for number in range(1100)
        if decide(SYNC_PROGRAM, number, architecture) != bpf.RET_ALLOW
    }
    assert answered == wanted
    assert {decide(SYNC_PROGRAM, number, architecture) for number in wanted} == {bpf.RET_DONE}


@pytest.mark.parametrize("architecture", bpf.SYNC_CALLS)
def test_the_numbers_of_one_architecture_are_not_taken_for_another(architecture: int) -> None:
    others = set().union(*(calls.values() for calls in bpf.SYNC_CALLS.values()))
    foreign = others - set(bpf.SYNC_CALLS[architecture].values())
    assert {decide(SYNC_PROGRAM, number, architecture) for number in foreign} == {bpf.RET_ALLOW}


def test_x32_and_i386_calls_go_through() -> None:
    fsync = bpf.SYNC_CALLS[bpf.AUDIT_ARCH_X86_64]["fsync"]
    assert decide(SYNC_PROGRAM, fsync | bpf.X32_BIT, bpf.AUDIT_ARCH_X86_64) == bpf.RET_ALLOW
    assert decide(SYNC_PROGRAM, fsync, I386) == bpf.RET_ALLOW
    assert decide(SYNC_PROGRAM, 118, I386) == bpf.RET_ALLOW  # fsync's own number there


def test_the_placebo_is_as_long_and_answers_no_call_that_exists() -> None:
    assert len(PLACEBO_PROGRAM) == len(SYNC_PROGRAM)
    for architecture in bpf.SYNC_CALLS:
        decisions = {decide(PLACEBO_PROGRAM, number, architecture) for number in range(600)}
        assert decisions == {bpf.RET_ALLOW}
