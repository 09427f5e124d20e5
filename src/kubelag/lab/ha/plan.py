"""What the HA lab consists of, written down so that any other process finds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from kubelag.errors import LabError
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.network.lan import Host
from kubelag.lab.network.namespaces import Namespace
from kubelag.lab.private_files import write_private

Kind = Literal["embedded", "envtest"]
PLAN_FILE = "ha.json"
DOMAIN = "ha.kubelag.test"
NAME = f"api.{DOMAIN}"
"""What clients call the API server; `.test` is nobody's (RFC 6761)."""
BALANCED_PORT, SERVED_PORT = 8443, 6443
"""Where HAProxy listens, and where the API servers do, as in the founding incident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The lab's parts that do not change while it is up."""

    kind: Kind
    options: ControlPlaneOptions
    """How the API servers are when no fault is on."""
    lan: Namespace
    """Where the bridge is."""
    masters: tuple[Host, Host, Host]
    client: Host
    dns: Host
    """With two addresses, a name server on each."""
    proxy: Host
    vip: str
    vip6: str
    sockets: Path
    """Where the stats sockets of the balancers are."""
    mark: Mapping[str, str]
    """Variables by which every process of the lab is found again."""

    @property
    def hosts(self) -> tuple[Host, ...]:
        """All of them."""
        return (self.client, *self.masters, self.dns, self.proxy)

    @property
    def url(self) -> str:
        """What the kubeconfig says."""
        return f"https://{NAME}:{BALANCED_PORT}"

    def host(self, name: str) -> Host:
        """The host of this name.

        Raises:
            LabError: There is none; names them all.
        """
        for host in self.hosts:
            if host.name == name:
                return host
        names = ", ".join(host.name for host in self.hosts)
        raise LabError(f"The HA lab has no node {name}", f"choose from {names}")


def save_plan(directory: Path, plan: Plan) -> None:
    """Write it down."""
    write_private(directory / PLAN_FILE, msgspec.json.encode(plan, enc_hook=str))


def load_plan(directory: Path) -> Plan:
    """The plan of the lab in this directory.

    Raises:
        LabError: There is none.
    """
    try:
        content = (directory / PLAN_FILE).read_bytes()
        return msgspec.json.decode(content, type=Plan, dec_hook=lambda kind, text: kind(text))
    except (OSError, msgspec.DecodeError) as error:
        raise LabError(
            f"There is no HA lab in {directory}", "bring one up: kubelag lab up --topology ha"
        ) from error
