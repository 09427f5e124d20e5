"""Hosts of the lab on one bridge, which lives in a namespace of its own.

Every link is made with both ends inside namespaces, so that the machine's own network has no
interface, address or route more than before. Taking the namespaces away takes the links with them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubelag.lab.network.namespaces import Namespace, make_namespace

if TYPE_CHECKING:
    from kubelag.lab.state import Ledger

INTERFACE = "eth0"
"""What every host calls its only link."""
BRIDGE = "bridge"
NETWORK = "10.75.0"
"""A /24 out of the private ones. Arbitrary: nothing outside the namespaces ever sees it."""
NETWORK6 = "fd75:6b6c::"
"""A /64 out of the unique local ones. Arbitrary, as above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One machine of the lab."""

    name: str
    namespace: Namespace
    address: str
    address6: str
    interface: str
    """Its link, as it is called inside."""
    port: str
    """The bridge's end of that link, in the LAN's namespace."""
    more_addresses: tuple[str, ...] = ()
    """IPv4 addresses besides `address`."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every IPv4 address, the main one first; without any that is shared."""
        return (self.address, *self.more_addresses)


def address_of(number: int) -> str:
    """The IPv4 address with this last part."""
    return f"{NETWORK}.{number}"


def address6_of(number: int) -> str:
    """The IPv6 address that reads like the IPv4 one: `::11` beside `.11`."""
    return f"{NETWORK6}{number}"


def make_lan(ledger: "Ledger", name: str) -> Namespace:
    """An empty bridge in a namespace of its own.

    Raises:
        LabError: It cannot be made.
    """
    lan = make_namespace(ledger, name)
    # No spanning tree and no learning pause: a new port forwards at once.
    bridge = ("ip", "link", "add", BRIDGE, "type", "bridge", "stp_state", "0", "forward_delay", "0")
    lan.tool(*bridge, problem="The lab's bridge cannot be made")
    lan.tool("ip", "link", "set", BRIDGE, "up", problem="The lab's bridge does not come up")
    return lan


def make_host(
    ledger: "Ledger", lan: Namespace, name: str, namespace: str, numbers: Sequence[int]
) -> Host:
    """A host with one link to the bridge.

    Args:
        ledger: Where its namespace is written down before it is made.
        lan: The bridge's namespace.
        name: What the lab calls the host, also the name of its port.
        namespace: The name of its namespace.
        numbers: The last part of its addresses, IPv4 and IPv6 alike, the main one first.

    Raises:
        LabError: It cannot be made.
    """
    from kubelag.lab.network.impair.cable import send_plain_frames  # noqa: PLC0415 - needs Host

    host = Host(
        name=name,
        namespace=make_namespace(ledger, namespace),
        address=address_of(numbers[0]),
        address6=address6_of(numbers[0]),
        interface=INTERFACE,
        port=name,
        more_addresses=tuple(map(address_of, numbers[1:])),
    )
    _plug_in(host, lan, _mac(numbers[0]))
    send_plain_frames(host.namespace, host.interface)
    for number in numbers:
        add_address(host, f"{address_of(number)}/24")
        add_address(host, f"{address6_of(number)}/64")
    return host


def add_address(host: Host, address: str) -> None:
    """Give a host one more address, `IP/length`; an IPv6 one can be used at once.

    Raises:
        LabError: It has it already, or it is no address.
    """
    at_once = ("nodad",) if ":" in address else ()
    host.namespace.tool(
        *("ip", "address", "add", address, "dev", host.interface, *at_once),
        problem=f"{host.name} cannot have the address {address}",
    )


def _plug_in(host: Host, lan: Namespace, mac: str) -> None:
    problem = f"{host.name} cannot be plugged in"
    lan.tool(
        *("ip", "link", "add", "name", host.port, "type", "veth"),
        *("peer", "name", host.interface, "address", mac, "netns", host.namespace.name),
        problem=problem,
    )
    lan.tool("ip", "link", "set", host.port, "master", BRIDGE, "up", problem=problem)
    host.namespace.tool("ip", "link", "set", host.interface, "up", problem=problem)


def _mac(number: int) -> str:
    """A hardware address by which people recognise the host: `02:4b:4c:00:00:0b` is number 11."""
    return f"02:4b:4c:00:00:{number:02x}"
