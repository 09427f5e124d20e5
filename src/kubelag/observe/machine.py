"""The machine, for the reader of a report elsewhere."""

import os
from pathlib import Path

from kubelag.model.evidence import Machine


def machine(os_release: Path = Path("/etc/os-release")) -> Machine:
    """The facts about this machine."""
    kernel = os.uname()
    return Machine(
        hostname=kernel.nodename,
        kernel=kernel.release,
        os=_os_name(os_release) or kernel.sysname,
        processors=len(os.sched_getaffinity(0)),
        is_root=os.geteuid() == 0,
    )


def _os_name(os_release: Path) -> str | None:
    """PRETTY_NAME of os-release(5)."""
    try:
        lines = os_release.read_text(errors="replace").splitlines()
    except OSError:
        return None
    named = (line.partition("=")[2] for line in lines if line.startswith("PRETTY_NAME="))
    return next((name.strip().strip("\"'") for name in named), None)
