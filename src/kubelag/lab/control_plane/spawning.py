"""Command lines for the lab's processes, tied to the lab's life or not."""

import os
import sys
from collections.abc import Sequence

TETHER_MODULE = "kubelag.lab.control_plane.tether"


def python_argv(module: str, *arguments: str) -> tuple[str, ...]:
    """This Python running one of our modules; never one that lies in the current directory."""
    return (sys.executable, "-P", "-m", module, *arguments)


def lab_argv(argv: Sequence[str], *, daemon: bool) -> tuple[str, ...]:
    """The command itself, or, unless it is a daemon, tied to the life of this process."""
    if daemon:
        return tuple(argv)
    return python_argv(TETHER_MODULE, str(os.getpid()), *argv)
