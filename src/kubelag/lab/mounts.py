"""Mounts and loop devices: what there is now, and how it is taken away and seen to be gone."""

import contextlib
import functools
import os
import shutil
from pathlib import Path

from kubelag.errors import LabError
from kubelag.lab.tools import run_tool
from kubelag.lab.waiting import is_met_within
from kubelag.observe.mounts import Mount, parse_mountinfo

BUSY_S = 3.0
"""How long a mount may stay busy before it is detached lazily. Arbitrary."""


def list_mounts() -> tuple[Mount, ...]:
    """Every mount of this mount namespace, in the order in which they were made.

    Raises:
        OSError: The kernel does not tell; taking that for no mounts would empty mounted disks.
    """
    text = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    return parse_mountinfo(text)


def find_mount(path: Path) -> Mount | None:
    """The topmost mount exactly at this path, if any; asks nothing of a dead file system."""
    found = [mount for mount in list_mounts() if mount.mount_point == os.fspath(path)]
    return found[-1] if found else None


def mounts_below(path: Path) -> tuple[Mount, ...]:
    """Mounts at or below a path, innermost first."""
    inside = os.fspath(path).rstrip("/") + "/"
    found = [mount for mount in list_mounts() if f"{mount.mount_point}/".startswith(inside)]
    return tuple(sorted(found, key=lambda mount: -mount.mount_point.rstrip("/").count("/")))


def unmount(path: Path) -> None:
    """Unmount whatever is mounted here; lazily where something keeps it busy.

    Raises:
        LabError: It is still mounted.
    """
    while (mount := find_mount(path)) is not None:
        eagerly = functools.partial(_unmount_once, mount, lazy=False)
        if not is_met_within(eagerly, BUSY_S) and not _unmount_once(mount, lazy=True):
            raise LabError(f"{path} stays mounted", f"end what uses it, then: umount {path}")


def remove_mount(path: Path) -> None:
    """Unmount whatever the lab has mounted here, and remove the mount point, if it is empty.

    With the mount point, the kernel removes the copies in other mount namespaces, which would keep
    the disk busy: whoever made such a namespace meanwhile has one. Source: mount_namespaces(7).

    Raises:
        LabError: It is still mounted.
    """
    unmount(path)
    with contextlib.suppress(OSError):  # it was never made, or is not empty
        if path.is_dir():
            path.rmdir()
        elif path.stat().st_size == 0:
            path.unlink()


def attach_loop(backing: Path) -> str:
    """Make a loop device over a file; returns its kernel name, for example `loop3`.

    Direct I/O, so that each request is timed by the file below and not by the page cache.
    """
    argv = ("losetup", "--find", "--show", "--direct-io=on", "--nooverlap", os.fspath(backing))
    return Path(run_tool(argv, problem="Cannot make a loop device")).name


def find_loops(backing: Path) -> tuple[str, ...]:
    """Kernel names of the loop devices over a file, also after that file has gone."""
    files = Path("/sys/block").glob("loop*/loop/backing_file")
    wanted = os.fspath(backing)
    return tuple(
        file.parts[3] for file in files if _backing(file) in (wanted, f"{wanted} (deleted)")
    )


def detach_loops(backing: Path) -> None:
    """Take away the loop devices over a file.

    Raises:
        LabError: One is still there.
    """
    for name in find_loops(backing):
        run_tool(("losetup", "--detach", f"/dev/{name}"), problem=f"Cannot detach {name}")
    if not is_met_within(lambda: not find_loops(backing), BUSY_S):
        left = ", ".join(find_loops(backing))
        raise LabError(f"Loop device {left} stays in use", f"see who: fuser -v /dev/{left}")


def _backing(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape").rstrip("\n")
    except OSError:  # detached while we looked
        return ""


def _unmount_once(mount: Mount, *, lazy: bool) -> bool:
    try:
        run_tool(_unmount_argv(mount, lazy=lazy), problem=f"Cannot unmount {mount.mount_point}")
    except LabError:
        return find_mount(Path(mount.mount_point)) != mount
    return True


def _unmount_argv(mount: Mount, *, lazy: bool) -> tuple[str, ...]:
    if mount.file_system.startswith("fuse") and os.geteuid() != 0:
        return (fusermount(), "-u", *(("-z",) if lazy else ()), "--", mount.mount_point)
    # -n would leave a stale line in a real /etc/mtab; --no-canonicalize asks no dead file system
    return ("umount", "--no-canonicalize", *(("--lazy",) if lazy else ()), mount.mount_point)


def fusermount() -> str:
    """The tool that lets users unmount their own FUSE mounts; fuse3's name first."""
    return shutil.which("fusermount3") or "fusermount"
