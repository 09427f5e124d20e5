"""Control groups of the lab, version 1 and 2: made, limited, joined, removed."""

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kubelag.errors import LabError
from kubelag.lab.waiting import is_met_within
from kubelag.observe.proc_text import CgroupMount, parse_cgroup_mounts

Controller = Literal["cpu", "memory"]

PERIOD_US = 100_000
"""The kernel's default period of CPU bandwidth control, which container runtimes keep."""
REMOVE_S = 3.0
"""How long a dying process may keep its group. Arbitrary."""
JOIN_SCRIPT = 'for procs in $KUBELAG_JOIN; do echo 0 > "$procs" || exit 125; done; exec "$@"'
"""Writing 0 moves the writer; the shell then becomes the command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hierarchy:
    """Where groups with one controller live."""

    root: Path
    version: Literal[1, 2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cgroup:
    """One group that the lab made."""

    path: Path
    version: Literal[1, 2]

    @property
    def procs(self) -> Path:
        """Who writes `0` here becomes a member."""
        return self.path / "cgroup.procs"

    def limit_cpu(self, ratio: float) -> None:
        """Let all members together use this many processors (0.1: a tenth of one)."""
        quota_us = int(ratio * PERIOD_US)
        if self.version == 1:
            _write(self.path / "cpu.cfs_period_us", str(PERIOD_US))
            _write(self.path / "cpu.cfs_quota_us", str(quota_us))
        else:
            _write(self.path / "cpu.max", f"{quota_us} {PERIOD_US}")

    def limit_memory(self, limit_bytes: int) -> None:
        """Make the kernel take pages away above this limit.

        Version 2 uses memory.high, which never kills; version 1 only knows a hard limit, which
        kills where nothing is left to take away.
        """
        name = "memory.limit_in_bytes" if self.version == 1 else "memory.high"
        _write(self.path / name, str(limit_bytes))

    def peak_memory_bytes(self) -> int:
        """The most that its members ever used together, page cache included.

        Raises:
            LabError: The kernel does not keep that figure (version 2 before Linux 5.19).
        """
        name = "memory.max_usage_in_bytes" if self.version == 1 else "memory.peak"
        try:
            return int((self.path / name).read_text(encoding="ascii"))
        except OSError as error:
            raise LabError(f"This kernel has no {name}", "use a newer one") from error


def find_hierarchy(controller: Controller) -> Hierarchy:
    """Where a group with this controller can be made.

    Raises:
        LabError: The controller is not available here, or not writable.
    """
    mountinfo = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    found = [mount for mount in parse_cgroup_mounts(mountinfo) if _has(mount, controller)]
    if not found:
        raise LabError(
            f"The {controller} controller of control groups is not available here",
            "run the lab on a host, or in a container with its own control groups",
        )
    first = min(found, key=lambda mount: mount.version)
    root = Path(first.mount_point)
    if not os.access(root, os.W_OK):
        raise LabError(f"{root} is not writable", "run the lab as root")
    return Hierarchy(root=root, version=first.version)


def make_cgroup(hierarchy: Hierarchy, name: str) -> Cgroup:
    """Make an empty group; the caller has written it down before (`cgroup_path`)."""
    path = cgroup_path(hierarchy, name)
    try:
        path.mkdir()
    except OSError as error:
        raise LabError(f"Cannot make the control group {path}: {error.strerror}") from error
    return Cgroup(path=path, version=hierarchy.version)


def cgroup_path(hierarchy: Hierarchy, name: str) -> Path:
    """Where `make_cgroup` will make it."""
    return hierarchy.root / name


def remove_cgroup(path: Path) -> None:
    """Move the members to the parent and remove the group; nothing happens if it is gone.

    Raises:
        LabError: It cannot be emptied or removed.
    """
    if not is_met_within(lambda: _is_removed(path), REMOVE_S):
        raise LabError(
            f"The control group {path} stays in use", f"see who: cat {path}/cgroup.procs"
        )


def joining(procs: Iterable[Path]) -> tuple[str, ...]:
    """Words to put before a command so that it runs as a member of these groups.

    A shell that becomes the command: no process and no Python is added to what is measured.
    """
    paths = " ".join(os.fspath(path) for path in procs)
    if not paths:
        return ()
    script = JOIN_SCRIPT.replace("$KUBELAG_JOIN", paths)
    return ("/bin/sh", "-c", script, "kubelag-join")


def _is_removed(path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, OSError):
        for pid in (path / "cgroup.procs").read_text(encoding="ascii").split():
            (path.parent / "cgroup.procs").write_text(pid, encoding="ascii")
    with contextlib.suppress(OSError):
        path.rmdir()
    return not path.exists()


def _has(mount: CgroupMount, controller: Controller) -> bool:
    """Whether groups made here have the controller."""
    if mount.version == 1:
        return controller in mount.controllers
    try:
        enabled = Path(mount.mount_point, "cgroup.subtree_control").read_text(encoding="ascii")
    except OSError:
        return False
    return controller in enabled.split()


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="ascii")
    except OSError as error:
        raise LabError(f"Cannot write {text} to {path}: {error.strerror}") from error
