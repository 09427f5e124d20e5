"""Nobody there: an address that the host takes for a neighbour's, with no neighbour behind it.

Without it the kernel finds out by itself that nobody answers ARP, and says so after 3 s.
"""

import json
from dataclasses import dataclass

from kubelag.errors import LabError
from kubelag.lab.network.impair.probes import PROBE_PORT, try_connect
from kubelag.lab.network.namespaces import Namespace

_NOBODYS = "02:00:00:00:de:ad"
"""Locally administered, and no interface of the lab has it."""
_WAIT_S = 1.5
"""Longer than the second SYN takes to be sent, 1 s after the first (RFC 6298, 2.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NobodyThere:
    """An address, not necessarily anybody's, that swallows all that one host sends to it."""

    host: Namespace
    interface: str
    address: str
    """IPv4 or IPv6, on a subnet of that interface."""

    def on(self) -> None:
        """Believe in the neighbour that is not there.

        Raises:
            LabError: The interface or its subnet is not there.
        """
        words = ("lladdr", _NOBODYS, "nud", "permanent")
        self._ip("neigh", "replace", self.address, *words, "dev", self.interface)

    def off(self) -> None:
        """Ask again who has the address.

        Raises:
            LabError: The belief does not go.
        """
        if self.is_on():
            self._ip("neigh", "del", self.address, "dev", self.interface)

    def is_on(self) -> bool:
        """Whether the host believes in nobody."""
        words = ("show", "to", self.address, "dev", self.interface, "nud", "permanent")
        known = json.loads(self._ip("-j", "neigh", *words) or "[]")
        return any(one.get("lladdr") == _NOBODYS for one in known)

    def see(self, port: int = PROBE_PORT) -> str:
        """Try to connect.

        Raises:
            LabError: Somebody answers, or the kernel refuses.
        """
        ended = try_connect(self.host, self.address, port, _WAIT_S)
        if ended != "timeout":
            raise LabError(
                f"A connection to {self.address} {f'ends with {ended}' if ended else 'stands'}",
                f"give {self.host.name} an address of that subnet",
            )
        return f"A connection to {self.address} had no answer within {_WAIT_S:g} s"

    def _ip(self, *words: str) -> str:
        problem = f"{self.host.name} cannot be told who has {self.address}"
        return self.host.tool("ip", *words, problem=problem)
