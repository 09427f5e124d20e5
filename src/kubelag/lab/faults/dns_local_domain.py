"""The kubeconfig calls the server `api.lab.local`, and the name servers take their time over it.

So they do where a split resolver first waits for multicast DNS. The certificates do not know this
name: the kubeconfig says which one they do.
"""

from dataclasses import replace
from typing import Final

from kubelag.lab.faults.contract import HaFault
from kubelag.lab.faults.name_trouble import NameTrouble, behaving
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.network.dns_answers import DnsSettings, NameServer, Records

LOCAL_NAME: Final = "api.lab.local"
DELAY_S: Final = 2.0
"""Usually 5 s; but a Go client then gives up the first question and asks again."""


def _names(ha: HaLab) -> DnsSettings:
    settings = behaving(ha, *[NameServer(delay_s=DELAY_S)] * 2)
    return replace(settings, records={**settings.records, LOCAL_NAME: Records(a=(ha.vip,))})


FAULT: HaFault = NameTrouble(
    id="dns_local_domain",
    expected=("name_local_domain",),
    describe=f"The server is called {LOCAL_NAME}, which takes {DELAY_S:g} s to look up.",
    change=_names,
    least_s=DELAY_S,
    name=LOCAL_NAME,
)
