"""Rates from cumulative counters: what a disk and a machine did between two samples.

Every figure is a difference of counters over the time between them. A counter that went
backwards (a device that was taken away and came back) gives None, never a negative rate.
Sources: the kernel's admin-guide/iostats.rst and accounting/psi.rst.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Literal

from kubelag.model.evidence import DiskSample, HostSample

Pressure = Literal["cpu_some", "memory_some", "memory_full", "io_some", "io_full"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A figure over a window."""

    mean: float
    peak: float
    count: int
    """How many intervals had the figure at all."""


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


def cpu_busy_ratio(a: HostSample, b: HostSample) -> float | None:
    """Share of all processors' time that was wanted, 0 to 1; None between too close samples."""
    total_ns = b.cpu_total_ns - a.cpu_total_ns
    busy_ns = b.cpu_busy_ns - a.cpu_busy_ns
    return _clamped(busy_ns / total_ns) if total_ns > 0 and busy_ns >= 0 else None


def pressure_ratio(a: HostSample, b: HostSample, kind: Pressure) -> float | None:
    """Share of the time with tasks stalled, 0 to 1; None where the kernel does not count it."""
    stalled_us = _difference(_psi(a, kind), _psi(b, kind))
    elapsed_ns = b.at_ns - a.at_ns
    if stalled_us is None or elapsed_ns <= 0:
        return None
    return _clamped(stalled_us * 1_000 / elapsed_ns)


def cpu_busy(samples: Sequence[HostSample]) -> Summary | None:
    """Processor use over a window."""
    return summary(cpu_busy_ratio(a, b) for a, b in pairwise(samples))


def pressure(samples: Sequence[HostSample], kind: Pressure) -> Summary | None:
    """Pressure over a window."""
    return summary(pressure_ratio(a, b, kind) for a, b in pairwise(samples))


def summary(figures: Iterator[float | None]) -> Summary | None:
    """Mean and peak of those that are known, None where none is."""
    known = [figure for figure in figures if figure is not None]
    return Summary(mean=fmean(known), peak=max(known), count=len(known)) if known else None


def devices(samples: Sequence[HostSample]) -> tuple[str, ...]:
    """Every block device seen in a window, in order of first sight."""
    return tuple(dict.fromkeys(disk.device for sample in samples for disk in sample.disks))


def within(samples: Sequence[HostSample], start_ns: int, end_ns: int) -> tuple[HostSample, ...]:
    """The samples of a window, with the nearest one on either side of it."""
    before = [sample for sample in samples if sample.at_ns <= start_ns][-1:]
    after = [sample for sample in samples if sample.at_ns >= end_ns][:1]
    inside = [sample for sample in samples if start_ns < sample.at_ns < end_ns]
    return tuple(dict.fromkeys((*before, *inside, *after)))


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


def _psi(sample: HostSample, kind: Pressure) -> int | None:
    return {
        "cpu_some": sample.psi_cpu_some_us,
        "memory_some": sample.psi_memory_some_us,
        "memory_full": sample.psi_memory_full_us,
        "io_some": sample.psi_io_some_us,
        "io_full": sample.psi_io_full_us,
    }[kind]


def _clamped(ratio: float) -> float:
    return min(1.0, max(0.0, ratio))
