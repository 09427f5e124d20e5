"""Rates from cumulative counters."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.model.evidence import DiskSample, HostSample
from kubelag.timeline import rates

S = 1_000_000_000


def disk(**counters: int | None) -> DiskSample:
    zero = dict.fromkeys(
        ("reads", "writes", "read_bytes", "write_bytes", "read_ms", "write_ms", "io_ms"), 0
    )
    fields = {"device": "loop0", **zero, "flushes": 0, "flush_ms": 0, **counters}
    return msgspec.convert(fields, DiskSample)


def host(at_s: float, *disks: DiskSample, **counters: int) -> HostSample:
    zero = {"cpu_busy_ns": 0, "cpu_total_ns": 0, "load_1min": 0.0}
    memory = {"memory_available_bytes": 25, "memory_total_bytes": 100}
    fields = {"at_ns": round(at_s * S), **zero, **memory, "disks": disks, **counters}
    return msgspec.convert(fields, HostSample)


def test_a_disk_rate_is_per_second_and_an_await_per_request() -> None:
    later = disk(
        reads=2, writes=8, read_bytes=1024, write_bytes=4096, read_ms=10, write_ms=480, io_ms=400
    )
    rate = rates.disk_rate(host(0, disk()), host(0.5, later), "loop0")
    assert rate is not None
    assert (rate.iops, rate.read_bytes_per_s, rate.write_bytes_per_s) == (20, 2048, 8192)
    assert (rate.read_await_ms, rate.write_await_ms) == (5, 60)
    assert rate.busy_ratio == pytest.approx(0.8)
    assert rate.queue_depth == pytest.approx(0.98)


def test_no_request_has_no_await() -> None:
    rate = rates.disk_rate(host(0, disk()), host(1, disk()), "loop0")
    assert rate is not None
    assert (rate.read_await_ms, rate.write_await_ms, rate.flush_await_ms) == (None, None, None)


def test_flushes_are_told_where_the_kernel_counts_them() -> None:
    rate = rates.disk_rate(host(0, disk()), host(1, disk(flushes=4, flush_ms=200)), "loop0")
    assert rate is not None
    assert rate.flush_await_ms == 50
    old = disk(flushes=None, flush_ms=None, io_ms=None)
    older = rates.disk_rate(host(0, old), host(1, old), "loop0")
    assert older is not None
    assert (older.flush_await_ms, older.busy_ratio) == (None, None)


def test_a_counter_that_went_back_gives_nothing() -> None:
    assert rates.disk_rate(host(0, disk(writes=5)), host(1, disk()), "loop0") is None


def test_a_device_that_was_not_there_gives_nothing() -> None:
    assert rates.disk_rate(host(0), host(1, disk()), "loop0") is None
    assert rates.whole_disk_rate((), "loop0") is None


def test_the_whole_window_weighs_awaits_by_requests() -> None:
    samples = (
        host(0, disk()),
        host(1, disk(writes=1, write_ms=100)),
        host(2, disk(writes=100, write_ms=199)),
    )
    whole = rates.whole_disk_rate(samples, "loop0")
    assert whole is not None
    assert whole.write_await_ms == pytest.approx(1.99)


def test_what_others_used_is_a_share_of_all_processors() -> None:
    window = (
        host(0, cpu_busy_ns=0, cpu_total_ns=0),
        host(1, cpu_busy_ns=S, cpu_total_ns=2 * S),
    )
    assert rates.others_busy_ratio(window, S // 2) == 0.25
    assert rates.others_busy_ratio(window, 2 * S) == 0
    assert rates.others_busy_ratio(window[:1], 0) is None
    assert rates.others_busy_ratio((), 0) is None


counters = st.integers(0, 1 << 40)


@given(st.lists(counters, min_size=14, max_size=14), st.integers(-S, S))
def test_any_two_samples_give_a_sane_rate_or_none(numbers: list[int], gap_ns: int) -> None:
    names = ("reads", "writes", "read_bytes", "write_bytes", "read_ms", "write_ms", "io_ms")
    before = disk(**dict(zip(names, numbers[:7], strict=True)))
    after = disk(**dict(zip(names, numbers[7:], strict=True)))
    b = replace(host(0, after), at_ns=gap_ns)
    rate = rates.disk_rate(host(0, before), b, "loop0")
    if rate is not None:
        assert rate.iops >= 0
        assert rate.write_await_ms is None or rate.write_await_ms >= 0
        assert rate.busy_ratio is None or 0 <= rate.busy_ratio <= 1
