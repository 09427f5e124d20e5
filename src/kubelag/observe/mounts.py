"""Which file system and which block device a path is on."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_OCTAL = re.compile(r"\\([0-7]{3})")
# File systems that never wait for a disk (but for swap).
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One line of /proc/self/mountinfo (proc(5))."""

    mount_point: str
    file_system: str
    source: str
    device_number: str
    """`major:minor`; major 0 where no single block device is behind it."""
    options: frozenset[str]
    """Of the mount and of the file system."""
    upper: str | None = None
    """Where an overlay writes."""
    root: str = "/"
    """What of the file system is seen at the mount point; of a cgroup mount, which group."""


def parse_mountinfo(text: str) -> tuple[Mount, ...]:
    """Every mount, in the order of the file; lines that cannot be read are left out."""
    found = (_mount(line) for line in text.split("\n"))
    return tuple(mount for mount in found if mount is not None)


def _mount(line: str) -> Mount | None:
    before, dash, after = line.partition(" - ")
    left, right = before.split(" "), after.split(" ")
    # Four fields follow the device number up to the options; three follow the dash.
    if not dash or len(left) < 6 or len(right) < 3:  # noqa: PLR2004 -- field counts of proc(5)
        return None
    options = frozenset([*left[5].split(","), *right[2].split(",")])
    uppers = [one.removeprefix("upperdir=") for one in options if one.startswith("upperdir=")]
    return Mount(
        mount_point=_unescaped(left[4]),
        file_system=right[0],
        source=_unescaped(right[1]),
        device_number=left[2],
        options=options,
        upper=_unescaped(uppers[0]) if uppers else None,
        root=_unescaped(left[3]),
    )


def _unescaped(text: str) -> str:
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), text)


def mount_of(path: str, mounts: Sequence[Mount]) -> Mount | None:
    """The mount that holds an absolute path without links; the topmost where several stack."""
    holders = (mount for mount in mounts if _is_within(path, mount.mount_point))
    best: Mount | None = None
    for mount in holders:
        if best is None or len(mount.mount_point) >= len(best.mount_point):
            best = mount
    return best


def _is_within(path: str, mount_point: str) -> bool:
    return path == mount_point or path.startswith(mount_point.rstrip("/") + "/")


def read_mounts(proc: Path = Path("/proc")) -> tuple[Mount, ...]:
    """The mounts that this process sees; none where /proc cannot be read."""
    try:
        return parse_mountinfo((proc / "self/mountinfo").read_text(errors="surrogateescape"))
    except OSError:
        return ()


def file_system_of(path: str | os.PathLike[str]) -> str:
    """The type of the file system that a path is on, for example `tmpfs`; empty where unknown."""
    mount = mount_of(os.path.realpath(path), read_mounts())
    return mount.file_system if mount else ""


def is_in_memory(path: str | os.PathLike[str]) -> bool:
    """Whether the path is on a file system that never waits for a disk."""
    return file_system_of(path) in _IN_MEMORY


def block_device(mount: Mount, mounts: Sequence[Mount], sys: Path = Path("/sys")) -> str | None:
    """Kernel name of the whole block device below a mount, as /proc/diskstats has it.

    A partition gives its disk; an overlay the device that its upper directory is on; a file system
    of its own device number (btrfs) the device that it was mounted from.
    """
    numbers = [mount.device_number, _number_of(mount.source)]
    for number in numbers:
        name = _kernel_name(number, sys) if number and not number.startswith("0:") else None
        if name:
            return name
    below = mount_of(mount.upper, mounts) if mount.upper else None
    if below is None or below == mount or below.upper:
        return None
    return block_device(below, mounts, sys)


def _number_of(source: str) -> str | None:
    if not source.startswith("/dev/"):
        return None
    try:
        number = os.stat(source).st_rdev  # noqa: PTH116 -- text throughout
    except OSError:
        return None
    return f"{os.major(number)}:{os.minor(number)}"


def _kernel_name(number: str, sys: Path) -> str | None:
    try:
        place = (sys / "dev/block" / number).resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    return place.parent.name if (place / "partition").exists() else place.name
