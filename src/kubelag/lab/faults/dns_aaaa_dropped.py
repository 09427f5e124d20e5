"""The only name server answers questions for IPv4 addresses, and never those for IPv6 ones.

Go's resolver asks for both and waits for both: 5 s for each of `attempts`. That is one here, where
two are the default, so that a run takes 5 s and not 10.
"""

from typing import Final

from kubelag.lab.faults.contract import HaFault
from kubelag.lab.faults.name_trouble import NameTrouble, behaving
from kubelag.lab.network.dns_answers import NameServer

PATIENCE_S: Final = 5.0
"""resolv.conf(5): the default of `timeout`."""

FAULT: HaFault = NameTrouble(
    id="dns_aaaa_dropped",
    expected=("name_type_unanswered",),
    describe="The name server never answers AAAA questions.",
    change=lambda ha: behaving(ha, NameServer(dropped_types=("AAAA",))),
    least_s=PATIENCE_S,
    server_count=1,
    options=("attempts:1",),
)
