"""The client's node is far away from everything, name servers too."""

from typing import Final

from kubelag.lab.faults.contract import HaFault
from kubelag.lab.ha.link_trouble import LinkTrouble, long_wire
from kubelag.lab.ha.plan import NAME

ONE_WAY_S: Final = 0.04
"""A round trip of 80 ms: about that from one coast of America to the other."""
MILLISECONDS: Final = 1000

FAULT: HaFault = LinkTrouble(
    id="long_way",
    expected=("round_trips_long",),
    how_to_see=f"kubelag lab exec -- ping -c 3 {NAME}",
    describe=f"A packet to or from the client's node takes {ONE_WAY_S * MILLISECONDS:g} ms.",
    impairment=lambda ha: long_wire(ha, ONE_WAY_S),
)
