"""Waiting for a condition of the real world, always with an end."""

import time
from collections.abc import Callable

from kubelag.errors import LabError

POLL_S = 0.01
"""Between two looks. Arbitrary; what the lab waits for takes 10 ms to a few seconds."""


def is_met_within(is_met: Callable[[], bool], timeout_s: float, poll_s: float = POLL_S) -> bool:
    """Whether the condition came true within the time; looks at least once."""
    deadline = time.monotonic() + timeout_s
    while not is_met():
        if time.monotonic() > deadline:
            return False
        time.sleep(poll_s)
    return True


def wait_until(
    is_met: Callable[[], bool],
    *,
    timeout_s: float,
    problem: str,
    next_step: str = "",
    poll_s: float = POLL_S,
) -> None:
    """Wait for a condition.

    Raises:
        LabError: It did not come true in time; says the problem.
    """
    if not is_met_within(is_met, timeout_s, poll_s):
        raise LabError(f"{problem} within {timeout_s:g} s", next_step)
