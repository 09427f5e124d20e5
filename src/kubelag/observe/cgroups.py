"""Where a process stands in the cgroup hierarchies, and how often a limit held it up."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kubelag.observe.proc_text import (
    CgroupMount,
    parse_cgroup_mounts,
    parse_cgroup_paths,
    parse_flat_keyed,
    parse_number,
)

Reader = Callable[[Path], str | None]


def read_text(path: Path) -> str | None:
    """The file's text, None where it is missing or may not be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How often and how long limits held up one process since watching began.

    None where no control group's counters could be read.
    """

    throttled_periods: int | None
    throttled_ns: int | None
    memory_limit_hits: int | None


class LimitCounter:
    """Follows one process's CPU and memory cgroups, its own and all above.

    A quota or limit may sit on any level, and a stop on one level is a stop once: levels are never
    added up, the one that held most since watching began speaks. Counting starts at zero with
    the first reading, since a level's past is not the command's.
    """

    def __init__(self, *, pid: int, proc: Path, read: Reader = read_text) -> None:
        self._pid = pid
        self._proc = proc
        self._read = read
        self._first: dict[tuple[str, str], int] = {}
        self._most: dict[str, int] = {}
        self._mounts: tuple[CgroupMount, ...] | None = None

    def sample(self) -> Limits:
        """The counters now; a process that has gone leaves them as they were."""
        for counter, level, value in self._readings():
            begin = self._first.setdefault((counter, level), value)
            self._most[counter] = max(self._most.get(counter, 0), value - begin)
        return Limits(
            throttled_periods=self._most.get("periods"),
            throttled_ns=self._most.get("throttled_ns"),
            memory_limit_hits=self._most.get("hits"),
        )

    def _readings(self) -> Iterator[tuple[str, str, int]]:
        paths = parse_cgroup_paths(self._read(self._proc / str(self._pid) / "cgroup") or "")
        if self._mounts is None:
            mountinfo = self._read(self._proc / "self" / "mountinfo")
            self._mounts = parse_cgroup_mounts(mountinfo or "")
        # Without a version 1 hierarchy for processors, version 2 has all quotas there are.
        is_unified = "cpu" not in paths
        for directory in _levels(paths, self._mounts, "cpu"):
            yield from self._throttling(directory, is_unified=is_unified)
        for directory in _levels(paths, self._mounts, "memory"):
            yield from self._limit_hits(directory)

    def _throttling(self, directory: Path, *, is_unified: bool) -> Iterator[tuple[str, str, int]]:
        text = self._read(directory / "cpu.stat")
        stat, level = parse_flat_keyed(text or ""), str(directory)
        # A level of version 2 without a quota has no such line, which is as good as zero.
        if text is None or ("nr_throttled" not in stat and not is_unified):
            return
        yield "periods", level, stat.get("nr_throttled", 0)
        throttled_ns = stat.get("throttled_time", stat.get("throttled_usec", 0) * 1_000)
        yield "throttled_ns", level, throttled_ns

    def _limit_hits(self, directory: Path) -> Iterator[tuple[str, str, int]]:
        level = str(directory)
        # The local file counts this level's own limit; the other adds up everything below it.
        text = self._read(directory / "memory.events.local")
        text = text if text is not None else self._read(directory / "memory.events")
        if text is not None:
            events = parse_flat_keyed(text)
            yield "hits", level, events.get("high", 0) + events.get("max", 0)
        failures = parse_number(self._read(directory / "memory.failcnt") or "")
        if failures is not None:
            yield "hits", level, failures


def _levels(
    paths: dict[str, str], mounts: tuple[CgroupMount, ...], controller: str
) -> Iterator[Path]:
    for mount in mounts:
        if mount.version == 1 and controller not in mount.controllers:
            continue
        path = paths.get(controller if mount.version == 1 else "")
        if path is not None:
            yield from _upwards(mount, path)


def _upwards(mount: CgroupMount, path: str) -> Iterator[Path]:
    """From the process's own directory to the mount point; a container may see only the latter."""
    inside = PurePosixPath(path)
    inside = inside.relative_to(mount.root) if inside.is_relative_to(mount.root) else inside
    relative = PurePosixPath(*(part for part in inside.parts if part not in {"/", ".."}))
    for level in (relative, *relative.parents):
        yield Path(mount.mount_point) / level
