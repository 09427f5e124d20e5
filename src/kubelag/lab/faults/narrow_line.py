"""The cable of the client's node carries little, and the command asks for much.

Uncompressed, since the lab's pods are so much alike that next to nothing would be left of them.
"""

from dataclasses import replace
from typing import Final

from kubelag.lab.faults.contract import HaFault
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.link_trouble import LinkTrouble
from kubelag.lab.network.impair.rate import Rate

BITS_PER_S: Final = 1_000_000
PODS: Final = 500
"""Their list takes a few seconds then, and next to none on the bare cable."""
MEGA: Final = 1_000_000


def _rate(ha: HaLab) -> Rate:
    return Rate(cable=ha.cable(ha.client), bits_per_s=BITS_PER_S)


FAULT: HaFault = LinkTrouble(
    id="narrow_line",
    expected=("bandwidth_narrow",),
    how_to_see=(
        "kubelag lab exec -- bash -c "
        "'time kubectl get pods -A -o json --disable-compression | wc -c'"
    ),
    describe=f"The cable of the client's node carries {BITS_PER_S / MEGA:g} Mbit/s.",
    impairment=_rate,
    arguments=("get", "pods", "-A", "-o", "json", "--disable-compression"),
    change=lambda usual: replace(usual, pods=PODS),
)
