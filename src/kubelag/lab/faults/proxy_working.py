"""A proxy is in the way, and it works: nothing may be accused."""

from kubelag.lab.faults.contract import HaFault
from kubelag.lab.faults.proxy_trouble import ProxyTrouble

FAULT: HaFault = ProxyTrouble(
    id="proxy_working",
    expected=(),
    describe="The command goes through a proxy that works.",
)
