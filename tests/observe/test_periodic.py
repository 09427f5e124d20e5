"""Samplers keep their pace and their share of the processor."""

import threading

import pytest

from kubelag.observe.periodic import Periodic


def test_the_first_sample_is_taken_before_start_returns() -> None:
    threads: list[str] = []
    pace = Periodic(
        tick=lambda: threads.append(threading.current_thread().name), interval_s=60, name="test"
    )
    pace.start()
    assert threads == [threading.current_thread().name]
    pace.stop()


def test_stopping_takes_one_last_sample_and_only_once() -> None:
    pace = Periodic(tick=lambda: None, interval_s=60, name="test")
    pace.start()
    pace.stop()
    pace.stop()
    assert pace.ticks == 2


def test_samples_go_on_in_between() -> None:
    many = threading.Event()
    count = 0

    def tick() -> None:
        nonlocal count
        count += 1
        if count > 5:
            many.set()

    pace = Periodic(tick=tick, interval_s=0.001, name="test", max_cost_ratio=1.0)
    pace.start()
    assert many.wait(20)
    pace.stop()


def burn() -> None:
    sum(range(100_000))


def test_a_dear_sample_lowers_the_pace() -> None:
    pace = Periodic(
        tick=burn,
        interval_s=0.001,
        name="test",
        max_cost_ratio=1e-7,
    )
    pace.start()
    # At this share the next sample is due in hours; only the closing one is taken.
    pace.stop()
    assert pace.ticks == 2


@pytest.mark.parametrize("stopped", [True, False])
def test_the_cost_is_a_share(stopped: bool) -> None:
    pace = Periodic(tick=lambda: None, interval_s=60, name="test")
    pace.start()
    if stopped:
        pace.stop()
    assert 0 <= pace.cost_ratio <= 1
    pace.stop()


def test_a_calm_beginning_has_a_pace_of_its_own() -> None:
    pace = Periodic(tick=lambda: None, interval_s=0.5, name="test", calm=(60, 7))
    assert pace._interval() == 7_000_000_000
    pace._begun_ns -= 61_000_000_000
    assert pace._interval() == 500_000_000
