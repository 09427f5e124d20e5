"""Reading the kernel's mount table, and running the system's tools."""

from pathlib import Path

import pytest

from kubelag.errors import LabError
from kubelag.lab import mounts
from kubelag.lab.tools import run_tool


def test_the_root_is_always_mounted() -> None:
    assert mounts.find_mount(Path("/")) is not None


def test_mounts_below_a_directory_do_not_include_those_of_a_namesake() -> None:
    assert mounts.mounts_below(Path("/pro")) == ()
    assert "/proc" in {mount.mount_point for mount in mounts.mounts_below(Path("/proc"))}


def test_the_innermost_mount_comes_first() -> None:
    assert mounts.mounts_below(Path("/"))[-1].mount_point == "/"


def test_unmounting_what_is_not_mounted_does_nothing(tmp_path: Path) -> None:
    mounts.unmount(tmp_path)
    mounts.detach_loops(tmp_path / "no-such-file")


def test_a_tool_that_fails_is_told_in_its_own_words() -> None:
    with pytest.raises(LabError, match=r"Cannot look: .*no-such-file"):
        run_tool(("ls", "/no-such-file"), problem="Cannot look")


def test_a_tool_that_is_missing_is_named() -> None:
    with pytest.raises(LabError, match="no-such-tool is missing"):
        run_tool(("no-such-tool",), problem="Cannot try")
