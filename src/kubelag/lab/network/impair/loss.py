"""Loss: frames vanish by lot at the switch's end of a cable, and nobody is told."""

import math
from dataclasses import dataclass

from kubelag.errors import LabError
from kubelag.lab.network.impair.cable import BOTH_WAYS, Cable, Direction, Spot, ends_of
from kubelag.lab.network.impair.drops import Match, drop_program
from kubelag.lab.network.impair.filters import has_filter, put_filter, remove_filter
from kubelag.lab.network.impair.probes import PROBE_PORT, send_segments

_NAME = "loss"
_PROBES = 1000
"""Enough to tell 20 % from 13 %; takes a few milliseconds. Arbitrary."""
_SIGMAS = 5
"""By how many standard deviations the counted part may differ: one in a million errs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A cable that loses packets."""

    cable: Cable
    ratio: float
    """The part of the packets that vanishes, in each direction by its own lot."""
    directions: tuple[Direction, ...] = BOTH_WAYS
    tcp_ports: tuple[int, ...] | None = None
    """Only TCP with one of these ports at one of its ends, for example to spare DNS; None: all."""

    def on(self) -> None:
        """Lose packets from now on; another ratio is replaced.

        Raises:
            LabError: The port is not there, or the kernel has no such filter.
        """
        self.off()
        program = drop_program(Match(ratio=self.ratio, either_ports=self.tcp_ports))
        for direction in self.directions:
            put_filter(self.cable, direction, _NAME, program)

    def off(self) -> None:
        """Lose no more, at whatever ratio.

        Raises:
            LabError: The filter does not go.
        """
        remove_filter(self.cable, _NAME)

    def is_on(self) -> bool:
        """Whether packets get lost in each of the directions."""
        return all(has_filter(self.cable, one, _NAME) for one in self.directions)

    def see(self, near: Spot, far: Spot) -> str:
        """Send segments in each direction, and count.

        Raises:
            LabError: Not about as many get lost as promised.
        """
        port = self.tcp_ports[0] if self.tcp_ports else PROBE_PORT
        spread = _SIGMAS * math.sqrt(self.ratio * (1 - self.ratio) / _PROBES)
        said = []
        for direction in self.directions:
            ends = ends_of(direction, near, far)
            lost_ratio = send_segments(*ends, count=_PROBES, port=port).lost_ratio
            if abs(lost_ratio - self.ratio) > spread:
                raise LabError(
                    f"{self.cable.name} loses {lost_ratio:.1%} instead of {self.ratio:.1%}",
                    "switch the loss off and on again",
                )
            said.append(f"{lost_ratio:.1%} {direction.replace('_', ' ')}")
        return f"Of {_PROBES} segments on {self.cable.name}, {' and '.join(said)} got lost"
