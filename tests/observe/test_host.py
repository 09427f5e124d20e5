"""Host samples from a made-up /proc, and from the real one."""

import os
from pathlib import Path

import pytest

from kubelag.observe.cgroups import LimitCounter, Limits
from kubelag.observe.host import HostSampler, take_sample

PID = 4242


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A /proc with what every Linux has, and nothing more."""
    root = tmp_path / "proc"
    (root / "self").mkdir(parents=True)
    (root / str(PID)).mkdir()
    (root / "stat").write_text("cpu  10 0 10 80 0 0 0 0\n")
    (root / "loadavg").write_text("0.50 0.40 0.30 1/99 1234\n")
    (root / "meminfo").write_text("MemTotal: 100 kB\nMemAvailable: 40 kB\n")
    (root / "diskstats").write_text("7 0 loop0 1 0 8 2 3 0 16 4 0 5 6\n")
    return root


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def cgroup_v1(proc: Path, tmp_path: Path) -> Path:
    """Version 1 hierarchies with the process in `/outer/inner`."""
    top = tmp_path / "cgroup"
    put(proc / str(PID) / "cgroup", "2:memory:/outer/inner\n1:cpu:/outer/inner\n")
    mounts = "".join(
        f"1 2 0:1 / {top}/{name} rw - cgroup cgroup rw,{name}\n" for name in ("cpu", "memory")
    )
    put(proc / "self" / "mountinfo", mounts)
    return top


def throttle(directory: Path, periods: int, time_ns: int) -> None:
    put(directory / "cpu.stat", f"nr_periods 9\nnr_throttled {periods}\nthrottled_time {time_ns}\n")


def test_a_sample_holds_what_proc_says(proc: Path) -> None:
    sample = take_sample(proc, None, 77)
    assert sample is not None
    tick_ns = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    assert (sample.at_ns, sample.cpu_busy_ns, sample.cpu_total_ns) == (
        77,
        20 * tick_ns,
        100 * tick_ns,
    )
    assert (sample.load_1min, sample.memory_available_bytes) == (0.5, 40960)
    assert [disk.device for disk in sample.disks] == ["loop0"]


def test_a_kernel_without_pressure_gives_none_and_the_look_says_so(proc: Path) -> None:
    sampler = HostSampler(interval_s=60, root=proc)
    sampler.start(PID)
    samples, look = sampler.stop()
    assert samples[0].psi_io_some_us is None
    assert "PSI off" in look.how
    assert (look.state, look.events) == ("looked", len(samples))


def test_pressure_is_told_where_the_kernel_counts_it(proc: Path) -> None:
    for name, total in (("cpu", 1), ("memory", 2), ("io", 3)):
        put(proc / "pressure" / name, f"some avg10=0 total={total}\nfull avg10=0 total={total}0\n")
    sample = take_sample(proc, None, 0)
    assert sample is not None
    assert (sample.psi_cpu_some_us, sample.psi_memory_full_us, sample.psi_io_some_us) == (1, 20, 3)


def test_a_proc_that_says_nothing_is_not_healthy(tmp_path: Path) -> None:
    sampler = HostSampler(interval_s=60, root=tmp_path)
    sampler.start(PID)
    samples, look = sampler.stop()
    assert (samples, look.state) == ((), "could_not_look")


def test_limits_count_from_when_watching_began(proc: Path, tmp_path: Path) -> None:
    top = cgroup_v1(proc, tmp_path)
    throttle(top / "cpu" / "outer" / "inner", 100, 5_000)
    put(top / "memory" / "outer" / "inner" / "memory.failcnt", "30\n")
    counter = LimitCounter(pid=PID, proc=proc)
    assert counter.sample() == Limits(throttled_periods=0, throttled_ns=0, memory_limit_hits=0)
    throttle(top / "cpu" / "outer" / "inner", 104, 9_000)
    put(top / "memory" / "outer" / "inner" / "memory.failcnt", "31\n")
    assert counter.sample() == Limits(throttled_periods=4, throttled_ns=4_000, memory_limit_hits=1)


def test_a_quota_of_an_ancestor_counts_and_levels_are_never_added_up(
    proc: Path, tmp_path: Path
) -> None:
    top = cgroup_v1(proc, tmp_path)
    inner, outer = top / "cpu" / "outer" / "inner", top / "cpu" / "outer"
    throttle(inner, 0, 0)
    throttle(outer, 1_000_000, 1_000_000)
    counter = LimitCounter(pid=PID, proc=proc)
    counter.sample()
    throttle(inner, 2, 200)
    throttle(outer, 1_000_003, 1_000_300)
    held = counter.sample()
    assert (held.throttled_periods, held.throttled_ns) == (3, 300)


def test_version_2_counts_microseconds_and_its_own_limit_only(proc: Path, tmp_path: Path) -> None:
    top = tmp_path / "unified"
    put(proc / str(PID) / "cgroup", "0::/box/mine\n")
    put(proc / "self" / "mountinfo", f"1 2 0:1 /box {top} rw - cgroup2 cgroup2 rw\n")
    put(top / "mine" / "cpu.stat", "nr_throttled 1\nthrottled_usec 7\n")
    put(top / "mine" / "memory.events.local", "low 0\nhigh 1\nmax 1\noom 0\n")
    put(top / "mine" / "memory.events", "low 0\nhigh 900\nmax 900\noom 0\n")
    counter = LimitCounter(pid=PID, proc=proc)
    counter.sample()
    put(top / "mine" / "cpu.stat", "nr_throttled 2\nthrottled_usec 10\n")
    put(top / "mine" / "memory.events.local", "low 0\nhigh 3\nmax 2\noom 0\n")
    assert counter.sample() == Limits(throttled_periods=1, throttled_ns=3_000, memory_limit_hits=3)


@pytest.mark.parametrize(
    ("groups", "throttled_ns"), [("0::/box/mine\n", 0), ("3:cpu:/mine\n0::/box/mine\n", None)]
)
def test_a_level_without_a_quota_counts_as_none_only_where_version_2_has_them_all(
    proc: Path, tmp_path: Path, groups: str, throttled_ns: int | None
) -> None:
    top = tmp_path / "unified"
    put(proc / str(PID) / "cgroup", groups)
    put(proc / "self" / "mountinfo", f"1 2 0:1 /box {top} rw - cgroup2 cgroup2 rw\n")
    put(top / "mine" / "cpu.stat", "usage_usec 100\n")
    assert LimitCounter(pid=PID, proc=proc).sample().throttled_ns == throttled_ns


def test_a_process_that_has_gone_keeps_what_was_counted(proc: Path, tmp_path: Path) -> None:
    top = cgroup_v1(proc, tmp_path)
    throttle(top / "cpu" / "outer" / "inner", 0, 0)
    counter = LimitCounter(pid=PID, proc=proc)
    counter.sample()
    throttle(top / "cpu" / "outer" / "inner", 5, 50)
    counter.sample()
    (proc / str(PID) / "cgroup").unlink()
    assert counter.sample().throttled_periods == 5


def test_no_cgroup_at_all_is_unknown_not_zero(proc: Path) -> None:
    assert LimitCounter(pid=PID, proc=proc).sample() == Limits(
        throttled_periods=None, throttled_ns=None, memory_limit_hits=None
    )


@pytest.mark.real
def test_this_machine_can_be_sampled() -> None:
    sampler = HostSampler(interval_s=60)
    sampler.start()
    samples, look = sampler.stop()
    assert look.state == "looked"
    assert len(samples) == 2
    assert samples[1].cpu_total_ns >= samples[0].cpu_total_ns > 0
