"""Three healthy masters, a healthy balancer, fast names: whoever accuses something is wrong."""

from kubelag.errors import LabError
from kubelag.lab.faults.contract import HaFault, Scene
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.scenes import get_nodes
from kubelag.lab.ha.timing import backends_met, raw

CONNECTIONS = 6
"""Two for each API server."""


class NothingHa:
    """The fault-free topology."""

    id = "nothing_ha"
    expected = ()
    how_to_see = "kubelag lab exec -- kubectl get --raw /readyz"

    def component(self, _ha: HaLab) -> tuple[str, ...]:
        """Nobody."""
        return ()

    def on(self, _ha: HaLab) -> None:
        """Nothing to do."""

    def off(self, _ha: HaLab) -> None:
        """Nothing to do."""

    def see(self, ha: HaLab) -> str:
        """Connect a few times: every API server must be met, and none must fail."""
        before = backends_met(ha)
        asked = [raw(ha, "/readyz") for _ in range(CONNECTIONS)]
        met = {name: count - before[name] for name, count in backends_met(ha).items()}
        problems = [problem for _, problem in asked if problem]
        if problems or not all(met.values()):
            raise LabError(f"Not every API server answers ({met}, {problems})", "see the logs")
        shares = ", ".join(f"{name} {count}" for name, count in met.items())
        slowest_s = max(took_s for took_s, _ in asked)
        return f"{CONNECTIONS} connections were served ({shares}), the slowest in {slowest_s:.2f} s"

    def scene(self, ha: HaLab) -> Scene:
        """`kubectl get nodes`, cold."""
        return get_nodes(ha, describe="Nothing was made slow.")


FAULT: HaFault = NothingHa()
