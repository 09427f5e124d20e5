"""What a remedy would do, did, and how it is taken back."""

from dataclasses import dataclass
from typing import Literal

RemedyState = Literal["not_applied", "applied", "broken", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that a remedy changes on this machine."""

    what: str
    """For example `link`, `directory`, `file`, `rename`."""
    path: str
    before: str
    """In words, for example `a directory with 120 files`."""
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What `apply` would change, printed before anything is changed."""

    remedy: str
    summary: str
    """One sentence."""
    changes: tuple[Change, ...]
    warnings: tuple[str, ...] = ()
    already_applied: bool = False
    obstacle: str = ""
    """Why `apply` would refuse, in one sentence; empty where it would not."""
    next_step: str = ""
    """What to do about the obstacle."""
    commands: tuple[str, ...] = ()
    """What to type instead, where kubelag itself changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How a remedy stands on this machine now."""

    remedy: str
    state: RemedyState
    detail: str
    """One sentence."""
    next_step: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A remedy as the report offers it."""

    id: str
    """For example `cache-in-memory`, as the command line spells it."""
    summary: str
    commands: tuple[str, ...]
    """Exact commands, in order, to be typed as they stand."""
    undo: str = ""
    """The exact command that takes it back; empty where nothing is changed."""
