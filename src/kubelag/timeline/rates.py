"""Rates from cumulative counters: what a disk and a machine did between two samples.

Every figure is a difference of counters over the time between them. A counter that went
backwards (a device that was taken away and came back) gives None, never a negative rate.
Source: the kernel's admin-guide/iostats.rst.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kubelag.model.evidence import DiskSample, HostSample


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskRate:
    """What one block device did between two samples."""

    device: str
    start_ns: int
    end_ns: int
    reads: int
    """Finished in the interval."""
    writes: int
    """Finished in the interval."""
    iops: float
    """Reads and writes per second."""
    read_bytes_per_s: float
    write_bytes_per_s: float
    read_await_ms: float | None
    """Mean time of one read, queueing included; None where none finished."""
    write_await_ms: float | None
    """Mean time of one write, queueing included; None where none finished."""
    flush_await_ms: float | None
    """Mean time of one flush; None where none finished or the kernel (before 5.5) counts none."""
    busy_ratio: float | None
    """Share of the time with at least one request in flight, 0 to 1."""
    queue_depth: float
    """Mean number of requests in flight (time of all requests over time elapsed)."""


def disk_rate(a: HostSample, b: HostSample, device: str) -> DiskRate | None:
    """The named device between two samples; None where it cannot be said."""
    before, after = _disk(a, device), _disk(b, device)
    elapsed_ns = b.at_ns - a.at_ns
    if before is None or after is None or elapsed_ns <= 0 or _went_back(before, after):
        return None
    elapsed_s = elapsed_ns / 1e9
    reads, writes = after.reads - before.reads, after.writes - before.writes
    read_ms, write_ms = after.read_ms - before.read_ms, after.write_ms - before.write_ms
    return DiskRate(
        device=device,
        start_ns=a.at_ns,
        end_ns=b.at_ns,
        reads=reads,
        writes=writes,
        iops=(reads + writes) / elapsed_s,
        read_bytes_per_s=(after.read_bytes - before.read_bytes) / elapsed_s,
        write_bytes_per_s=(after.write_bytes - before.write_bytes) / elapsed_s,
        read_await_ms=_each(read_ms, reads),
        write_await_ms=_each(write_ms, writes),
        flush_await_ms=_each(
            _difference(before.flush_ms, after.flush_ms),
            _difference(before.flushes, after.flushes),
        ),
        busy_ratio=_busy_ratio(before, after, elapsed_s),
        queue_depth=(read_ms + write_ms) / 1e3 / elapsed_s,
    )


def whole_disk_rate(samples: Sequence[HostSample], device: str) -> DiskRate | None:
    """The named device over the whole window: its mean rates, and await weighted by requests."""
    return disk_rate(samples[0], samples[-1], device) if samples else None


def others_busy_ratio(samples: Sequence[HostSample], own_ns: int) -> float | None:
    """Share of all processors' time that others used, 0 to 1; None between too close samples.

    Args:
        samples: A window.
        own_ns: Processor time of whoever does not count, in that window.
    """
    total_ns = samples[-1].cpu_total_ns - samples[0].cpu_total_ns if samples else 0
    if total_ns <= 0:
        return None
    return _clamped((samples[-1].cpu_busy_ns - samples[0].cpu_busy_ns - own_ns) / total_ns)


def _disk(sample: HostSample, device: str) -> DiskSample | None:
    return next((disk for disk in sample.disks if disk.device == device), None)


def _went_back(a: DiskSample, b: DiskSample) -> bool:
    return (
        b.reads < a.reads
        or b.writes < a.writes
        or b.read_bytes < a.read_bytes
        or b.write_bytes < a.write_bytes
        or b.read_ms < a.read_ms
        or b.write_ms < a.write_ms
    )


def _difference(before: int | None, after: int | None) -> int | None:
    return after - before if before is not None and after is not None and after >= before else None


def _each(total: int | None, count: int | None) -> float | None:
    return total / count if total is not None and count else None


def _busy_ratio(a: DiskSample, b: DiskSample, elapsed_s: float) -> float | None:
    io_ms = _difference(a.io_ms, b.io_ms)
    return None if io_ms is None else _clamped(io_ms / 1e3 / elapsed_s)


def _clamped(ratio: float) -> float:
    return min(1.0, max(0.0, ratio))
