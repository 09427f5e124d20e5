"""Ties a process to its parent: when the lab dies, the kernel ends what the lab started.

`python -m kubelag.lab.control_plane.tether PARENT_PID COMMAND…` becomes the command, which is
ended when the process PARENT_PID dies, however it dies.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""prctl(2); the setting survives execve."""


def tie_to_parent(parent_pid: int) -> None:
    """Ask the kernel to kill us when the parent dies; exit if it is dead already.

    Killed rather than terminated: nobody is left to need an orderly end, and an API server whose
    store ends together with it takes many seconds for one.

    The kernel watches the parent's *thread* that started us, so a lab must not start servers
    from a thread that ends before the lab does.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        sys.exit(0)


def main() -> None:
    """Become the command."""
    parent_pid, command = int(sys.argv[1]), sys.argv[2:]
    tie_to_parent(parent_pid)
    os.execv(command[0], command)  # noqa: S606 - the lab's own argv, no shell wanted


if __name__ == "__main__":
    main()
