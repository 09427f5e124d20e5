"""Brings the HA lab up: bridge, hosts, names, API servers, balancers, the shared address."""

import functools
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from kubelag.errors import LabError
from kubelag.lab.control_plane.group import Place, start_group
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.parts import NAMES_DIRECTORY
from kubelag.lab.ha.plan import NAME, SERVED_PORT, Kind, Plan, save_plan
from kubelag.lab.network import dns_server
from kubelag.lab.network.haproxy import LONGEST_SOCKET, Balancer
from kubelag.lab.network.lan import Host, address6_of, address_of, make_host, make_lan
from kubelag.lab.network.namespaces import why_no_namespaces
from kubelag.lab.state import Ledger
from kubelag.lab.tools import has_tool
from kubelag.lab.waiting import wait_until

VIP, MASTERS, CLIENT, DNS, DNS_TOO, PROXY = 10, (11, 12, 13), 20, 53, 54, 80
"""Last parts of the addresses. Arbitrary; chosen so that a capture reads easily."""
NAMES_PORT = 53
TOOLS = ("haproxy", "keepalived", "ethtool", "tc")
SOCKET_NAME = 16
"""Bytes for `/master1.sock` behind the directory's path."""
UP_S = 20.0
"""Until every balancer has found every API server; a second, usually."""


def why_no_ha() -> str:
    """Why there can be no HA lab here, in one clause; empty where there can."""
    missing = [tool for tool in TOOLS if not has_tool(tool)]
    if obstacle := why_no_namespaces():
        return obstacle
    return f"{missing[0]} is missing (./scripts/_system_packages installs it)" if missing else ""


def build(
    ledger: Ledger, kind: Kind, options: ControlPlaneOptions, say: Callable[[str], None]
) -> HaLab:
    """Build it in the directory `ha` beside the ledger's journal; returns when it is usable.

    Raises:
        LabError: A part is missing or does not come up; what was made stands in the ledger.
    """
    if obstacle := why_no_ha():
        raise LabError(
            f"There can be no HA lab here: {obstacle}",
            "repair that, or take the lab that needs less: kubelag lab up",
        )
    directory = ledger.make_directory(ledger.directory / "ha")
    (directory / "home").mkdir(mode=0o700)
    say("making the hosts")
    ha = HaLab(directory=directory, plan=_hosts(ledger, kind, options), held=ledger)
    say(f"starting three {kind} API servers")
    _start_api_servers(ha)
    say("starting DNS, HAProxy and keepalived")
    _start_names(ha)
    for balancer in ha.haproxies:
        balancer.start(ha.usual_balancer, ledger, ha.daemon_environment)
    for keepalived in ha.keepaliveds:
        keepalived.start(ledger, ha.daemon_environment)
    _wait_usable(ha)
    save_plan(directory, ha.plan)
    return ha


def _hosts(ledger: Ledger, kind: Kind, options: ControlPlaneOptions) -> Plan:
    # Names of namespaces are the machine's, so that each lab needs its own.
    prefix = f"kubelag-{ledger.token[:6]}"
    lan = make_lan(ledger, f"{prefix}-lan")

    def host(name: str, *numbers: int) -> Host:
        return make_host(ledger, lan, name, f"{prefix}-{name}", numbers)

    first, second, third = MASTERS
    return Plan(
        kind=kind,
        options=options,
        lan=lan,
        masters=(host("master1", first), host("master2", second), host("master3", third)),
        client=host("client", CLIENT),
        dns=host("dns", DNS, DNS_TOO),
        proxy=host("proxy", PROXY),
        vip=address_of(VIP),
        vip6=address6_of(VIP),
        sockets=_socket_directory(ledger),
        mark=ledger.environment,
    )


def _socket_directory(ledger: Ledger) -> Path:
    """Beside everything else, unless a socket's path would be too long there."""
    usual = ledger.directory / "ha" / "sockets"
    if len(os.fsencode(usual)) + SOCKET_NAME <= LONGEST_SOCKET:
        return ledger.make_directory(usual)
    return ledger.make_directory(Path(tempfile.gettempdir()) / f"kubelag-{ledger.token[:6]}")


def _start_api_servers(ha: HaLab) -> None:
    places = [
        Place(name=host.name, namespace=host.namespace, address=host.address, port=SERVED_PORT)
        for host in ha.masters
    ]
    group = start_group(
        ha.directory / "control-plane",
        ha.plan.kind,
        ha.plan.options,
        places,
        names=(NAME, ha.vip, ha.plan.vip6),
        mark=ha.mark,
    )
    for process in reversed(group.processes):  # which is the order of ending them
        ha.ledger.made_process(process)


def _start_names(ha: HaLab) -> None:
    ha.resolve()
    ha.serve(dns_server.DNS, NAMES_DIRECTORY, ha.dns, NAMES_PORT, ha.usual_names)


def _wait_usable(ha: HaLab) -> None:
    ha.wait_owner(ha.masters[:1])
    for balancer in ha.haproxies:
        wait_until(
            functools.partial(_finds_all, balancer),
            timeout_s=UP_S,
            problem=f"HAProxy on {balancer.host.name} did not find every API server",
            next_step=f"see {balancer.daemon.log}",
        )


def _finds_all(balancer: Balancer) -> bool:
    return all(line["status"].startswith("UP") for line in balancer.counts().values())
