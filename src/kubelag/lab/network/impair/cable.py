"""The cable of one host: its interface, and the port of the switch at the other end."""

from dataclasses import dataclass
from typing import Literal

from kubelag.lab.network.lan import BRIDGE, Host
from kubelag.lab.network.namespaces import Namespace

Direction = Literal["to_host", "from_host"]
BOTH_WAYS: tuple[Direction, ...] = ("to_host", "from_host")
_OFFLOADS = ("tso", "gso", "gro", "tx-udp-segmentation")
"""What makes one long frame of many; ethtool(8)'s names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cable:
    """A veth pair between a host and a bridge."""

    host: Namespace
    interface: str
    """The host's end, for example `eth0`."""
    lan: Namespace
    """Where the bridge is."""
    port: str
    """The bridge's end."""
    bridge: str

    @property
    def name(self) -> str:
        """What stands for it in sentences."""
        return f"the cable of {self.host.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Where a measurement begins or ends: a host, and one of its own addresses."""

    host: Namespace
    address: str
    """IPv4 or IPv6; both ends of a measurement have the same family."""


def cable_of(lan: Namespace, host: Host) -> Cable:
    """The only cable of a host of the lab."""
    return Cable(
        host=host.namespace, interface=host.interface, lan=lan, port=host.port, bridge=BRIDGE
    )


def ends_of(direction: Direction, near: Spot, far: Spot) -> tuple[Spot, Spot]:
    """Who sends and who receives; `near` is the host at the cable."""
    return (far, near) if direction == "to_host" else (near, far)


def send_plain_frames(host: Namespace, interface: str) -> None:
    """Let a host send frames as a wire carries them, none longer than the MTU.

    A veth is given up to 64 KiB at once, which would be lost, or too long, as a whole. Every host
    of a lab does this before it opens a connection.

    Raises:
        LabError: ethtool is missing or the interface is.
    """
    words = [word for name in _OFFLOADS for word in (name, "off")]
    problem = f"{host.name} goes on sending long frames"
    host.tool("ethtool", "-K", interface, *words, problem=problem)
