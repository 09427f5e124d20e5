"""A proxy is in the way that takes long to answer CONNECT, as one that asks somebody first."""

from typing import Final

from kubelag.lab.faults.contract import HaFault
from kubelag.lab.faults.proxy_trouble import ProxyTrouble
from kubelag.lab.network.connect_proxy import ProxySettings

DELAY_S: Final = 1.5

FAULT: HaFault = ProxyTrouble(
    id="proxy_slow_connect",
    expected=("proxy_slow",),
    describe=f"The proxy in the way takes {DELAY_S:g} s to answer CONNECT.",
    settings=ProxySettings(delay_s=DELAY_S),
)
