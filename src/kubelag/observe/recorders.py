"""Chooses what watches system calls here: strace, a tracefs instance, or nothing."""

import os
from typing import NamedTuple

from kubelag.model.evidence import Look, Process, Syscall
from kubelag.observe import syscalls, tracefs
from kubelag.observe.session import Recorder
from kubelag.observe.syscalls import Depth, StraceRecorder


class Chosen(NamedTuple):
    """A recorder, or why there is none."""

    recorder: Recorder | None
    why_not: str


class TracefsAttacher:
    """Holds the command at a barrier until its tracefs instance records it."""

    def __init__(self, depth: Depth) -> None:
        self._recorder = tracefs.TracefsRecorder(depth)
        self._gate_read, self._gate_write = os.pipe()
        self._refused: str | None = None

    @property
    def pass_fds(self) -> tuple[int, ...]:
        """The barrier."""
        return (self._gate_read,)

    def argv(self, command: tuple[str, ...]) -> list[str]:
        """A shell that waits for the barrier to close and then becomes the command."""
        script = f'read -r _ </dev/fd/{self._gate_read}; exec "$@"'
        return ["/bin/sh", "-c", script, "sh", *command]

    def started(self, pid: int) -> None:
        """Begin to record, then let the command go."""
        os.close(self._gate_read)
        try:
            self._refused = self._recorder.start(pid)
        finally:
            os.close(self._gate_write)

    def abandon(self) -> None:
        """Nothing was started."""
        os.close(self._gate_read)
        os.close(self._gate_write)

    def stop(self, end_ns: int) -> tuple[tuple[Syscall, ...], tuple[Process, ...], Look]:  # noqa: ARG002 - the kernel's own clock says when it ended
        """What was seen."""
        if self._refused is not None:
            look = Look(observer="syscalls", state="could_not_look", how=self._refused)
            return (), (), look
        return self._recorder.stop()


def choose(depth: Depth) -> Chosen:
    """The cheapest recorder that works here.

    For the narrow set strace's seccomp filter costs next to nothing and needs no root; for every
    file call the kernel's own ring buffer is cheaper (bench/observers.py has the figures).
    """
    why_no_strace = syscalls.probe()
    why_no_tracefs = tracefs.probe() if depth == "files" or why_no_strace else "not tried"
    if why_no_tracefs is None:
        return Chosen(TracefsAttacher(depth), "")
    if why_no_strace is None:
        return Chosen(StraceRecorder(depth), "")
    return Chosen(None, f"{why_no_strace}; {why_no_tracefs}")
