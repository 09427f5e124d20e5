"""One search domain, for which "no such name" takes seconds: its own name servers do not answer."""

from typing import Final

from kubelag.lab.faults.contract import HaFault
from kubelag.lab.faults.name_trouble import NameTrouble, behaving
from kubelag.lab.network.dns_answers import NameServer

UNKNOWN_S: Final = 2.0

FAULT: HaFault = NameTrouble(
    id="dns_nxdomain_slow",
    expected=("name_search_list",),
    describe=f"A search domain is tried first, and no such name takes {UNKNOWN_S:g} s.",
    change=lambda ha: behaving(ha, *[NameServer(delay_unknown_s=UNKNOWN_S)] * 2),
    least_s=UNKNOWN_S,
    search=("merged-company.example.test",),
    options=("ndots:5",),
)
