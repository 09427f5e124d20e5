"""Pure readers of the texts under /proc and in cgroups; junk is skipped, never an error.

Sources: the kernel's Documentation/filesystems/proc.rst, admin-guide/iostats.rst,
accounting/psi.rst, admin-guide/cgroup-v1/memory.rst, admin-guide/cgroup-v2.rst and
scheduler/sched-bwc.rst.
"""

from dataclasses import dataclass
from typing import Literal

from kubelag.model.evidence import DiskSample
from kubelag.observe.mounts import parse_mountinfo

SECTOR_BYTES = 512
"""The unit of /proc/diskstats on every device, whatever its own sector size (iostats.rst)."""
_INTERESTING = ("loop", "nvme", "sd", "vd", "xvd", "dm-", "md")
_DISK_FIELDS = 14
_FLUSH_FIELDS = 20
_CPU_FIELDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupMount:
    """One mounted cgroup hierarchy."""

    version: Literal[1, 2]
    root: str
    """The cgroup that is visible at the mount point."""
    mount_point: str
    controllers: frozenset[str]
    """Among other mount options; empty for version 2, where the mount does not name them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStat:
    """What /proc/<pid>/stat says; fault and tick counts are cumulative."""

    pid: int
    state: str
    parent_pid: int
    minor_faults: int
    child_minor_faults: int
    """Of children that ended and were waited for."""
    major_faults: int
    child_major_faults: int
    ticks: int
    """utime + stime of all threads, dead ones included."""
    child_ticks: int
    start_ticks: int
    """After boot."""
    block_io_ticks: int
    """Field 42, of this thread alone; 0 where delay accounting is off."""


def parse_diskstats(text: str) -> tuple[DiskSample, ...]:
    """Devices that did any I/O, and idle ones of the usual kinds; RAM disks are left out."""
    samples = (_disk(line.split()) for line in text.splitlines())
    return tuple(sample for sample in samples if sample is not None and _is_kept(sample))


def _disk(fields: list[str]) -> DiskSample | None:
    if len(fields) < _DISK_FIELDS or not _are_numbers(fields[3:]):
        return None
    numbers = [int(field) for field in fields[3:]]
    has_flushes = len(fields) >= _FLUSH_FIELDS
    return DiskSample(
        device=fields[2],
        reads=numbers[0],
        read_bytes=numbers[2] * SECTOR_BYTES,
        read_ms=numbers[3],
        writes=numbers[4],
        write_bytes=numbers[6] * SECTOR_BYTES,
        write_ms=numbers[7],
        io_ms=numbers[9],
        flushes=numbers[15] if has_flushes else None,
        flush_ms=numbers[16] if has_flushes else None,
    )


def _is_kept(sample: DiskSample) -> bool:
    if sample.device.startswith("ram"):
        return False
    has_worked = sample.reads + sample.writes + (sample.flushes or 0) > 0
    return has_worked or sample.device.startswith(_INTERESTING)


def parse_cpu_ticks(text: str) -> tuple[int, int] | None:
    """(busy, total) ticks of all processors from /proc/stat, None where there is no such line.

    Time stolen by the hypervisor counts as busy: it was wanted and not to be had. Guest time is
    already part of user time and is not counted twice.
    """
    for line in text.splitlines():
        fields = line.split()
        if fields[:1] != ["cpu"]:
            continue
        if len(fields) <= _CPU_FIELDS or not _are_numbers(fields[1:]):
            return None
        ticks = [int(field) for field in fields[1:9]]
        idle = sum(ticks[3:5])
        return sum(ticks) - idle, sum(ticks)
    return None


def parse_load(text: str) -> float | None:
    """The one-minute load average from /proc/loadavg."""
    try:
        return float(text.split(maxsplit=1)[0])
    except (IndexError, ValueError):
        return None


def parse_meminfo(text: str) -> dict[str, int]:
    """Sizes in bytes by name."""
    sizes: dict[str, int] = {}
    for line in text.splitlines():
        name, colon, rest = line.partition(":")
        fields = rest.split()
        if colon and fields and _are_numbers(fields[:1]):
            sizes[name] = int(fields[0]) * (1024 if fields[1:] == ["kB"] else 1)
    return sizes


def parse_pressure(text: str) -> dict[str, int]:
    """Cumulative stall time in microseconds for `some` and `full`, as far as present."""
    totals: dict[str, int] = {}
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        total = dict(_pair(field, "=") for field in rest.split()).get("total", "")
        if kind in {"some", "full"} and _are_numbers([total]):
            totals[kind] = int(total)
    return totals


def parse_flat_keyed(text: str) -> dict[str, int]:
    """`key value` lines, as in cpu.stat and memory.events."""
    pairs = (_pair(line, " ") for line in text.splitlines())
    return {key: int(value) for key, value in pairs if _are_numbers([value])}


def parse_number(text: str) -> int | None:
    """A file with one number, as memory.failcnt."""
    return int(text) if _are_numbers([text.strip()]) else None


def parse_cgroup_paths(text: str) -> dict[str, str]:
    """Path by controller from /proc/<pid>/cgroup; the key of version 2 is the empty string."""
    paths: dict[str, str] = {}
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if colon and path.startswith("/"):
            paths.update(dict.fromkeys(controllers.split(","), path))
    return paths


def parse_cgroup_mounts(text: str) -> tuple[CgroupMount, ...]:
    """Cgroup hierarchies in /proc/<pid>/mountinfo."""
    return tuple(
        CgroupMount(
            version=1 if mount.file_system == "cgroup" else 2,
            root=mount.root,
            mount_point=mount.mount_point,
            controllers=mount.options if mount.file_system == "cgroup" else frozenset(),
        )
        for mount in parse_mountinfo(text)
        if mount.file_system in {"cgroup", "cgroup2"}
    )


def parse_process_stat(text: str) -> ProcessStat | None:
    """One /proc/<pid>/stat; the program's name may hold anything, so fields count from its end."""
    head, paren, tail = text.rpartition(")")
    fields = tail.split()
    pid = head.partition(" ")[0]
    if not paren or len(fields) < 40 or not _are_numbers([pid, fields[1], *fields[7:15]]):  # noqa: PLR2004 - proc(5): fields 3 to 42
        return None
    if not _are_numbers([fields[19], fields[39]]):
        return None
    numbers = [int(field) for field in fields[7:15]]
    return ProcessStat(
        pid=int(pid),
        state=fields[0],
        parent_pid=int(fields[1]),
        minor_faults=numbers[0],
        child_minor_faults=numbers[1],
        major_faults=numbers[2],
        child_major_faults=numbers[3],
        ticks=numbers[4] + numbers[5],
        child_ticks=numbers[6] + numbers[7],
        start_ticks=int(fields[19]),
        block_io_ticks=int(fields[39]),
    )


def parse_tracer(text: str) -> int:
    """TracerPid of /proc/<pid>/status, 0 where nothing traces it."""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == "TracerPid" and _are_numbers([value.strip()]):
            return int(value)
    return 0


def parse_schedstat(text: str) -> tuple[int, int] | None:
    """(time on a processor, time runnable and waiting for one) of one thread, in nanoseconds."""
    fields = text.split()
    if len(fields) < 2 or not _are_numbers(fields[:2]):  # noqa: PLR2004 - the two that are meant
        return None
    return int(fields[0]), int(fields[1])


def parse_pids(text: str) -> tuple[int, ...]:
    """Process ids separated by blanks, as in /proc/<pid>/task/<tid>/children."""
    return tuple(int(field) for field in text.split() if _are_numbers([field]))


def _pair(text: str, separator: str) -> tuple[str, str]:
    key, _, value = text.partition(separator)
    return key, value.strip()


def _are_numbers(fields: list[str]) -> bool:
    return all(field.isascii() and field.isdigit() and len(field) <= 20 for field in fields)  # noqa: PLR2004 - 64 bits
