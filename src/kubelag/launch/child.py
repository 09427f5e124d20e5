"""What a child of ours does between fork and exec: join control groups, take a filter."""

import ctypes
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from kubelag.launch.seccomp import install, no_sync_program, placebo_program

Filter = Literal["none", "no_sync", "placebo"]
"""The seccomp filter that a run starts under."""

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """How a command is started; the same work in every arm but for what differs by intent."""

    filter: Filter = "none"
    cgroup_procs: tuple[str, ...] = ()
    """`cgroup.procs` files of the groups that it joins."""
    dies_with_us: bool = True
    """Whether it is told to end when we end: nothing that we time goes on alone."""

    def under(self, kind: Filter) -> "Child":
        """The same under another filter."""
        return replace(self, filter=kind)

    def before_exec(self) -> Callable[[], None]:
        """The function for the child; everything that needs memory is made beforehand."""
        makers = {"no_sync": no_sync_program, "placebo": placebo_program}
        program = makers[self.filter]() if self.filter in makers else None
        libc = ctypes.CDLL(None, use_errno=True)

        def prepare() -> None:
            if self.dies_with_us:
                libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            for path in self.cgroup_procs:
                fd = os.open(path, os.O_WRONLY)
                os.write(fd, b"0")
                os.close(fd)
            if program is not None:
                install(program)

        return prepare
