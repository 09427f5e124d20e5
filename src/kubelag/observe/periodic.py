"""A thread that samples at a steady pace and never spends more than its share of one processor."""

import threading
import time
from collections.abc import Callable

MAX_COST_RATIO = 0.03
"""Share of one processor that a sampler may use; above it the pace drops. Arbitrary, but far below
the 5 % that watching as root may cost in all."""


class Periodic:
    """Calls `tick` now, then every `interval_s`, then once more when stopped.

    The first call happens in the starting thread, so that it is over when `start` returns; the
    last happens in the stopping thread.

    Args:
        tick: Takes one sample; must not raise.
        interval_s: Time between the starts of two samples.
        name: Of the thread.
        max_cost_ratio: Share of one processor beyond which the pace drops.
        calm: Until when after the start, and how far apart until then, both in seconds.
    """

    def __init__(
        self,
        *,
        tick: Callable[[], None],
        interval_s: float,
        name: str,
        max_cost_ratio: float = MAX_COST_RATIO,
        calm: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self._tick = tick
        self._interval_ns = int(interval_s * 1e9)
        self._max_cost_ratio = max_cost_ratio
        self._calm_ns, self._calm_interval_ns = (int(seconds * 1e9) for seconds in calm)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)
        self._cost_ns = 0
        self._cpu_ns = 0
        self._begun_ns = time.monotonic_ns()
        self._ended_ns: int | None = None
        self.ticks = 0

    def start(self) -> None:
        """Take the first sample, then go on in a thread."""
        self._begun_ns = time.monotonic_ns()
        self._timed_tick()
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and take the last sample; a second call does nothing."""
        if self._stop.is_set():
            return
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._timed_tick()
        self._ended_ns = time.monotonic_ns()

    @property
    def cost_ratio(self) -> float:
        """Own processor time over elapsed time, from 0 to 1."""
        end_ns = self._ended_ns if self._ended_ns is not None else time.monotonic_ns()
        return self._cpu_ns / max(1, end_ns - self._begun_ns)

    def _loop(self) -> None:
        due_ns = time.monotonic_ns()
        while True:
            pause_ns = max(self._interval(), int(self._cost_ns / self._max_cost_ratio))
            due_ns = max(due_ns + pause_ns, time.monotonic_ns())
            if self._stop.wait(max(0, due_ns - time.monotonic_ns()) / 1e9):
                return
            self._timed_tick()

    def _interval(self) -> int:
        is_calm = time.monotonic_ns() - self._begun_ns < self._calm_ns
        return self._calm_interval_ns if is_calm else self._interval_ns

    def _timed_tick(self) -> None:
        before_ns = time.thread_time_ns()
        self._tick()
        self._cost_ns = time.thread_time_ns() - before_ns
        self._cpu_ns += self._cost_ns
        self.ticks += 1
