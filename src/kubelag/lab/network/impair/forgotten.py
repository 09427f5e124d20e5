"""Forgotten connections: those that stand now fall silent, new ones pass.

So does a balancer or a firewall that lost its table, and resets nobody.
"""

from dataclasses import dataclass

from kubelag.errors import LabError
from kubelag.lab.network.impair.cable import BOTH_WAYS, Cable, Spot
from kubelag.lab.network.impair.drops import Match, drop_program
from kubelag.lab.network.impair.filters import has_filter, put_filter, remove_filter
from kubelag.lab.network.impair.probes import send_segments

_PROBES = 3
"""For each connection. Arbitrary; nothing is by lot here."""
_WAIT_S = 0.3
"""How long the probes of one connection are waited for. Arbitrary; usual is 0.00001 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgottenConnections:
    """The connections that a host had to one server when it was switched on."""

    cable: Cable
    """The client's."""
    address: str
    """The server's, IPv4 or IPv6."""
    port: int
    """The server's TCP port."""

    def on(self) -> None:
        """Forget the connections of this moment, and only those.

        Raises:
            LabError: There is none, or the kernel has no such filter.
        """
        ports = self.client_ports()
        if not ports:
            raise LabError(
                f"{self.cable.host.name} has no connection to {self.address} port {self.port} "
                "that could be forgotten",
                "open one first",
            )
        there = Match(target=self.address, target_ports=(self.port,), source_ports=ports)
        back = Match(source=self.address, source_ports=(self.port,), target_ports=ports)
        put_filter(self.cable, "from_host", self._name, drop_program(there))
        put_filter(self.cable, "to_host", self._name, drop_program(back))

    def off(self) -> None:
        """Let everything pass.

        Raises:
            LabError: The filter does not go.
        """
        remove_filter(self.cable, self._name)

    def is_on(self) -> bool:
        """Whether connections are forgotten."""
        return all(has_filter(self.cable, one, self._name) for one in BOTH_WAYS)

    def client_ports(self) -> tuple[int, ...]:
        """The host's ends of the connections that stand, in no order.

        Raises:
            LabError: ss is missing.
        """
        address = f"[{self.address}]" if ":" in self.address else self.address
        server = ("dst", address, "and", "dport", "=", f":{self.port}")
        listed = self.cable.host.tool(
            *("ss", "-Htn", "state", "established", *server),
            problem=f"The connections of {self.cable.host.name} cannot be listed",
        )
        # Recv-Q Send-Q Local:Port Peer:Port
        return tuple(int(line.split()[2].rpartition(":")[2]) for line in listed.splitlines())

    def see(self, near: Spot, far: Spot) -> str:
        """Send segments as if they belonged to the connections that stand, and to a new one.

        Raises:
            LabError: All of them pass, or the new one's do not.
        """
        standing = self.client_ports()
        silent = [port for port in standing if not self._passes(near, far, port)]
        if not silent or not self._passes(near, far, self.port):
            raise LabError(
                f"Of {len(standing)} connections of {self.cable.host.name} to {self.address} "
                f"{len(silent)} are forgotten, or a new one does not pass either",
                "switch it off and on again while there is a connection",
            )
        return (
            f"Of {len(standing)} connections to {self.address} port {self.port}, {len(silent)} "
            "are forgotten; a new one passes"
        )

    def _passes(self, near: Spot, far: Spot, client_port: int) -> bool:
        ports = {"source_port": client_port, "port": self.port}
        return bool(send_segments(near, far, count=_PROBES, wait_s=_WAIT_S, **ports).times_s)

    @property
    def _name(self) -> str:
        return f"forgotten connections to {self.address} port {self.port}"
