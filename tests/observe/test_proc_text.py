"""Texts of /proc and of cgroups are read right, and junk never raises."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.model.evidence import DiskSample
from kubelag.observe import proc_text

DISKSTATS = """\
   1       0 ram0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
   7       0 loop0 239 0 1060 146 6885 0 101038 242792 0 87484 245973 0 0 0 0 2179 3035
 254       0 vda 67428 23474 3052874 7837 6854 31898 1530520 3597 0 5356 11624 3573 24 114232 171 450 17
 254       1 vda1 5 0 40 1 2 0 16 3 0 4 4
 253       0 zram0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
 259       0 nvme0n1 0 0 0 0 0 0 0 0 0 0 0
   8       0 sda 1 2 junk 4 5 6 7 8 9 10 11
"""  # noqa: E501 - as the kernel prints it

MOUNTINFO = """\
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
41 31 0:38 /box /sys/fs/cgroup/uni\\040fied rw,relatime shared:4 - cgroup2 cgroup2 rw
23 20 0:21 / /sys rw,relatime - sysfs sysfs rw
junk - cgroup
"""

STAT = (
    "4242 (a ) 1 (b) R 4200 4242 4242 0 -1 4194304 700 90 3 1 12 5 2 1 20 0 21 0 8123 1000 50 "
    "18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 6 0 0 0 0 0 0 0 0 0 0"
)


def test_devices_with_io_or_of_a_usual_kind_are_kept() -> None:
    devices = [disk.device for disk in proc_text.parse_diskstats(DISKSTATS)]
    assert devices == ["loop0", "vda", "vda1", "nvme0n1"]


def test_a_disk_is_read_in_bytes_and_milliseconds_with_its_flushes() -> None:
    assert proc_text.parse_diskstats(DISKSTATS)[0] == DiskSample(
        device="loop0",
        reads=239,
        writes=6885,
        read_bytes=1060 * 512,
        write_bytes=101038 * 512,
        read_ms=146,
        write_ms=242792,
        io_ms=87484,
        flushes=2179,
        flush_ms=3035,
    )


def test_an_older_kernel_counts_no_flushes() -> None:
    partition = proc_text.parse_diskstats(DISKSTATS)[2]
    assert (partition.flushes, partition.flush_ms, partition.io_ms) == (None, None, 4)


def test_idle_and_waiting_for_disks_is_not_busy_and_stolen_time_is() -> None:
    text = "cpu  10 1 20 100 30 2 3 4 5 6\ncpu0 1 1 1 1 1 1 1 1 1 1\n"
    assert proc_text.parse_cpu_ticks(text) == (40, 170)


def test_memory_is_in_bytes() -> None:
    assert proc_text.parse_meminfo("MemTotal:  10 kB\nHugePages_Total: 2\nodd\n") == {
        "MemTotal": 10240,
        "HugePages_Total": 2,
    }


def test_pressure_is_its_cumulative_total() -> None:
    text = "some avg10=0.30 avg60=0.66 avg300=0.24 total=4067168\nfull avg10=0.00 total=17\n"
    assert proc_text.parse_pressure(text) == {"some": 4067168, "full": 17}


def test_cgroup_paths_are_found_by_controller() -> None:
    text = "4:memory:/a/b\n2:cpu,cpuacct:/c\n1:name=systemd:/\n0::/u:x\n"
    paths = proc_text.parse_cgroup_paths(text)
    assert (paths["memory"], paths["cpu"], paths["cpuacct"], paths[""]) == (
        "/a/b",
        "/c",
        "/c",
        "/u:x",
    )


def test_cgroup_mounts_of_both_versions_are_found() -> None:
    first, second = proc_text.parse_cgroup_mounts(MOUNTINFO)
    assert first.version == 1
    assert {"cpu", "cpuacct"} <= first.controllers
    assert "memory" not in first.controllers
    assert (second.version, second.root, second.mount_point) == (
        2,
        "/box",
        "/sys/fs/cgroup/uni fied",
    )


def test_a_process_may_have_any_name() -> None:
    stat = proc_text.parse_process_stat(STAT)
    assert stat is not None
    assert (stat.pid, stat.state, stat.parent_pid) == (4242, "R", 4200)
    assert (stat.minor_faults, stat.child_minor_faults) == (700, 90)
    assert (stat.major_faults, stat.child_major_faults) == (3, 1)
    assert (stat.ticks, stat.child_ticks, stat.start_ticks) == (17, 3, 8123)
    assert stat.block_io_ticks == 6


def test_schedstat_gives_running_and_waiting_time() -> None:
    assert proc_text.parse_schedstat("12345 678 9\n") == (12345, 678)


def test_the_tracer_is_told_and_none_is_zero() -> None:
    assert proc_text.parse_tracer("Name:\tx\nTracerPid:\t77\n") == 77
    assert proc_text.parse_tracer("Name:\tx\nTracerPid:\t0\n") == 0
    assert proc_text.parse_tracer("") == 0


PARSERS: tuple[Callable[[str], object], ...] = (
    proc_text.parse_diskstats,
    proc_text.parse_cpu_ticks,
    proc_text.parse_load,
    proc_text.parse_meminfo,
    proc_text.parse_pressure,
    proc_text.parse_flat_keyed,
    proc_text.parse_number,
    proc_text.parse_cgroup_paths,
    proc_text.parse_cgroup_mounts,
    proc_text.parse_process_stat,
    proc_text.parse_schedstat,
    proc_text.parse_tracer,
    proc_text.parse_pids,
)
FIELDS = st.sampled_from(
    (
        *("cpu", "loop0", "7", "0", "-1", "²", "total=9", "total=", "some", ":", "kB", " - "),
        *("cgroup2", "MemTotal:", "0::/", "(", ")", "TracerPid:", "nr_throttled", "9" * 5000),
    )
)


@pytest.mark.parametrize("parse", PARSERS)
@given(
    text=st.one_of(
        st.text(),
        st.lists(st.lists(FIELDS, max_size=45).map(" ".join), max_size=4).map("\n".join),
    )
)
def test_junk_never_raises(parse: Callable[[str], object], text: str) -> None:
    parse(text)
