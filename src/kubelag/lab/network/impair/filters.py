"""Filters at a bridge's port that let frames vanish, found again by their name.

They stand where the switch would lose a frame: behind the host's own interface in both
directions, so that neither the host's TCP nor a capture on it can know. A filter at the sender's
own interface would tell its TCP at once.
"""

import json
import zlib
from collections.abc import Sequence
from typing import Any

from kubelag.lab.network.impair.assembler import bytecode
from kubelag.lab.network.impair.cable import BOTH_WAYS, Cable, Direction
from kubelag.launch.bpf import Instruction

_PREFERENCE = "7601"
"""The place of all our filters among others'. Arbitrary."""
_HOOKS: dict[Direction, str] = {"to_host": "egress", "from_host": "ingress"}
"""As the port sees it."""


def put_filter(
    cable: Cable, direction: Direction, name: str, program: Sequence[Instruction]
) -> None:
    """Drop what the program says from now on; one of the same name is replaced.

    Raises:
        LabError: The port is not there, or the kernel has no such filter.
    """
    problem = f"{cable.name} cannot be disturbed"
    if not _has_hooks(cable):
        _tc(cable, "qdisc", "add", "dev", cable.port, "clsact", problem=problem)
    _tc(
        cable,
        *("filter", "replace", "dev", cable.port, _HOOKS[direction]),
        *("pref", _PREFERENCE, "handle", _handle(name)),
        *("bpf", "da", "bytecode", bytecode(program)),
        problem=problem,
    )


def remove_filter(cable: Cable, name: str) -> None:
    """Take it away in both directions, and the hooks with the last one; harmless if there is none.

    Raises:
        LabError: The port is not there, or the filter does not go.
    """
    problem = f"{cable.name} stays disturbed"
    for direction in BOTH_WAYS:
        if has_filter(cable, direction, name):
            where = ("dev", cable.port, _HOOKS[direction])
            one = ("pref", _PREFERENCE, "handle", _handle(name), "bpf")
            _tc(cable, "filter", "del", *where, *one, problem=problem)
    if _has_hooks(cable) and not any(_filters(cable, direction) for direction in BOTH_WAYS):
        _tc(cable, "qdisc", "del", "dev", cable.port, "clsact", problem=problem)


def has_filter(cable: Cable, direction: Direction, name: str) -> bool:
    """Whether a filter of that name is there."""
    return _handle(name) in _filters(cable, direction)


def _handle(name: str) -> str:
    return hex(zlib.crc32(name.encode()) or 1)


def _has_hooks(cable: Cable) -> bool:
    return any(one["kind"] == "clsact" for one in _qdiscs(cable))


def _qdiscs(cable: Cable) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _asked(cable, "-s", "-j", "qdisc", "show", "dev", cable.port)
    return found


def _filters(cable: Cable, direction: Direction) -> tuple[str, ...]:
    """The handles of everything at one hook."""
    found = _asked(cable, "-j", "filter", "show", "dev", cable.port, _HOOKS[direction])
    return tuple(one["options"]["handle"] for one in found if "handle" in one.get("options", ()))


def _asked(cable: Cable, *words: str) -> list[dict[str, Any]]:
    # An empty answer is an empty list in some versions of tc, and nothing at all in others.
    text = _tc(cable, *words, problem=f"{cable.name} cannot be looked at")
    found: list[dict[str, Any]] = json.loads(text or "[]")
    return found


def _tc(cable: Cable, *words: str, problem: str) -> str:
    return cable.lan.tool("tc", *words, problem=problem)
