"""Adds up a process tree's counters; pure.

A process's own counters include its dead threads, and its `child` counters everything that its
ended and waited-for children used, down to their grandchildren. So a child counts through itself
while it lives and through its parent once it is gone; where the parent never waited for it (or
has not yet), through the last that was seen of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Cumulative counters of one process, or of several."""

    cpu_ns: int = 0
    major_faults: int = 0
    minor_faults: int = 0

    def plus(self, other: "Usage") -> "Usage":
        """Both together."""
        return Usage(
            cpu_ns=self.cpu_ns + other.cpu_ns,
            major_faults=self.major_faults + other.major_faults,
            minor_faults=self.minor_faults + other.minor_faults,
        )

    def at_least(self, other: "Usage") -> "Usage":
        """The greater of both, counter by counter."""
        return Usage(
            cpu_ns=max(self.cpu_ns, other.cpu_ns),
            major_faults=max(self.major_faults, other.major_faults),
            minor_faults=max(self.minor_faults, other.minor_faults),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One process as it was last seen."""

    pid: int
    parent_pid: int | None
    """As first seen: an orphan stays its first parent's child. None for a root."""
    own: Usage
    reaped: Usage
    """Of children that ended and were waited for."""
    is_alive: bool


def tree_usage(nodes: Mapping[int, Node]) -> Usage:
    """What the whole tree has used, every process once."""
    children: dict[int, list[Node]] = {}
    roots: list[Node] = []
    for node in nodes.values():
        if node.parent_pid is None or node.parent_pid not in nodes:
            roots.append(node)
        else:
            children.setdefault(node.parent_pid, []).append(node)
    total = Usage()
    for root in roots:
        total = total.plus(_subtree(root, children))
    return total


def _subtree(node: Node, children: Mapping[int, list[Node]]) -> Usage:
    living, gone = Usage(), Usage()
    for child in children.get(node.pid, ()):
        used = _subtree(child, children)
        living, gone = (living.plus(used), gone) if child.is_alive else (living, gone.plus(used))
    return node.own.plus(node.reaped.at_least(gone)).plus(living)
