"""The server's name has two addresses, and nobody is at the first one.

A Go client dials IPv4 addresses in the order of the answer (it sorts only IPv6 ones by their common
prefix, RFC 6724 rule 9), and gives the first of two half of its 30 s.
"""

from dataclasses import replace
from typing import Final

from kubelag.errors import LabError
from kubelag.lab.faults.contract import HaFault, Scene
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.plan import BALANCED_PORT, NAME
from kubelag.lab.ha.scenes import get_nodes
from kubelag.lab.network.dns_answers import Records
from kubelag.lab.network.impair.nobody import NobodyThere
from kubelag.lab.network.lan import address_of

DEAD_NUMBER: Final = 9
"""Nobody's in the lab, and before the shared address, as records are often sorted."""
HALF_PATIENCE_S: Final = 15
"""Of the 30 s that client-go dials. Source: Go's net package, partialDeadline."""


class DeadFirstAddress:
    """A record that was never taken back."""

    id = "dead_first_address"
    expected = ("address_dead",)
    how_to_see = (
        f"kubelag lab exec -- sh -c 'getent ahosts {NAME}; "
        f"curl -skSm 3 https://{address_of(DEAD_NUMBER)}:{BALANCED_PORT}/'"
    )

    def component(self, _ha: HaLab) -> tuple[str, ...]:
        """The dead address."""
        return (address_of(DEAD_NUMBER),)

    def on(self, ha: HaLab) -> None:
        """Answer with it first, and let packets to it vanish."""
        self._nobody(ha).on()
        usual = ha.usual_names
        both = Records(a=(address_of(DEAD_NUMBER), ha.vip))
        ha.name_server.reconfigure(replace(usual, records={**usual.records, NAME: both}))

    def off(self, ha: HaLab) -> None:
        """Take the record back."""
        ha.name_server.reconfigure(ha.usual_names)
        self._nobody(ha).off()

    def see(self, ha: HaLab) -> str:
        """Ask for the name's addresses, and try to connect to the first one."""
        known = ha.name_server.settings.records[NAME].a
        if known[:1] != (address_of(DEAD_NUMBER),):
            raise LabError(
                f"{NAME} stands for {', '.join(known)}", f"kubelag lab fault {self.id} on"
            )
        return f"{self._nobody(ha).see(BALANCED_PORT)}; {NAME} stands for {', '.join(known)}"

    def scene(self, ha: HaLab) -> Scene:
        """`kubectl get nodes`, cold."""
        return get_nodes(
            ha,
            describe=f"{NAME} has a dead address before the right one: {HALF_PATIENCE_S} s a dial.",
        )

    def _nobody(self, ha: HaLab) -> NobodyThere:
        return NobodyThere(
            host=ha.client.namespace,
            interface=ha.client.interface,
            address=address_of(DEAD_NUMBER),
        )


FAULT: HaFault = DeadFirstAddress()
