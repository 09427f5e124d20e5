"""A search list as in pods, only longer: five names that do not exist are asked for first.

The API server's name has three dots, fewer than `ndots:5`, so that every search domain is tried
before the name as it stands; each "no such name" takes a moment.
"""

from typing import Final

from kubelag.lab.faults.contract import HaFault
from kubelag.lab.faults.name_trouble import NameTrouble, behaving
from kubelag.lab.network.dns_answers import NameServer

SEARCH: Final = (
    "default.svc.cluster.test",
    "svc.cluster.test",
    "cluster.test",
    "branch.example.test",
    "example.test",
)
UNKNOWN_S: Final = 0.2
"""As from a name server that asks another one across a continent."""

FAULT: HaFault = NameTrouble(
    id="dns_search_list",
    expected=("name_search_list",),
    describe=f"{len(SEARCH)} search domains are tried first, {UNKNOWN_S:g} s each.",
    change=lambda ha: behaving(ha, *[NameServer(delay_unknown_s=UNKNOWN_S)] * 2),
    least_s=len(SEARCH) * UNKNOWN_S,
    search=SEARCH,
    options=("ndots:5",),
)
