"""A slow directory without root: a FUSE file system that delays chosen operations."""

import os
from pathlib import Path

from kubelag.errors import LabError
from kubelag.lab import processes
from kubelag.lab.mounts import find_mount
from kubelag.lab.passthrough import Latency
from kubelag.lab.state import Ledger
from kubelag.lab.tools import has_tool
from kubelag.lab.waiting import wait_until

START_S = 20.0
"""Python, libfuse and fusermount3 need about 0.3 s; a loaded machine more. Arbitrary."""
DEVICE = Path("/dev/fuse")


def fuse_obstacle() -> str:
    """Why there can be no FUSE file system here, in one clause; empty where there can."""
    if not DEVICE.exists():
        return f"this machine has no {DEVICE}"
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return f"{DEVICE} is closed to this user (as root: chmod 666 {DEVICE})"
    if os.geteuid() != 0 and not has_tool("fusermount3"):
        return "fusermount3 is missing (package fuse3)"
    return ""


def mount_fuse(directory: Path, latency: Latency, ledger: Ledger) -> Path:
    """Mount the slow file system inside an empty private directory; returns the mount point.

    Raises:
        LabError: It did not come up; says libfuse's own words.
    """
    obstacle = fuse_obstacle()
    if obstacle:
        raise LabError(f"There can be no slow FUSE file system: {obstacle}", "repair that")
    backing, mount_point, log = (directory / name for name in ("backing", "mnt", "log"))
    backing.mkdir(mode=0o700)
    mount_point.mkdir(mode=0o700)
    ledger.will_make("mount", path=os.fspath(mount_point))
    server = processes.spawn(
        _server_argv(backing, mount_point, latency),
        log=log,
        environment=os.environ | ledger.environment,
    )
    ledger.made_process(server)
    wait_until(
        lambda: find_mount(mount_point) is not None or not processes.is_running(server),
        timeout_s=START_S,
        problem="The slow FUSE file system did not come up",
    )
    if find_mount(mount_point) is None:
        words = processes.last_words(log)
        raise LabError(f"The slow FUSE file system did not come up: {words}", "install fuse3")
    return mount_point


def _server_argv(backing: Path, mount_point: Path, latency: Latency) -> tuple[str, ...]:
    return (
        *processes.python_argv("kubelag.lab.passthrough", str(backing), str(mount_point)),
        f"--fsync-ms={latency.fsync_ms}",
        f"--metadata-ms={latency.metadata_ms}",
        f"--flush-ms={latency.flush_ms}",
    )
