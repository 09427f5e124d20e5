"""What the faults have in common: a place, a server, and an end that undoes everything."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from kubelag.errors import LabError
from kubelag.lab.cgroups import joining
from kubelag.lab.control_plane.handle import ControlPlane
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.faults.contract import LabParts, Scene, base_environment

REHEARSAL_S = 120.0
"""Longest run of a rehearsed command; the slowest fault takes about 12 s. Arbitrary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A fault's own directory and its undo stack."""

    parts: LabParts
    directory: Path
    on_exit: ExitStack

    def start_control_plane(self, options: ControlPlaneOptions | None = None) -> ControlPlane:
        """A control plane that stops with the fault."""
        control_plane = self.parts.start_control_plane(options or ControlPlaneOptions())
        self.on_exit.callback(control_plane.stop)
        return control_plane

    def executable_directory(self) -> Path:
        """A private directory for programs: /run, where labs live, is often mounted noexec."""
        if not os.statvfs(self.directory).f_flag & os.ST_NOEXEC:
            return self.directory
        ledger = self.parts.ledger
        return ledger.make_directory(
            Path(tempfile.gettempdir()) / f"kubelag-{ledger.token}-{ledger.mark()}"
        )

    def home(self, *, below: Path | None = None) -> Path:
        """A home directory, on this fault's own disk where it has one."""
        home = (below or self.directory) / "home"
        home.mkdir(mode=0o700)
        return home

    def old_kubectl(self) -> Path:
        """A kubectl whose cache fsyncs.

        Raises:
            LabError: There is none at hand.
        """
        found = self.parts.find_old_kubectl()
        if found is None:
            raise LabError(
                "This fault needs a kubectl older than 1.25", "run: kubelag lab kubectl 1.20.2"
            )
        return found

    def get_nodes(
        self,
        kubectl: Path,
        home: Path,
        kubeconfig: Path,
        *,
        describe: str,
        cold: bool = True,
        cgroup_procs: tuple[Path, ...] = (),
    ) -> Scene:
        """The scene that nearly every fault plays: `kubectl get nodes`."""
        return Scene(
            command=(os.fspath(kubectl), "get", "nodes"),
            environment=base_environment(home, kubeconfig),
            cold=cold,
            cgroup_procs=cgroup_procs,
            describe=describe,
        )


@contextmanager
def staged(parts: LabParts, name: str) -> Iterator[Stage]:
    """A directory for one fault; at the end everything made meanwhile is undone."""
    start = parts.ledger.mark()
    with ExitStack() as on_exit:
        on_exit.callback(lambda: parts.ledger.reap(range(start, parts.ledger.mark())))
        directory = parts.ledger.make_directory(parts.directory / name)
        yield Stage(parts=parts, directory=directory, on_exit=on_exit)


def play(scene: Scene, *, cache_directory: Path | None = None) -> float:
    """Run the scene's command once as it stands, unobserved; returns its wall time in seconds.

    Args:
        scene: What to run.
        cache_directory: A fresh one for a cold run; without it the default one is used.

    Raises:
        LabError: The command failed; says its last words.
    """
    extra = (f"--cache-dir={cache_directory}",) if cache_directory else ()
    start_s = time.perf_counter()
    try:
        done = subprocess.run(
            (*joining(scene.cgroup_procs), *scene.command, *extra),
            env=dict(scene.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=REHEARSAL_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(f"The rehearsal did not end within {REHEARSAL_S:g} s") from error
    wall_s = time.perf_counter() - start_s
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        raise LabError(f"The rehearsal failed: {words[-1] if words else done.returncode}")
    return wall_s


def first(*obstacles: Callable[[], str]) -> str:
    """The first obstacle that is there; empty where none is."""
    return next((found for obstacle in obstacles if (found := obstacle())), "")
