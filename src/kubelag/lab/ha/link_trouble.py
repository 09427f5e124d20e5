"""What the faults have in common in which the cable of the client's node is bad."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.faults.contract import Scene
from kubelag.lab.ha.lab import HaLab, spot
from kubelag.lab.ha.scenes import get_nodes
from kubelag.lab.network.impair.cable import Spot
from kubelag.lab.network.impair.delay import Delay


class Impairment(Protocol):
    """A trouble of `kubelag.lab.network.impair`."""

    def on(self) -> None:
        """Make it."""

    def off(self) -> None:
        """Take it away, also twice."""

    def see(self, near: Spot, far: Spot) -> str:
        """Measure it between the host at the cable and another one."""


class LongWire(Delay):
    """A delay that leaves no directory behind."""

    def off(self) -> None:
        """End the wire, and forget where it was written down."""
        Delay.off(self)
        shutil.rmtree(self.directory, ignore_errors=True)


def long_wire(ha: HaLab, one_way_s: float) -> LongWire:
    """The cable of the client's node, made longer.

    Not in the ledger: it would be taken away before `off` has read in it which process to end.
    """
    return LongWire(
        cable=ha.cable(ha.client),
        one_way_s=one_way_s,
        directory=ha.directory / "long-wire",
        marks=ha.mark,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkTrouble:
    """One way in which the client's node is badly connected, whatever it speaks to."""

    id: str
    expected: tuple[str, ...]
    how_to_see: str
    describe: str
    """One sentence."""
    impairment: Callable[[HaLab], Impairment]
    """Made afresh for each use; what it has done is told by the machine."""
    arguments: tuple[str, ...] = ("get", "nodes")
    """What kubectl is asked, cold."""
    change: Callable[[ControlPlaneOptions], ControlPlaneOptions] | None = None
    """How the embedded API servers are while it is on; real ones stay as they are."""
    is_address_named: bool = False
    """Whether the headline must say to which address the way is bad."""

    def component(self, ha: HaLab) -> tuple[str, ...]:
        """The shared address, where one is named at all: a way has two ends."""
        return (ha.vip,) if self.is_address_named else ()

    def on(self, ha: HaLab) -> None:
        """Spoil the cable of the client's node."""
        if self.change and ha.plan.kind == "embedded":
            ha.reconfigure_all(self.change(ha.plan.options))
        self.impairment(ha).on()

    def off(self, ha: HaLab) -> None:
        """Repair it."""
        self.impairment(ha).off()
        if self.change:
            ha.calm()

    def see(self, ha: HaLab) -> str:
        """Measure between the client's node and the shared address."""
        owner = Spot(host=ha.wait_owner().namespace, address=ha.vip)
        return self.impairment(ha).see(spot(ha.client), owner)

    def scene(self, ha: HaLab) -> Scene:
        """A cold command on the client's node."""
        return get_nodes(ha, describe=self.describe, arguments=self.arguments)
