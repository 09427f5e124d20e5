"""A little assembler for the classic BPF programs that decide over one frame.

Pure. A program reads from top to bottom; a test that fails goes on with the next line, one that
holds goes to its label. Every jump is written as "skip over a long jump", so that no program is
too long for the 8 bits of a conditional jump.

Source: `linux/bpf_common.h` and `linux/filter.h`; the extensions are in `net/core/filter.c`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kubelag.launch.bpf import Instruction

_LOAD = {1: 0x30, 2: 0x28, 4: 0x20}  # BPF_LD | BPF_B, BPF_H or BPF_W | BPF_ABS
_LOAD_BEHIND = {1: 0x50, 2: 0x48, 4: 0x40}  # the same | BPF_IND: X is added to the offset
_LOAD_LENGTH = 0x80  # BPF_LD | BPF_W | BPF_LEN
_LOAD_HEADER_BYTES = 0xB1  # BPF_LDX | BPF_B | BPF_MSH: X = 4 * (byte & 15)
_JUMP = 0x05  # BPF_JMP | BPF_JA
_JUMP_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_JUMP_ABOVE = 0x25  # BPF_JMP | BPF_JGT | BPF_K
_JUMP_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_JUMP_ANY_BIT = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K
_RANDOM_OFFSET = 0xFFFFF000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM


@dataclass(frozen=True, slots=True)
class Label:
    """The line after it is where a jump to this name goes."""

    name: str


@dataclass(frozen=True, slots=True)
class Line:
    """One instruction that the kernel gets, before its jump is known."""

    code: int
    operand: int = 0
    skip_if_true: int = 0
    skip_if_false: int = 0
    target: str = ""
    """The label of a long jump."""


Source = Iterable[Line | Label]


def load(offset: int, width_bytes: int) -> Line:
    """Read a number of 1, 2 or 4 bytes, counted from the frame's first byte."""
    return Line(_LOAD[width_bytes], offset)


def load_behind(offset: int, width_bytes: int) -> Line:
    """The same, counted from behind the IPv4 header as `skip_header` has measured it."""
    return Line(_LOAD_BEHIND[width_bytes], offset)


def skip_header(offset: int) -> Line:
    """Measure the IPv4 header that begins there, for `load_behind`."""
    return Line(_LOAD_HEADER_BYTES, offset)


def load_length() -> Line:
    """Read how long the frame is."""
    return Line(_LOAD_LENGTH)


def load_random() -> Line:
    """Read a new random number of 32 bits."""
    return Line(_LOAD[4], _RANDOM_OFFSET)


def go(label: str) -> Line:
    """Jump."""
    return Line(_JUMP, target=label)


def if_equal(value: int, label: str) -> tuple[Line, Line]:
    """Jump if what was read is this."""
    return Line(_JUMP_EQUAL, value, skip_if_false=1), go(label)


def unless_equal(value: int, label: str) -> tuple[Line, Line]:
    """Jump if what was read is anything else."""
    return Line(_JUMP_EQUAL, value, skip_if_true=1), go(label)


def if_at_least(value: int, label: str) -> tuple[Line, Line]:
    """Jump if what was read is this or more."""
    return Line(_JUMP_AT_LEAST, value, skip_if_false=1), go(label)


def unless_above(value: int, label: str) -> tuple[Line, Line]:
    """Jump if what was read is this or less."""
    return Line(_JUMP_ABOVE, value, skip_if_true=1), go(label)


def if_any_bit(mask: int, label: str) -> tuple[Line, Line]:
    """Jump if any bit of the mask is set in what was read."""
    return Line(_JUMP_ANY_BIT, mask, skip_if_false=1), go(label)


def end(verdict: int) -> Line:
    """Decide."""
    return Line(_RETURN, verdict)


def assemble(source: Source) -> tuple[Instruction, ...]:
    """What the kernel gets.

    Raises:
        KeyError: A jump goes to no label.
        ValueError: A jump goes back, or an operand has more than 32 bits.
    """
    lines: list[Line] = []
    places: dict[str, int] = {}
    for one in source:
        if isinstance(one, Label):
            places[one.name] = len(lines)
        else:
            lines.append(one)
    return tuple(_instruction(line, at, places) for at, line in enumerate(lines))


def bytecode(program: Iterable[Instruction]) -> str:
    """The program in the words of tc-bpf(8)."""
    words = [" ".join(map(str, one)) for one in program]
    return ",".join((str(len(words)), *words))


def _instruction(line: Line, at: int, places: Mapping[str, int]) -> Instruction:
    operand = places[line.target] - at - 1 if line.target else line.operand
    if not 0 <= operand < 1 << 32:
        raise ValueError(f"{operand} is no operand ({line.target or 'a value'} at line {at})")
    return Instruction(line.code, line.skip_if_true, line.skip_if_false, operand)
