"""A black hole: nothing arrives at one address, or at one of its ports, and nobody says so."""

from dataclasses import dataclass

from kubelag.errors import LabError
from kubelag.lab.network.impair.cable import Cable, Direction, Spot, ends_of
from kubelag.lab.network.impair.drops import Match, drop_program
from kubelag.lab.network.impair.filters import has_filter, put_filter, remove_filter
from kubelag.lab.network.impair.probes import PROBE_PORT, send_segments

_PROBES = 10
"""In each direction. Arbitrary; nothing is by lot here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlackHole:
    """A target behind which there is silence; its name is still resolved by ARP or its like."""

    cable: Cable
    """The caller's, or the target's own, which makes it a black hole for everybody."""
    address: str
    """The target's, IPv4 or IPv6."""
    port: int | None = None
    """Only TCP to this port; None swallows all that is IP."""
    direction: Direction = "from_host"
    """`from_host` on the caller's cable, `to_host` on the target's own."""

    def on(self) -> None:
        """Swallow what goes there from now on.

        Raises:
            LabError: The port is not there, or the kernel has no such filter.
        """
        ports = None if self.port is None else (self.port,)
        program = drop_program(Match(target=self.address, target_ports=ports))
        put_filter(self.cable, self.direction, self._name, program)

    def off(self) -> None:
        """Let everything pass.

        Raises:
            LabError: The filter does not go.
        """
        remove_filter(self.cable, self._name)

    def is_on(self) -> bool:
        """Whether that target is silent."""
        return has_filter(self.cable, self.direction, self._name)

    def see(self, near: Spot, far: Spot) -> str:
        """Send segments to the target, and some back, since a cable that is dead is none.

        Raises:
            LabError: One arrives, or nothing comes back either.
        """
        sender, target = ends_of(self.direction, near, far)
        port = self.port or PROBE_PORT
        arrived = len(send_segments(sender, target, count=_PROBES, port=port).times_s)
        back = len(send_segments(target, sender, count=_PROBES, source_port=port).times_s)
        if arrived or not back:
            raise LabError(
                f"Of {_PROBES} segments {arrived} arrive at {self._target}, and {back} from there",
                "switch the black hole off and on again",
            )
        return (
            f"From {sender.address}, none of {_PROBES} segments arrives at {self._target}; "
            f"{back} of {_PROBES} come from there"
        )

    @property
    def _target(self) -> str:
        return self.address if self.port is None else f"{self.address} port {self.port}"

    @property
    def _name(self) -> str:
        return f"black hole {self._target}"
