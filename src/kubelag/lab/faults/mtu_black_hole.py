"""Long packets to the client's node vanish, and the balancers' kernels find out by themselves.

Without help such a connection never comes about, and there would be nothing to measure but errors.
With `tcp_mtu_probing=1`, which distributions recommend against such holes, Linux tries smaller
segments after a few repeats: each new connection stalls for some seconds in its TLS handshake, and
works from then on. The certificates of the lab's API servers are the first packets that are longer
than what passes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kubelag.lab.faults.contract import HaFault
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.link_trouble import LinkTrouble
from kubelag.lab.ha.plan import NAME
from kubelag.lab.network.impair.cable import Cable, Spot
from kubelag.lab.network.impair.mtu_black_hole import MtuBlackHole
from kubelag.lab.network.namespaces import Namespace

MTU_BYTES: Final = 1200
"""Shorter than the server's part of the TLS handshake, 1.3 kB and more, and longer than what Linux
tries next: segments of 1,024 bytes."""
SETTINGS: Final = Path("/proc/sys/net/ipv4")
PROBING: Final[Mapping[bool, str]] = {True: "1", False: "0"}
"""Source: Documentation/networking/ip-sysctl.rst, tcp_mtu_probing; 0 is the kernel's default."""


class ProbedHole:
    """A black hole, and senders that try smaller segments after a while."""

    def __init__(self, cable: Cable, senders: tuple[Namespace, ...]) -> None:
        self._hole = MtuBlackHole(cable=cable, mtu_bytes=MTU_BYTES)
        self._senders = senders

    def on(self) -> None:
        """Let the senders probe, then swallow."""
        self._probe(is_on=True)
        self._hole.on()

    def off(self) -> None:
        """Let everything pass, and let nobody probe."""
        self._hole.off()
        self._probe(is_on=False)

    def see(self, near: Spot, far: Spot) -> str:
        """Send packets that are just short enough, and some of one byte more."""
        return self._hole.see(near, far)

    def _probe(self, *, is_on: bool) -> None:
        for sender in self._senders:
            sender.do(lambda: (SETTINGS / "tcp_mtu_probing").write_text(PROBING[is_on]))


def _hole(ha: HaLab) -> ProbedHole:
    return ProbedHole(ha.cable(ha.client), tuple(one.namespace for one in ha.masters))


FAULT: HaFault = LinkTrouble(
    id="mtu_black_hole",
    expected=("large_packets_vanish",),
    how_to_see=(
        f"kubelag lab exec -- sh -c 'for n in 1100 1300; do ping -c 1 -W 1 -s $n {NAME}; done'"
    ),
    describe=f"Packets of more than {MTU_BYTES} bytes to the client's node vanish.",
    impairment=_hole,
    is_address_named=True,
)
