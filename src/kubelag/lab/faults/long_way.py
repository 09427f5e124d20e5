"""The client's node is far away from everything, name servers too."""

import shutil
from typing import Final

from kubelag.lab.faults.contract import HaFault
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.link_trouble import LinkTrouble
from kubelag.lab.network.impair.delay import Delay

ONE_WAY_S: Final = 0.04
"""A round trip of 80 ms: about that from one coast of America to the other."""
MILLISECONDS: Final = 1000


class LongWire(Delay):
    """A delay that leaves no directory behind."""

    def off(self) -> None:
        """End the wire, and forget where it was written down."""
        Delay.off(self)
        shutil.rmtree(self.directory, ignore_errors=True)


def _wire(ha: HaLab) -> LongWire:
    # Not in the ledger: it would be taken away before `off` has read in it which process to end.
    directory = ha.directory / "long-wire"
    cable = ha.cable(ha.client)
    return LongWire(cable=cable, one_way_s=ONE_WAY_S, directory=directory, marks=ha.mark)


FAULT: HaFault = LinkTrouble(
    id="long_way",
    expected=("round_trips_long",),
    how_to_see="kubelag lab exec -- ping -c 3 api.ha.kubelag.test",
    describe=f"A packet to or from the client's node takes {ONE_WAY_S * MILLISECONDS:g} ms.",
    impairment=_wire,
)
