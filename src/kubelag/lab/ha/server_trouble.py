"""What the faults have in common in which all three API servers are told to misbehave."""

from collections.abc import Callable
from dataclasses import dataclass

from kubelag.errors import LabError
from kubelag.lab.control_plane.kubeconfigs import User
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.faults.contract import Scene
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.scenes import get_nodes
from kubelag.lab.ha.timing import play, raw

FAST_S = 0.15
"""Between two runs of kubectl that do the same, on a busy machine. Arbitrary."""
UNAFFECTED_TRIES = 3
HEALTH = "/livez"
"""Answered at once whatever the lab's options say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTrouble:
    """One way in which every API server misbehaves, whichever a balancer chooses."""

    id: str
    expected: tuple[str, ...]
    how_to_see: str
    describe: str
    """One sentence."""
    change: Callable[[ControlPlaneOptions], ControlPlaneOptions]
    """From how they are to how they are while it is on."""
    path: str
    """What is asked in order to see it."""
    least_s: float
    """What the answer then takes at least."""
    user: User = "certificate"
    names: tuple[str, ...] = ()
    """Of the guilty part, where there is one besides the API server itself."""
    cold: bool = True
    """False where the trouble is that nothing stays in the cache: it is filled beforehand."""
    is_failing: bool = False
    """Whether that answer is an error."""
    compared_user: User | None = None
    """Who is not affected, where somebody is not; otherwise health checks are not."""
    tries: int = 1
    """How often it is asked at most, where not every answer shows it."""

    def component(self, _ha: HaLab) -> tuple[str, ...]:
        """The API server as such, or the named part of it."""
        return self.names

    def on(self, ha: HaLab) -> None:
        """Tell all three."""
        if ha.plan.kind != "embedded":
            raise LabError(
                f"A real API server cannot be told to have the fault {self.id}",
                "use --control-plane embedded",
            )
        ha.reconfigure_all(self.change(ha.plan.options))
        if not self.cold:
            play(ha, self.scene(ha))

    def off(self, ha: HaLab) -> None:
        """Tell them to be as they were."""
        ha.calm()

    def see(self, ha: HaLab) -> str:
        """Ask for one thing that shows it, and for one that does not."""
        usual_s, wrong = self._ask_unaffected(ha)
        took_s, problem = 0.0, ""
        for _ in range(self.tries):
            took_s, problem = raw(ha, self.path, ha.environment(self.user))
            if bool(problem) == self.is_failing and took_s > usual_s + self.least_s - FAST_S:
                break
        else:
            raise LabError(
                f"{self.path} took {took_s:.2f} s, {self._unaffected} {usual_s:.2f} s "
                f"({problem or wrong or 'both answered'})",
                f"kubelag lab fault {self.id} off, then on again",
            )
        how = f", with the error: {problem}" if problem else ""
        return f"{self.path} takes {took_s:.2f} s{how}; {self._unaffected} takes {usual_s:.2f} s"

    def _ask_unaffected(self, ha: HaLab) -> tuple[float, str]:
        """The best of a few: on a busy machine any single one may have waited for a processor."""
        path = self.path if self.compared_user else HEALTH
        environment = ha.environment(self.compared_user or self.user)
        return min(raw(ha, path, environment) for _ in range(UNAFFECTED_TRIES))

    @property
    def _unaffected(self) -> str:
        return f"the same with a {self.compared_user}" if self.compared_user else HEALTH

    def scene(self, ha: HaLab) -> Scene:
        """`kubectl get nodes`."""
        return get_nodes(ha, describe=self.describe, cold=self.cold, user=self.user)
