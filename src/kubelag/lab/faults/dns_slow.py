"""The first name server takes long for every answer; the second one is never asked."""

from typing import Final

from kubelag.lab.faults.contract import HaFault
from kubelag.lab.faults.name_trouble import NameTrouble, behaving
from kubelag.lab.network.dns_answers import NameServer

DELAY_S: Final = 1.5
"""Far below the 5 s after which a client goes on to the next one."""

FAULT: HaFault = NameTrouble(
    id="dns_slow",
    expected=("name_server_slow",),
    describe=f"The first name server takes {DELAY_S:g} s for each answer.",
    change=lambda ha: behaving(ha, NameServer(delay_s=DELAY_S)),
    least_s=DELAY_S,
)
