"""Processes as a tracer's events tell of them, one after another."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from kubelag.model.evidence import Process


@dataclass(slots=True)
class Life:
    """What is known of one process while the events go by."""

    pid: int
    start_ns: int
    """On the tracer's own clock, as is the end."""
    parent_pid: int | None = None
    end_ns: int | None = None
    chain: list[str] = field(default_factory=list)
    """What it executed, in order."""
    exit_code: int | None = None


def processes_of(
    lives: Mapping[int, Life], to_wall_ns: Callable[[int], int]
) -> tuple[Process, ...]:
    """The processes by start time.

    Args:
        lives: By process id, threads left out.
        to_wall_ns: From the tracer's clock to the wall clock.
    """
    return tuple(
        Process(
            pid=life.pid,
            parent_pid=life.parent_pid,
            start_ns=to_wall_ns(life.start_ns),
            end_ns=None if life.end_ns is None else to_wall_ns(life.end_ns),
            program=_program(life, lives),
            chain=tuple(life.chain),
            exit_code=life.exit_code,
        )
        for life in sorted(lives.values(), key=lambda life: life.start_ns)
    )


def _program(life: Life, lives: Mapping[int, Life]) -> str:
    """What it last executed; a fork that executed nothing runs what its parent runs."""
    seen = {life.pid}
    while not life.chain:
        parent = lives.get(life.parent_pid or 0)
        if parent is None or parent.pid in seen:
            return ""
        seen.add(parent.pid)
        life = parent
    return life.chain[-1]
