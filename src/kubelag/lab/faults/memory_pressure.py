"""A memory limit just below what the command uses: its own program is evicted while it runs.

The program lies on a disk that is slow to read, as on a network home, and the control group pays
for its pages. With room enough it is read once and stays; below that, every run reads it again.
Without the slow disk the effect is a cliff (no effect at 60 MiB, no end at 50 MiB); with 3 ms for
each read it is a slope: of 59 MiB used by kubectl 1.33, a limit of 47 MiB gave 0.7 s, 45 MiB
0.9 s and 43 MiB 1.8 s instead of 0.19 s, and nothing was killed.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kubelag.errors import LabError
from kubelag.lab.cgroups import Cgroup, cgroup_path, find_hierarchy, make_cgroup
from kubelag.lab.faults.contract import Fault, LabParts, Scene
from kubelag.lab.faults.stage import Stage, first, play, staged
from kubelag.lab.slow_directory import open_slow_directory
from kubelag.lab.slow_disk import block_obstacle

READ_MS = 3
LIMIT_RATIOS = (0.82, 0.78, 0.74, 0.70, 0.66)
"""Of the most that was used; tried in turn until it is slow enough. Found by trial."""
SLOWER_RATIO = 3.0
"""How many times slower a run is to be. Arbitrary; the noise here is about 1.3."""
SLOWER_S = 0.5


class MemoryPressure:
    """The kernel takes pages away faster than the command can use them."""

    id = "memory_pressure"
    expected = ("memory_pressure",)

    def obstacle(self) -> str:
        """No control groups for us, or no block device."""
        return first(block_obstacle, _cgroup_obstacle)

    @contextmanager
    def inject(self, parts: LabParts) -> Iterator[Scene]:
        """Measure what a run uses, then allow less."""
        with staged(parts, self.id) as stage:
            control_plane = stage.start_control_plane()
            cgroup = _make_cgroup(parts)
            scene = stage.get_nodes(
                _copy_to_slow_disk(stage),
                stage.home(),
                control_plane.kubeconfig(),
                cgroup_procs=(cgroup.procs,),
                describe="The memory limit is below what the command uses.",
            )
            _squeeze(scene, cgroup, stage.directory / "rehearsal")
            yield scene


def _copy_to_slow_disk(stage: Stage) -> Path:
    disk = open_slow_directory(
        stage.directory / "disk",
        kind="block",
        fsync_ms=0,
        read_ms=READ_MS,
        ledger=stage.parts.ledger,
    )
    copy = disk.path / "kubectl"
    shutil.copyfile(stage.parts.kubectl, copy)
    copy.chmod(0o700)
    descriptor = os.open(copy, os.O_RDONLY)
    try:  # the pages now belong to our group; the one that reads them next pays for them
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
    return copy


def _squeeze(scene: Scene, cgroup: Cgroup, rehearsal: Path) -> None:
    """Lower the limit until a run is slow enough.

    Raises:
        LabError: No limit made it slow without killing it.
    """

    def run_s() -> float:
        shutil.rmtree(rehearsal, ignore_errors=True)
        return play(scene, cache_directory=rehearsal)

    run_s()  # reads the program into the group
    unlimited_s = min(run_s(), run_s())
    used_bytes = cgroup.peak_memory_bytes()
    for ratio in LIMIT_RATIOS:
        cgroup.limit_memory(int(used_bytes * ratio))
        run_s()  # the first run under a new limit still lives on the pages of the last
        limited_s = min(run_s(), run_s())
        if limited_s > max(SLOWER_RATIO * unlimited_s, unlimited_s + SLOWER_S):
            return
    raise LabError("No memory limit made the command slow here", "skip this fault")


def _make_cgroup(parts: LabParts) -> Cgroup:
    hierarchy = find_hierarchy("memory")
    name = f"kubelag-memory-{parts.ledger.token}"
    parts.ledger.will_make("cgroup", path=str(cgroup_path(hierarchy, name)))
    return make_cgroup(hierarchy, name)


def _cgroup_obstacle() -> str:
    try:
        find_hierarchy("memory")
    except LabError as error:
        return error.message
    return ""


FAULT: Fault = MemoryPressure()
