"""Samples of the machine: processors, memory, pressure, cgroup limits, block devices.

Sources: /proc/stat, loadavg, meminfo, diskstats (the kernel's filesystems/proc.rst and
admin-guide/iostats.rst), /proc/pressure (accounting/psi.rst), cpu.stat, memory.events and
memory.failcnt (admin-guide/cgroup-v1 and cgroup-v2.rst).
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from kubelag.model.evidence import HostSample, Look
from kubelag.observe import proc_text
from kubelag.observe.cgroups import LimitCounter, read_text
from kubelag.observe.periodic import Periodic

INTERVAL_S = 0.1
"""Ten samples a second: fine enough for a command of one second, and one period of a CPU quota."""


class HostSampler:
    """Samples in a thread from `start` to `stop`.

    Args:
        interval_s: Time between two samples.
        root: Where proc is mounted.
        clock_ns: The wall clock.
    """

    def __init__(
        self,
        interval_s: float = INTERVAL_S,
        root: Path = Path("/proc"),
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._interval_s = interval_s
        self._root = root
        self._clock_ns = clock_ns
        self._samples: list[HostSample] = []
        self._limits: LimitCounter | None = None
        self._pace = Periodic(tick=self._tick, interval_s=interval_s, name="host-sampler")

    def start(self, pid: int | None = None) -> None:
        """Begin; the first sample is taken before this returns.

        Args:
            pid: The process whose cgroups count; our own where it is not given.
        """
        self._limits = LimitCounter(pid=pid if pid is not None else os.getpid(), proc=self._root)
        self._pace.start()

    def stop(self) -> tuple[tuple[HostSample, ...], Look]:
        """Take the last sample and say what was seen."""
        self._pace.stop()
        samples = tuple(self._samples)
        if not samples:
            why = f"{self._root} does not tell processor time, load and memory"
            return (), Look(observer="host", state="could_not_look", how=why)
        return samples, Look(
            observer="host", state="looked", how=self._how(samples[-1]), events=len(samples)
        )

    def _tick(self) -> None:
        sample = take_sample(self._root, self._limits, self._clock_ns())
        if sample is not None:
            self._samples.append(sample)

    def _how(self, last: HostSample) -> str:
        cost = f"own cost {self._pace.cost_ratio:.1%} of one processor"
        parts = [f"{self._root} every {self._interval_s * 1e3:.0f} ms", cost]
        if last.psi_cpu_some_us is None:
            parts.append("no pressure figures: the kernel has PSI off (psi=1 turns it on)")
        if last.throttled_periods is None:
            parts.append("no control group's cpu.stat could be read")
        if last.memory_limit_hits is None:
            parts.append("no memory cgroup")
        return "; ".join(parts)


def take_sample(root: Path, limits: LimitCounter | None, at_ns: int) -> HostSample | None:
    """One sample, None where the figures that no Linux lacks cannot be read."""
    ticks = proc_text.parse_cpu_ticks(read_text(root / "stat") or "")
    load = proc_text.parse_load(read_text(root / "loadavg") or "")
    memory = proc_text.parse_meminfo(read_text(root / "meminfo") or "")
    if ticks is None or load is None or not {"MemAvailable", "MemTotal"} <= memory.keys():
        return None
    pressure = {name: _pressure(root, name) for name in ("cpu", "memory", "io")}
    held = limits.sample() if limits is not None else None
    tick_ns = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    return HostSample(
        at_ns=at_ns,
        cpu_busy_ns=ticks[0] * tick_ns,
        cpu_total_ns=ticks[1] * tick_ns,
        load_1min=load,
        memory_available_bytes=memory["MemAvailable"],
        memory_total_bytes=memory["MemTotal"],
        psi_cpu_some_us=pressure["cpu"].get("some"),
        psi_memory_some_us=pressure["memory"].get("some"),
        psi_memory_full_us=pressure["memory"].get("full"),
        psi_io_some_us=pressure["io"].get("some"),
        psi_io_full_us=pressure["io"].get("full"),
        throttled_periods=held.throttled_periods if held else None,
        throttled_ns=held.throttled_ns if held else None,
        memory_limit_hits=held.memory_limit_hits if held else None,
        disks=proc_text.parse_diskstats(read_text(root / "diskstats") or ""),
    )


def _pressure(root: Path, name: str) -> dict[str, int]:
    return proc_text.parse_pressure(read_text(root / "pressure" / name) or "")
