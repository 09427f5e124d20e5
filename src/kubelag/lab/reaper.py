"""How each kind of thing that the lab makes is taken away again, any number of times.

Kinds and their facts:
    directory  path: removed with everything in it, never across a mount point
    mount      path: unmounted everywhere; the empty mount point goes too
    loop       backing: the loop devices over that file
    process    pid, start_ticks: that very process
    cgroup     path: emptied into its parent, then removed
    netns      name: the network namespace, with every link in it
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from kubelag.errors import LabError
from kubelag.lab import mounts, processes
from kubelag.lab.cgroups import remove_cgroup
from kubelag.lab.network.namespaces import remove_namespace
from kubelag.lab.processes import Identity

SURVIVES_REBOOT = frozenset({"directory"})
"""Kinds that are still there after a reboot; pids and devices mean something else by then."""
ROUNDS = 5
"""How often marked processes are looked for: one that is ended may just have started another."""


def check_kind(kind: str) -> None:
    """Refuse to write down what could not be undone.

    Raises:
        LabError: The kind is unknown.
    """
    if kind not in _undoing():
        raise LabError(f"The lab cannot undo a {kind}", f"use one of {', '.join(_undoing())}")


def undo(kind: str, facts: Mapping[str, Any], *, is_this_boot: bool) -> str:
    """Take one thing away.

    Args:
        kind: One of the kinds above.
        facts: What was written down before it was made.
        is_this_boot: Whether the machine has been up ever since.

    Returns:
        Why it is still there; empty where it is gone.
    """
    if not is_this_boot and kind not in SURVIVES_REBOOT:
        return ""
    try:
        _undoing()[kind](facts)
    except LabError as error:
        return error.message
    except OSError as error:
        return f"{kind} {error.filename}: {error.strerror}"
    return ""


def end_marked(token: str, spared: Collection[int] = ()) -> str:
    """End every process that carries the lab's token, with or without an entry.

    Args:
        token: The lab's mark.
        spared: Pids that, with everything below them, are left for later: the servers behind
            disks that are still mounted.

    Returns:
        Which one is still there; empty where none is.
    """
    for _ in range(ROUNDS):
        found = processes.find_marked(token, spared)
        if not found:
            return ""
        try:
            processes.end(found)
        except LabError as error:
            return error.message
    return f"process {found[0].pid} and its like start again and again"


def _undoing() -> Mapping[str, Callable[[Mapping[str, Any]], None]]:
    return {
        "directory": _remove_directory,
        "mount": lambda facts: mounts.remove_mount(Path(facts["path"])),
        "loop": lambda facts: mounts.detach_loops(Path(facts["backing"])),
        "process": _end_process,
        "cgroup": lambda facts: remove_cgroup(Path(facts["path"])),
        "netns": lambda facts: remove_namespace(str(facts["name"])),
    }


def _remove_directory(facts: Mapping[str, Any]) -> None:
    path = Path(facts["path"])
    mounted = mounts.mounts_below(path)
    if mounted:
        raise LabError(f"{path} is not removed while {mounted[0].mount_point} is mounted")
    with contextlib.suppress(FileNotFoundError):
        if path.lstat().st_uid == os.geteuid():
            shutil.rmtree(path)


def _end_process(facts: Mapping[str, Any]) -> None:
    processes.end([Identity(pid=int(facts["pid"]), start_ticks=int(facts["start_ticks"]))])
