"""Other processes want every processor, so that the command waits for its turn."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from kubelag.lab.control_plane.handle import ControlPlane
from kubelag.lab.faults.contract import Fault, LabParts, Scene
from kubelag.lab.faults.stage import Stage, staged
from kubelag.lab.processes import spawn

HOGS_PER_PROCESSOR = 8
"""Each in a session of its own, since the kernel may share time out by session (autogroup)."""
HOG_LIFE_S = 600
"""A hog ends by itself after that, should everything else fail."""
SERVER_NICE = -19
"""The API server keeps its turn, so that only the command waits; root only."""
HOG = f"""
import os, signal, sys
signal.alarm({HOG_LIFE_S})
os.sched_setaffinity(0, [int(sys.argv[1])])
while True:
    pass
"""


class CpuContended:
    """Several busy processes on each processor."""

    id = "cpu_contended"
    expected = ("cpu_contended",)

    def obstacle(self) -> str:
        """None: works everywhere."""
        return ""

    @contextmanager
    def inject(self, parts: LabParts) -> Iterator[Scene]:
        """Start the hogs; they are ended by their pids."""
        with staged(parts, self.id) as stage:
            control_plane = stage.start_control_plane()
            _favour(control_plane)
            processors = sorted(os.sched_getaffinity(0))
            for processor in processors * HOGS_PER_PROCESSOR:
                _start_hog(stage, processor)
            yield stage.get_nodes(
                parts.kubectl,
                stage.home(),
                control_plane.kubeconfig(),
                describe=f"{HOGS_PER_PROCESSOR} busy processes share each processor.",
            )


def _start_hog(stage: Stage, processor: int) -> None:
    ledger = stage.parts.ledger
    hog = spawn(
        (sys.executable, "-I", "-S", "-c", HOG, str(processor)),
        log=stage.directory / "hogs.log",
        environment=os.environ | ledger.environment,
    )
    ledger.made_process(hog)


def _favour(control_plane: ControlPlane) -> None:
    for pid in control_plane.pids:
        with suppress(PermissionError, ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, pid, SERVER_NICE)


FAULT: Fault = CpuContended()
