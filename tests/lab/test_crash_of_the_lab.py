"""A lab that is killed anywhere leaves nothing behind once the next one has cleaned up."""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from kubelag.lab.mounts import find_loops, mounts_below
from kubelag.lab.processes import find_marked
from kubelag.lab.slow_directory import open_slow_directory
from kubelag.lab.slow_disk import block_obstacle
from kubelag.lab.slow_fuse import fuse_obstacle
from kubelag.lab.state import JOURNAL, Ledger, reap_abandoned

pytestmark = pytest.mark.real

KILLED_LAB = """
import os, signal, sys
from pathlib import Path
from kubelag.lab.processes import spawn
from kubelag.lab.slow_directory import open_slow_directory
from kubelag.lab.state import Ledger

place, kind, last, when = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
will_make, count = Ledger.will_make, 0

def will_make_until(self, kind, **facts):
    global count
    count += 1
    if count == last and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    number = will_make(self, kind, **facts)
    if count == last and when == "after":
        os.kill(os.getpid(), signal.SIGKILL)
    return number

Ledger.will_make = will_make_until
ledger = Ledger.open(place / "state" / "lab")
slow = open_slow_directory(place / "disk", fsync_ms=5, kind=kind, ledger=ledger)
(slow.path / "dirty").write_bytes(bytes(10_000))
environment = {**os.environ, **ledger.environment}
spawn(("sleep", "600"), log=place / "log", environment=environment, directory=slow.path)
os.kill(os.getpid(), signal.SIGKILL)
"""
WHOLE = 99
"""Past the last entry: killed when everything is up and a stranger uses the disk."""


def kill_lab(place: Path, kind: str, last: int, when: str) -> str:
    """Run a lab until it is killed at an entry of its journal; returns its mark."""
    argv = (sys.executable, "-c", KILLED_LAB, str(place), kind, str(last), when)
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    journal = (place / "state" / "lab" / JOURNAL).read_text()
    return journal.split('"token": "')[1].split('"')[0]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("kind", "last"),
    [*(("block", last) for last in (1, 2, 3, 4, 5, WHOLE)), *(("fuse", last) for last in (2, 3))],
)
def test_nothing_is_left_of_a_lab_that_was_killed(
    tmp_path: Path, kind: str, last: int, when: str
) -> None:
    obstacle = block_obstacle() if kind == "block" else fuse_obstacle()
    if obstacle:
        pytest.skip(obstacle)
    token = kill_lab(tmp_path, kind, last, when)
    assert reap_abandoned(tmp_path / "state") == (tmp_path / "state" / "lab",)
    assert mounts_below(tmp_path) == ()
    assert find_loops(tmp_path / "disk" / "disk") == ()
    assert find_marked(token) == ()
    assert not (tmp_path / "disk").exists()
    assert not (tmp_path / "state" / "lab").exists()
    assert reap_abandoned(tmp_path / "state") == ()


def test_a_disk_goes_although_another_mount_namespace_has_a_copy_of_its_mount(
    tmp_path: Path,
) -> None:
    if obstacle := block_obstacle():
        pytest.skip(obstacle)
    with ExitStack() as on_exit:
        with Ledger.open(tmp_path / "state") as ledger:
            disk = open_slow_directory(tmp_path / "disk", fsync_ms=5, kind="block", ledger=ledger)
            argv = ("unshare", "--mount", "sh", "-c", "echo ready; exec sleep 600")
            stranger = on_exit.enter_context(subprocess.Popen(argv, stdout=subprocess.PIPE))
            on_exit.callback(stranger.kill)
            assert stranger.stdout
            assert stranger.stdout.readline() == b"ready\n"
            mountinfo = Path(f"/proc/{stranger.pid}/mountinfo")
            assert str(disk.path) in mountinfo.read_text()
        assert str(tmp_path) not in mountinfo.read_text()
    assert find_loops(tmp_path / "disk" / "disk") == ()
    assert mounts_below(tmp_path) == ()


def test_a_mark_of_one_lab_never_ends_the_processes_of_another(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "one") as one, Ledger.open(tmp_path / "two") as two:
        environment = os.environ | one.environment
        with subprocess.Popen(("sleep", "600"), env=environment) as mine:
            two.reap()
            assert mine.poll() is None
            assert [process.pid for process in find_marked(one.token)] == [mine.pid]
            mine.kill()
