"""Ending a child with all that it started."""

import os
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from kubelag.launch import ending
from kubelag.launch.ending import end_tree

LONG_S = 60.0


@contextmanager
def started(*lines: str) -> Iterator[tuple["subprocess.Popen[str]", list[int]]]:
    """A shell that prints the process ids of its family, and descriptors for all of them."""
    argv = ["sh", "-c", "; ".join(lines)]
    with (
        subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process,
        ExitStack() as stack,
    ):
        assert process.stdout is not None
        pids = [process.pid, *map(int, process.stdout.readline().split())]
        fds = [os.pidfd_open(pid) for pid in pids]
        for fd in fds:
            stack.callback(os.close, fd)
        yield process, fds


def have_ended(fds: list[int]) -> bool:
    return all(select.select([fd], [], [], 5)[0] for fd in fds)


@pytest.mark.parametrize(
    "lines",
    [
        ("sleep 1000 & echo $!", "wait"),
        ("trap '' TERM INT", "sleep 1000 & echo $!", "wait; wait"),
        ("sh -c 'sleep 1000 & echo $! $PPID; wait' & wait",),
        ("trap 'exit 0' TERM", "trap '' TERM; sleep 1000 & echo $!", "trap 'exit 0' TERM; wait"),
    ],
    ids=["obedient", "deaf", "grandchild", "deaf child of an obedient parent"],
)
def test_everything_below_it_ends_too(lines: tuple[str, ...]) -> None:
    with started(*lines) as (process, fds):
        end_tree(process.pid, grace_s=0.2)
        assert have_ended(fds)
        assert process.wait() in {0, 128 + signal.SIGTERM, -signal.SIGTERM, -signal.SIGKILL}


def test_who_obeys_is_not_killed(tmp_path: Path) -> None:
    mark = tmp_path / "said goodbye"
    trap = f"trap 'kill $!; touch \"{mark}\"; exit 3' INT"
    with started(trap, "sleep 1000 & echo $!", "wait") as (process, fds):
        end_tree(process.pid, signal.SIGINT, grace_s=LONG_S)
        assert have_ended(fds)
        assert process.wait() == 3
    assert mark.exists()


def test_asking_twice_needs_no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = iter([KeyboardInterrupt])

    def wait_ended(held: dict[int, int], timeout_s: float) -> None:
        for interrupt in waits:
            raise interrupt
        assert timeout_s < LONG_S
        assert have_ended(list(held.values()))

    monkeypatch.setattr(ending, "_wait_ended", wait_ended)
    with started("trap '' TERM", "sleep 1000 & echo $!", "wait; wait") as (process, fds):
        end_tree(process.pid, grace_s=LONG_S)
        assert have_ended(fds)
        assert process.wait() == -signal.SIGKILL


def test_a_child_that_has_ended_already_is_no_accident() -> None:
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        end_tree(process.pid)
        assert process.wait() == 0
