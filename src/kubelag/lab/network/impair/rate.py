"""A narrow link: so many bits a second and not more, with the queue of a router before it.

Towards the host it is at the switch's port; from the host it is at the host's own interface, since
a kernel without redirection cannot queue what comes in. A capture there sees segments leave as
slowly as the narrow link takes them.
"""

import json
from dataclasses import dataclass
from typing import Any

from kubelag.errors import LabError
from kubelag.lab.network.impair.cable import BOTH_WAYS, Cable, Direction, Spot, ends_of
from kubelag.lab.network.impair.probes import transfer_s
from kubelag.lab.network.namespaces import Namespace

_HANDLE = "7601:"
"""By which our queue is told from another's. Arbitrary."""
_BURST_FRAMES_BYTES = 3 * 1514
_BURST_S = 0.002
"""What may pass at once: 3 frames, or what the rate allows in this time, which a timer keeps."""
_QUEUE_S = 0.4
"""How long a packet may wait before the queue is full and one is lost. Arbitrary; home routers
have about that, and a shorter queue would look like a lossy link."""
_SEEN_S = 1.0
"""How long the transfer that is timed takes at the promised rate. Arbitrary."""
_SEEN_BYTES = range(1 << 16, 1 << 24)
"""The least and the most to transfer. Arbitrary; below, the burst is all that is measured."""
_FASTER_RATIO, _SLOWER_RATIO = 1.15, 0.5
"""How much the measured rate may differ: the burst goes on top, and headers, acknowledgements and
what TCP had to send again come off. Arbitrary."""
_TIMEOUT_RATIO = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A cable that takes so many bits a second."""

    cable: Cable
    bits_per_s: int
    """Of whole frames."""
    directions: tuple[Direction, ...] = BOTH_WAYS

    def on(self) -> None:
        """Let no more through from now on; another rate is replaced.

        Raises:
            LabError: An end of the cable is not there, or the kernel has no tbf.
        """
        self.off()
        burst_bytes = max(_BURST_FRAMES_BYTES, round(self.bits_per_s * _BURST_S / 8))
        for direction in self.directions:
            self._tc(
                direction,
                *("qdisc", "replace", "dev", self._sender(direction)[1], "root"),
                *("handle", _HANDLE, "tbf", "rate", f"{self.bits_per_s}bit"),
                *("burst", str(burst_bytes), "latency", f"{round(_QUEUE_S * 1000)}ms"),
            )

    def off(self) -> None:
        """Let everything through, whatever the rate was.

        Raises:
            LabError: The queue does not go.
        """
        for direction in BOTH_WAYS:
            if self._is_on(direction):
                self._tc(direction, "qdisc", "del", "dev", self._sender(direction)[1], "root")

    def is_on(self) -> bool:
        """Whether each of the directions is narrow."""
        return all(self._is_on(direction) for direction in self.directions)

    def see(self, near: Spot, far: Spot) -> str:
        """Time a TCP transfer in each direction.

        Raises:
            LabError: It is faster, or much slower, than promised.
        """
        size_bytes = round(self.bits_per_s * _SEEN_S / 8)
        size_bytes = max(_SEEN_BYTES.start, min(size_bytes, _SEEN_BYTES.stop))
        promised_s = size_bytes * 8 / self.bits_per_s
        said = []
        for direction in self.directions:
            ends = ends_of(direction, near, far)
            took_s = transfer_s(*ends, size_bytes, timeout_s=_TIMEOUT_RATIO * promised_s)
            if took_s is None or not _SLOWER_RATIO <= promised_s / took_s <= _FASTER_RATIO:
                took = "do not arrive" if took_s is None else f"take {took_s:.2f} s"
                raise LabError(
                    f"{size_bytes} bytes on {self.cable.name} {took} instead of {promised_s:.2f} s",
                    "switch the narrow link off and on again",
                )
            said.append(f"{took_s:.2f} s {direction.replace('_', ' ')}")
        return f"{size_bytes} bytes on {self.cable.name} take {' and '.join(said)}"

    def _sender(self, direction: Direction) -> tuple[Namespace, str]:
        """The end of the cable where the queue stands."""
        cable = self.cable
        to_host = (cable.lan, cable.port)
        return to_host if direction == "to_host" else (cable.host, cable.interface)

    def _is_on(self, direction: Direction) -> bool:
        shown = self._tc(direction, "-j", "qdisc", "show", "dev", self._sender(direction)[1])
        queues: list[dict[str, Any]] = json.loads(shown or "[]")
        return any(one["kind"] == "tbf" and one["handle"] == _HANDLE for one in queues)

    def _tc(self, direction: Direction, *words: str) -> str:
        problem = f"{self.cable.name} cannot be made narrow or wide"
        return self._sender(direction)[0].tool("tc", *words, problem=problem)
