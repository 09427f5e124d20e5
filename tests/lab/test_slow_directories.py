"""Slow directories: real mounts with real latencies, and nothing left of them."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubelag.errors import LabError
from kubelag.lab import slow_directory as module
from kubelag.lab.mounts import find_loops, mounts_below
from kubelag.lab.processes import find_marked
from kubelag.lab.slow_directory import SlowDirectory, measure_fsync_ms, open_slow_directory
from kubelag.lab.slow_disk import block_obstacle, write_delay_ms
from kubelag.lab.slow_fuse import fuse_obstacle
from kubelag.lab.state import Ledger

pytestmark = pytest.mark.real
FSYNC_MS = 30.0


@pytest.fixture(scope="module", params=["block", "fuse"])
def slow(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SlowDirectory]:
    """One slow directory of each kind for all tests here."""
    obstacle = block_obstacle() if request.param == "block" else fuse_obstacle()
    if obstacle:
        pytest.skip(obstacle)
    place = tmp_path_factory.mktemp(request.param)
    with (
        Ledger.open(place / "state") as ledger,
        open_slow_directory(
            place / "disk", fsync_ms=FSYNC_MS, kind=request.param, ledger=ledger
        ) as opened,
    ):
        yield opened


def disk_writes(device: str) -> tuple[int, int]:
    """Finished writes of a block device, and the milliseconds spent on them."""
    for line in Path("/proc/diskstats").read_text().splitlines():
        fields = line.split()
        if fields[2] == device:
            return int(fields[7]), int(fields[10])
    raise AssertionError(device)


def test_an_fsync_takes_about_what_was_asked_for(slow: SlowDirectory) -> None:
    # the upper bound is generous: other processes share this machine
    assert 0.8 * FSYNC_MS < slow.fsync_ms < 3 * FSYNC_MS


@pytest.mark.parametrize("slow", ["block"], indirect=True)
def test_the_latency_shows_in_the_kernels_disk_statistics(slow: SlowDirectory) -> None:
    assert slow.device
    writes, spent_ms = disk_writes(slow.device)
    measure_fsync_ms(slow.path)
    more_writes, more_ms = disk_writes(slow.device)
    await_ms = (more_ms - spent_ms) / (more_writes - writes)
    assert await_ms >= write_delay_ms(FSYNC_MS)


def test_files_behave_as_files(slow: SlowDirectory) -> None:
    place = slow.path / "a" / "b"
    place.mkdir(parents=True, mode=0o750)
    file = place / "file"
    file.write_bytes(b"one")
    with file.open("ab") as stream:
        stream.write(b" two")
    file.chmod(0o660)
    os.utime(file, ns=(1, 2_000_000_003))
    (place / "link").symlink_to("file")
    file.rename(place / "renamed")
    assert (place / "renamed").read_bytes() == b"one two"
    assert (place / "renamed").stat().st_mode & 0o777 == 0o660
    assert (place / "renamed").stat().st_mtime_ns == 2_000_000_003
    assert (place / "link").readlink() == Path("file")
    assert sorted(path.name for path in place.iterdir()) == ["link", "renamed"]
    with (place / "renamed").open("r+b") as stream:
        stream.truncate(3)
    assert (place / "renamed").read_bytes() == b"one"
    with pytest.raises(FileExistsError), (place / "renamed").open("xb"):
        pass
    shutil.rmtree(slow.path / "a")
    assert not (slow.path / "a").exists()


def test_the_mount_is_private(slow: SlowDirectory) -> None:
    assert slow.path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kind", ["block", "fuse"])
def test_closing_leaves_nothing_and_may_be_done_twice(tmp_path: Path, kind: str) -> None:
    obstacle = block_obstacle() if kind == "block" else fuse_obstacle()
    if obstacle:
        pytest.skip(obstacle)
    with Ledger.open(tmp_path / "state") as ledger:
        slow = open_slow_directory(tmp_path / "disk", fsync_ms=5, kind=kind, ledger=ledger)
        (slow.path / "dirty").write_bytes(bytes(10_000))
        slow.close()
        slow.close()
        assert mounts_below(tmp_path) == ()
        assert find_loops(tmp_path / "disk" / "disk") == ()
        assert find_marked(ledger.token) == ()
        assert not (tmp_path / "disk").exists()
        assert ledger.entries == ()


def test_a_busy_directory_is_closed_all_the_same(tmp_path: Path) -> None:
    if fuse_obstacle():
        pytest.skip(fuse_obstacle())
    with Ledger.open(tmp_path / "state") as ledger:
        slow = open_slow_directory(tmp_path / "disk", fsync_ms=0, kind="fuse", ledger=ledger)
        with subprocess.Popen(("sleep", "600"), cwd=slow.path) as squatter:
            slow.close()
            assert mounts_below(tmp_path) == ()
            squatter.kill()


def test_a_file_system_that_does_not_come_up_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fuse_obstacle():
        pytest.skip(fuse_obstacle())
    monkeypatch.setattr("kubelag.lab.processes.sys.executable", "/bin/false")
    with Ledger.open(tmp_path / "state") as ledger:
        with pytest.raises(LabError, match="did not come up"):
            open_slow_directory(tmp_path / "disk", kind="fuse", ledger=ledger)
        assert ledger.entries == ()
    assert not (tmp_path / "disk").exists()


def test_where_no_kind_is_possible_both_reasons_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kubelag.lab.slow_disk.block_obstacle", lambda: "no loops")
    monkeypatch.setattr("kubelag.lab.slow_fuse.fuse_obstacle", lambda: "no FUSE")
    monkeypatch.setattr(module, "block_obstacle", lambda: "no loops")
    monkeypatch.setattr(module, "fuse_obstacle", lambda: "no FUSE")
    sentence = module.why_no_slow_disk()
    assert "no loops" in sentence
    assert "no FUSE" in sentence
    with (
        Ledger.open(tmp_path / "state") as ledger,
        pytest.raises(LabError, match=r"no loops.*no FUSE"),
    ):
        open_slow_directory(tmp_path / "disk", ledger=ledger)


@pytest.mark.parametrize(("fsync_ms", "delay_ms"), [(0, 0), (5, 1), (20, 6), (60, 20), (120, 40)])
def test_the_delay_of_a_write_follows_the_calibration(fsync_ms: float, delay_ms: int) -> None:
    assert write_delay_ms(fsync_ms) == pytest.approx(delay_ms, abs=1)
