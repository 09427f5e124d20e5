"""What the HA lab consists of, for whoever looks at it or uses it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kubelag.lab.control_plane.group import Group, attach_group
from kubelag.lab.control_plane.handle import ControlPlane
from kubelag.lab.control_plane.kubeconfigs import User
from kubelag.lab.faults.contract import base_environment
from kubelag.lab.ha.plan import BALANCED_PORT, DOMAIN, NAME, SERVED_PORT, Plan
from kubelag.lab.network.dns_server import DNS, DnsSettings, Records
from kubelag.lab.network.haproxy import BackendServer, Balancer, BalancerSettings, place_balancer
from kubelag.lab.network.impair.cable import Cable
from kubelag.lab.network.keepalived import Keepalived
from kubelag.lab.network.lan import BRIDGE, Host
from kubelag.lab.network.namespaces import Namespace
from kubelag.lab.network.served import Served, attach

NAMES_DIRECTORY = "dns"
"""Where the name servers live, below the lab's directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HaParts:
    """The parts of a lab that is up. What can change is read afresh when it is asked for."""

    directory: Path
    plan: Plan

    @property
    def mark(self) -> Mapping[str, str]:
        """Variables for every process that is started in the lab."""
        return self.plan.mark

    @property
    def lan(self) -> Namespace:
        """Where the bridge is, with a port for each host."""
        return self.plan.lan

    @property
    def client(self) -> Host:
        """The node on which commands are explained."""
        return self.plan.client

    @property
    def dns(self) -> Host:
        """The host of the name servers."""
        return self.plan.dns

    @property
    def proxy(self) -> Host:
        """The host where a proxy or a middlebox may be put; it has none by itself."""
        return self.plan.proxy

    @property
    def masters(self) -> tuple[Host, Host, Host]:
        """Each with a balancer, a keepalived and an API server."""
        return self.plan.masters

    @property
    def vip(self) -> str:
        """The shared IPv4 address."""
        return self.plan.vip

    @property
    def url(self) -> str:
        """What the kubeconfig says."""
        return self.plan.url

    @property
    def home(self) -> Path:
        """The home directory on every node."""
        return self.directory / "home"

    @property
    def resolv_conf(self) -> Path:
        """What programs on the nodes find as /etc/resolv.conf."""
        return self.directory / "resolv.conf"

    # ---- the API servers

    @property
    def group(self) -> Group:
        """The three API servers."""
        return attach_group(self.directory / "control-plane")

    @property
    def members(self) -> tuple[ControlPlane, ...]:
        """The API servers in the order of the masters."""
        return self.group.members

    def kubeconfig(self, user: User = "certificate", url: str = "") -> Path:
        """The kubeconfig of a user, with the lab's own URL or another one."""
        return self.group.kubeconfig(url or self.url, user)

    # ---- the balancers

    @property
    def haproxies(self) -> tuple[Balancer, ...]:
        """The balancers in the order of the masters."""
        places = self.directory / "haproxy"
        return tuple(
            place_balancer(host, places / host.name, self.plan.sockets) for host in self.masters
        )

    @property
    def usual_balancer(self) -> BalancerSettings:
        """A balancer's configuration when no fault is on."""
        servers = tuple(
            BackendServer(name=host.name, address=f"{host.address}:{SERVED_PORT}")
            for host in self.masters
        )
        return BalancerSettings(servers=servers, port=BALANCED_PORT)

    # ---- the shared address

    @property
    def keepaliveds(self) -> tuple[Keepalived, ...]:
        """Who shares the address, in the order of the masters; the first one is preferred."""
        shared = (f"{self.vip}/24", f"{self.plan.vip6}/64")
        return tuple(
            Keepalived(
                host=host,
                peers=tuple(other.address for other in self.masters if other != host),
                priority=103 - number,
                shared=shared,
                directory=self.directory / "keepalived" / host.name,
            )
            for number, host in enumerate(self.masters)
        )

    def owner(self) -> Host | None:
        """The master that has the shared address now; None while nobody, or more than one, has."""
        owners = [one.host for one in self.keepaliveds if one.is_owner()]
        return owners[0] if len(owners) == 1 else None

    def keepalived_of(self, host: Host) -> Keepalived:
        """The one on a master."""
        return self.keepaliveds[self.masters.index(host)]

    # ---- names

    @property
    def name_server(self) -> Served[DnsSettings]:
        """The DNS server, on both addresses of its host."""
        return attach(self.directory / NAMES_DIRECTORY, DNS)

    @property
    def usual_names(self) -> DnsSettings:
        """What the DNS server knows when no fault is on: the shared addresses, and the masters."""
        hosts = {f"{one.name}.{DOMAIN}": Records(a=(one.address,)) for one in self.masters}
        return DnsSettings(records={NAME: Records(a=(self.vip,)), **hosts})

    # ---- the nodes

    def argv(self, command: Sequence[str], host: Host | None = None) -> tuple[str, ...]:
        """Words that run a command on a node, the client's unless another is named."""
        files = {"/etc/resolv.conf": self.resolv_conf}
        return (host or self.client).namespace.argv(command, files=files)

    def environment(self, user: User = "certificate") -> Mapping[str, str]:
        """The whole environment of a command on a node."""
        return {**base_environment(self.home, self.kubeconfig(user)), **self.mark}

    @property
    def daemon_environment(self) -> Mapping[str, str]:
        """The environment of the lab's own servers."""
        return {"PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin", **self.mark}

    def cable(self, host: Host) -> Cable:
        """A host's link, for the troubles of `kubelag.lab.network.impair`."""
        return Cable(
            host=host.namespace,
            interface=host.interface,
            lan=self.lan,
            port=host.port,
            bridge=BRIDGE,
        )

    def is_running(self) -> bool:
        """Whether every part of it is there."""
        daemons = [one.daemon for one in self.haproxies]
        daemons += [one.daemon for one in self.keepaliveds]
        return (
            all(host.namespace.path.exists() for host in self.plan.hosts)
            and all(daemon.is_running() for daemon in daemons)
            and all(member.is_running() for member in self.members)
            and self.name_server.is_running()
        )
