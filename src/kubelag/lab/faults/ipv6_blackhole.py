"""The server's name has an IPv6 address too, behind which there is silence.

The lab's usual IPv6 addresses are unique local ones, which RFC 6724 sorts behind IPv4. So the
client's node gets one that looks global (2001:db8::/32 is for documentation): Go then dials IPv6
first, and IPv4 beside it after 0.3 s, for every connection.

A client that already has a connection asks one thing after another there while it dials more. The
API servers take a moment for each answer, as those of a real cluster do: so that it pays twice.
"""

from dataclasses import replace
from typing import Final

from kubelag.errors import LabError
from kubelag.lab.faults.contract import HaFault, Scene
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.plan import BALANCED_PORT, NAME
from kubelag.lab.ha.scenes import MANY_CONNECTIONS, get_nodes
from kubelag.lab.network.dns_answers import Records
from kubelag.lab.network.impair.nobody import NobodyThere
from kubelag.lab.network.keepalived import addresses_on
from kubelag.lab.network.lan import add_address

OWN: Final = "2001:db8:75::20"
DEAD: Final = "2001:db8:75::10"
PREFIX: Final = 64
FALLBACK_S: Final = 0.3
"""Source: Go's net package, fallbackDelay."""
LATENCY_S: Final = 0.03
"""Of each answer. Arbitrary: 77 of them, two at a time, take longer than a dial."""


class Ipv6Blackhole:
    """An AAAA record that leads nowhere."""

    id = "ipv6_blackhole"
    expected = ("ipv6_unreachable",)
    how_to_see = (
        f"kubelag lab exec -- sh -c 'getent ahosts {NAME}; curl -6skSm 3 https://{NAME}:8443/'"
    )

    def component(self, _ha: HaLab) -> tuple[str, ...]:
        """The dead address."""
        return (DEAD,)

    def on(self, ha: HaLab) -> None:
        """Give the node its address, and the name its own."""
        self.set_stage(ha)
        if OWN not in addresses_on(ha.client):
            add_address(ha.client, f"{OWN}/{PREFIX}")
        self._nobody(ha).on()
        usual = ha.usual_names
        both = Records(a=(ha.vip,), aaaa=(DEAD,))
        ha.name_server.reconfigure(replace(usual, records={**usual.records, NAME: both}))

    def set_stage(self, ha: HaLab) -> None:
        """Let every answer take a moment."""
        if ha.plan.kind == "embedded":
            ha.reconfigure_all(replace(ha.plan.options, latency_s=LATENCY_S))

    def off(self, ha: HaLab) -> None:
        """Take both back."""
        ha.calm()
        ha.name_server.reconfigure(ha.usual_names)
        self._nobody(ha).off()
        if OWN in addresses_on(ha.client):
            ha.client.namespace.tool(
                *("ip", "address", "del", f"{OWN}/{PREFIX}", "dev", ha.client.interface),
                problem=f"{ha.client.name} keeps the address {OWN}",
            )

    def see(self, ha: HaLab) -> str:
        """Try to connect to the IPv6 address, from the one that looks global."""
        known = ha.name_server.settings.records[NAME]
        if known.aaaa != (DEAD,) or OWN not in addresses_on(ha.client):
            raise LabError(f"{NAME} has no dead IPv6 address", f"kubelag lab fault {self.id} on")
        said = self._nobody(ha).see(BALANCED_PORT)
        return f"{said}; {NAME} stands for {', '.join((*known.aaaa, *known.a))}"

    def scene(self, ha: HaLab) -> Scene:
        """Connections one after another, since a single one costs only 0.3 s."""
        return get_nodes(
            ha,
            environment=MANY_CONNECTIONS,
            describe=f"{NAME} has a dead IPv6 address: {FALLBACK_S:g} s for each connection.",
        )

    def _nobody(self, ha: HaLab) -> NobodyThere:
        return NobodyThere(host=ha.client.namespace, interface=ha.client.interface, address=DEAD)


FAULT: HaFault = Ipv6Blackhole()
