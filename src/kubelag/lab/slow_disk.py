"""A real block device that is slow to write: root only.

An ext4 image in the memory of nbdkit, whose delay filter holds back every write; nbdfuse shows it
as a file; a loop device with direct I/O over that file gives it a line in /proc/diskstats.

Calibration, measured with nbdkit 1.32, Linux 6.18, ext4 with a journal: one fsync of a new small
file is three writes one after another (the data, the journal's blocks, the commit record) and
about 0.5 ms for each round trip, so that fsync = 3 x (delay + 0.5 ms): 1 ms gave 4.3 ms, 6 ms
19.8 ms, 20 ms 62.3 ms. Without direct I/O on the loop device the same 20 ms gave anything from
62 to 103 ms, since the page cache of the backing file adds rounds of its own.
"""

import os
from pathlib import Path

from kubelag.errors import LabError
from kubelag.lab import mounts, processes
from kubelag.lab.processes import Identity
from kubelag.lab.state import Ledger
from kubelag.lab.tools import has_tool, run_tool
from kubelag.lab.waiting import wait_until

WRITES_PER_FSYNC = 3
"""See the calibration above."""
ROUND_TRIP_MS = 0.5
"""The part of a write's time that is not the delay; see the calibration above."""
SIZE_MIB = 128
"""Room for many discovery caches, or for one kubectl; held in memory."""
START_S = 20.0
"""nbdkit and nbdfuse need about 0.15 s; a loaded machine more. Arbitrary."""
TOOLS = ("nbdkit", "nbdfuse", "losetup", "mkfs.ext4", "mount", "umount")
MKFS = ("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0")
"""No lazy initialisation: the kernel would write in the background for minutes."""


def block_obstacle() -> str:
    """Why there can be no slow block device here, in one clause; empty where there can."""
    if os.geteuid() != 0:
        return "a loop device needs root"
    missing = [tool for tool in TOOLS if not has_tool(tool)]
    if missing:
        return f"{', '.join(missing)} missing (./scripts/_system_packages installs them)"
    absent = [path for path in ("/dev/fuse", "/dev/loop-control") if not Path(path).exists()]
    return f"this machine has no {' and no '.join(absent)}" if absent else ""


def write_delay_ms(fsync_ms: float) -> int:
    """The delay of one write that makes one fsync take about so long; nbdkit takes whole ms."""
    return max(0, round(fsync_ms / WRITES_PER_FSYNC - ROUND_TRIP_MS))


def mount_disk(
    directory: Path, *, delay_ms: int, read_ms: int, journal_mib: int | None, ledger: Ledger
) -> tuple[Path, str]:
    """Mount a slow ext4 inside an empty private directory.

    Args:
        directory: Gets the mount point `mnt`, the backing file `disk`, and a log.
        delay_ms: Added to each write.
        read_ms: Added to each read.
        journal_mib: Size of ext4's journal; None leaves it to mkfs (4 MiB). In a journal of 1 MiB,
            renames and opens soon wait for room.
        ledger: Where everything is written down before it is made.

    Returns:
        The mount point, and the kernel's name of the block device.

    Raises:
        LabError: A tool is missing or refused; says which, and its own words.
    """
    obstacle = block_obstacle()
    if obstacle:
        raise LabError(f"There can be no slow block device: {obstacle}", "repair that")
    image, disk, mount_point = (directory / name for name in ("image", "disk", "mnt"))
    _format(image, journal_mib)
    disk.touch(mode=0o600)
    mount_point.mkdir(mode=0o700)
    ledger.will_make("mount", path=os.fspath(disk))
    server = processes.spawn(
        _server_argv(disk, delay_ms, read_ms),
        log=directory / "log",
        directory=directory,
        environment=os.environ | ledger.environment,
    )
    ledger.made_process(server)
    _wait_disk(disk, server, directory / "log")
    image.unlink()  # nbdkit has it in memory now
    ledger.will_make("loop", backing=os.fspath(disk))
    device = mounts.attach_loop(disk)
    ledger.will_make("mount", path=os.fspath(mount_point))
    run_tool(
        ("mount", "-t", "ext4", "-o", "noatime", f"/dev/{device}", os.fspath(mount_point)),
        problem="Cannot mount the slow disk",
    )
    mount_point.chmod(0o700)
    return mount_point, device


def _format(image: Path, journal_mib: int | None) -> None:
    """Format before the delay applies: through it, mkfs would take seconds."""
    with image.open("xb") as stream:
        stream.truncate(SIZE_MIB << 20)
    journal = ("-J", f"size={journal_mib}") if journal_mib else ()
    run_tool((*MKFS, *journal, os.fspath(image)), problem="Cannot format the slow disk")


def _server_argv(disk: Path, delay_ms: int, read_ms: int) -> tuple[str, ...]:
    """nbdfuse, with nbdkit as its child that ends with it; no socket, no port, no pid file."""
    return (
        *("nbdfuse", os.fspath(disk), "--command"),
        *("nbdkit", "-s", "--exit-with-parent", "--filter=delay"),
        # A relative name: the data plugin's little language takes no blanks in it.
        *("data", "data=<image", f"size={SIZE_MIB}M"),
        *(f"wdelay={delay_ms}ms", f"rdelay={read_ms}ms"),
    )


def _wait_disk(disk: Path, server: Identity, log: Path) -> None:
    def is_there() -> bool:
        return mounts.find_mount(disk) is not None and disk.stat().st_size == SIZE_MIB << 20

    wait_until(
        lambda: is_there() or not processes.is_running(server),
        timeout_s=START_S,
        problem="The slow disk did not come up",
    )
    if not processes.is_running(server):
        words = processes.last_words(log)
        raise LabError(f"The slow disk did not come up: {words}", f"see {log}")
