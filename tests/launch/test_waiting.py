"""Waiting for a child: exactly until its end, with a sign of life in between."""

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from kubelag.launch.waiting import reap, wait_exit


@pytest.fixture
def child() -> Iterator["subprocess.Popen[bytes]"]:
    """A child that waits for its standard input to end."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        yield process


def close_input(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    process.stdin.close()


def test_it_returns_with_the_end_and_leaves_the_child_to_be_reaped(
    child: "subprocess.Popen[bytes]",
) -> None:
    close_input(child)
    wait_exit(child.pid, lambda _elapsed_s: None)
    status, rusage = reap(child.pid)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    assert rusage.ru_maxrss > 0


def test_the_elapsed_time_is_told_while_it_waits(child: "subprocess.Popen[bytes]") -> None:
    heard: list[float] = []

    def tick(elapsed_s: float) -> None:
        heard.append(elapsed_s)
        if len(heard) == 2:
            close_input(child)

    wait_exit(child.pid, tick)
    assert heard == sorted(heard)
    assert heard[0] > 0


def test_what_a_signal_did_is_in_the_status(child: "subprocess.Popen[bytes]") -> None:
    child.kill()
    wait_exit(child.pid, lambda _elapsed_s: None)
    status, _ = reap(child.pid)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert os.WTERMSIG(status) == signal.SIGKILL


def test_an_interruption_leaves_no_descriptor(child: "subprocess.Popen[bytes]") -> None:
    def tick(_elapsed_s: float) -> None:
        raise KeyboardInterrupt

    before = os.listdir("/proc/self/fd")  # noqa: PTH208 - names are all we need
    with pytest.raises(KeyboardInterrupt):
        wait_exit(child.pid, tick)
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208 - the same
    close_input(child)
