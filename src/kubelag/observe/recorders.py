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
        """A shell that waits for the barrier to open and then becomes the command.

        A barrier that closes without having opened (we are gone) starts nothing.
        """
        script = f'read -r _ </dev/fd/{self._gate_read} && exec "$@"'
        return ["/bin/sh", "-c", script, "sh", *command]

    def started(self, pid: int) -> None:
        """Begin to record, then let the command go."""
        os.close(self._gate_read)
        try:
            self._refused = self._recorder.start(pid)
            os.write(self._gate_write, b"\n")
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
    """The recorder that tells most for its price here (bench/observers.py has the figures).

    Narrow: as root a tracefs instance, which stops nothing; it does not tell files, but those of
    slow calls are seen in flight, and narrow looks for no others. Every file call: strace, which
    takes more than twice the wall time, since it names every file and tracefs does not.
    """
    tries = (_tracefs, _strace) if depth == "narrow" else (_strace, _tracefs)
    reasons = []
    for attempt in tries:
        chosen = attempt(depth)
        if chosen.recorder is not None:
            return chosen
        reasons.append(chosen.why_not)
    return Chosen(None, "; ".join(reasons))


def _tracefs(depth: Depth) -> Chosen:
    why_not = tracefs.probe()
    return Chosen(None, why_not) if why_not else Chosen(TracefsAttacher(depth), "")


def _strace(depth: Depth) -> Chosen:
    why_not = syscalls.probe()
    return Chosen(None, why_not) if why_not else Chosen(StraceRecorder(depth), "")
