"""A control group that allows a fraction of one processor, as a container with a low limit."""

from collections.abc import Iterator
from contextlib import contextmanager

from kubelag.errors import LabError
from kubelag.lab.cgroups import cgroup_path, find_hierarchy, make_cgroup
from kubelag.lab.faults.contract import Fault, LabParts, Scene
from kubelag.lab.faults.stage import staged

CPU_RATIO = 0.1
"""Of one processor: a cold run that needs 0.15 s of it then takes over a second."""


class CpuThrottled:
    """The command does little, and is not allowed to do it at once."""

    id = "cpu_throttled"
    expected = ("cpu_throttled",)

    def obstacle(self) -> str:
        """No control groups for us."""
        try:
            find_hierarchy("cpu")
        except LabError as error:
            return error.message
        return ""

    @contextmanager
    def inject(self, parts: LabParts) -> Iterator[Scene]:
        """Make the group; the command joins it."""
        with staged(parts, self.id) as stage:
            control_plane = stage.start_control_plane()
            hierarchy = find_hierarchy("cpu")
            name = f"kubelag-cpu-{parts.ledger.token}"
            parts.ledger.will_make("cgroup", path=str(cgroup_path(hierarchy, name)))
            cgroup = make_cgroup(hierarchy, name)
            cgroup.limit_cpu(CPU_RATIO)
            yield stage.get_nodes(
                parts.kubectl,
                stage.home(),
                control_plane.kubeconfig(),
                cgroup_procs=(cgroup.procs,),
                describe=f"A control group allows {CPU_RATIO:.0%} of one processor.",
            )


FAULT: Fault = CpuThrottled()
