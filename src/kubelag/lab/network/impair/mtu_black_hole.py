"""An MTU black hole: long packets vanish on the way, and no ICMP says that they were too long.

The hosts believe in the MTU of their own interfaces. Small packets pass, so that a connection
stands and a small answer comes; the first full segment, such as a certificate, never does.
"""

from dataclasses import dataclass

from kubelag.errors import LabError
from kubelag.lab.network.impair.cable import Cable, Direction, Spot, ends_of
from kubelag.lab.network.impair.drops import Match, drop_program
from kubelag.lab.network.impair.filters import has_filter, put_filter, remove_filter
from kubelag.lab.network.impair.probes import send_segments

_NAME = "mtu black hole"
_PROBES = 10
"""Of each length. Arbitrary; nothing is by lot here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MtuBlackHole:
    """A way whose MTU is smaller than both ends believe.

    A frame that a sender has put together from many segments is measured as a whole, see
    `kubelag.lab.network.impair.cable.send_plain_frames`.
    """

    cable: Cable
    mtu_bytes: int
    """The longest IP packet that passes."""
    directions: tuple[Direction, ...] = ("to_host",)

    def on(self) -> None:
        """Swallow long packets from now on; another MTU is replaced.

        Raises:
            LabError: The port is not there, or the kernel has no such filter.
        """
        self.off()
        program = drop_program(Match(longer_than=self.mtu_bytes))
        for direction in self.directions:
            put_filter(self.cable, direction, _NAME, program)

    def off(self) -> None:
        """Let everything pass.

        Raises:
            LabError: The filter does not go.
        """
        remove_filter(self.cable, _NAME)

    def is_on(self) -> bool:
        """Whether long packets vanish in each of the directions."""
        return all(has_filter(self.cable, one, _NAME) for one in self.directions)

    def see(self, near: Spot, far: Spot) -> str:
        """Send segments that are just short enough, and some of one byte more.

        Raises:
            LabError: Short ones vanish, or long ones pass.
        """
        for direction in self.directions:
            ends = ends_of(direction, near, far)
            short = send_segments(*ends, count=_PROBES, size_bytes=self.mtu_bytes)
            long = send_segments(*ends, count=_PROBES, size_bytes=self.mtu_bytes + 1)
            if short.lost_ratio or long.times_s:
                raise LabError(
                    f"{self.cable.name} lets {len(short.times_s)} of {_PROBES} packets of "
                    f"{self.mtu_bytes} bytes pass, and {len(long.times_s)} of a byte more",
                    "switch the MTU black hole off and on again",
                )
        return (
            f"On {self.cable.name}, {_PROBES} of {_PROBES} packets of {self.mtu_bytes} bytes pass "
            f"and none of {self.mtu_bytes + 1}"
        )
