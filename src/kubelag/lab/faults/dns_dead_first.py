"""The first name server of resolv.conf never answers, the second one does at once.

Go's resolver waits 5 s for the first one, in every process anew.
"""

from typing import Final

from kubelag.lab.faults.contract import HaFault
from kubelag.lab.faults.name_trouble import NameTrouble, behaving
from kubelag.lab.network.dns_answers import NameServer

PATIENCE_S: Final = 5.0
"""resolv.conf(5): the default of `timeout`."""

FAULT: HaFault = NameTrouble(
    id="dns_dead_first",
    expected=("name_server_dead",),
    describe="The first name server is dead, the second one works.",
    change=lambda ha: behaving(ha, NameServer(silent=True)),
    least_s=PATIENCE_S,
)
