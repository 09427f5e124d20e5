"""Facts about the machine."""

import os
from pathlib import Path

from kubelag.observe.machine import machine


def test_the_machine_is_described_as_it_calls_itself(tmp_path: Path) -> None:
    release = tmp_path / "os-release"
    release.write_text('NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
    found = machine(release)
    assert found.os == "Debian GNU/Linux 12 (bookworm)"
    assert found.kernel == os.uname().release
    assert found.processors >= 1
    assert found.is_root == (os.geteuid() == 0)


def test_a_machine_without_os_release_is_called_by_its_kernel(tmp_path: Path) -> None:
    assert machine(tmp_path / "none").os == "Linux"
