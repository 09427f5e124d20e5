"""What of the way can be read without sending anything: before the run, and again after it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kubelag.errors import KubelagError
from kubelag.kube.config.kubeconfig import Kubeconfig
from kubelag.kube.redact import redact_text
from kubelag.model.path import BalancerCount, Neighbour, Resolver
from kubelag.observe.neighbours import read_neighbours
from kubelag.observe.path.backends import checked_backends, stats_socket_of
from kubelag.observe.path.balancer import balancer_counts
from kubelag.observe.path.places import is_literal, split_place
from kubelag.observe.path.resolver import read_resolver
from kubelag.observe.path.way import Way, way_to

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which way is to be looked at, and what is known of it."""

    kubeconfig: Kubeconfig = field(repr=False)
    env: Mapping[str, str] = field(repr=False)
    server: str = ""
    """Its URL; empty for the kubeconfig's."""
    backends: tuple[str, ...] = ()
    """`HOST:PORT` of `--backend`."""
    haproxy: Path | None = None
    """An HAProxy's configuration, or its stats socket."""
    resolv_conf: Path = Path("/etc/resolv.conf")
    hosts: Path = Path("/etc/hosts")
    addresses: tuple[str, ...] = ()
    """`IP:port` of servers that the run was seen to connect to."""
    progress: Progress = lambda _stage: None
    """Told what is looked at now; from the calling thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What was read before the run."""

    way: Way | None = None
    """None where the kubeconfig leads nowhere."""
    why: str = ""
    """Why there is no way."""
    resolver: Resolver | None = None
    neighbours: tuple[Neighbour, ...] = ()
    balancer: tuple[BalancerCount, ...] = ()


def before(asked: Asked) -> Before:
    """Read what can be read without sending anything; never raises for what it finds."""
    try:
        url = asked.server or asked.kubeconfig.cluster.server
        way = way_to(url, asked.kubeconfig, asked.env)
        checked_backends(asked.backends)
        resolver = read_resolver(asked.resolv_conf, asked.hosts, way.dialled.host)
        hosts = known_hosts(asked, way, resolver)
    except KubelagError as error:
        return Before(why=redact_text(error.message))
    return Before(
        way=way,
        resolver=resolver,
        neighbours=neighbours_now(hosts)[0],
        balancer=balancer_now(asked)[0],
    )


def balancer_now(asked: Asked) -> tuple[tuple[BalancerCount, ...], str]:
    """The balancer's counters, and why there are none where it should have some."""
    stats_socket = stats_socket_of(asked.haproxy)
    if stats_socket is None:
        return (), ""
    try:
        return balancer_counts(stats_socket), ""
    except OSError as error:
        return (), f"{stats_socket} gave no counters ({(error.strerror or str(error)).lower()})"


def known_hosts(asked: Asked, way: Way, resolver: Resolver) -> tuple[str, ...]:
    """Addresses that are known without asking anybody."""
    named = [way.dialled.host, way.server.host]
    seen = (split_place(one)[0] for one in (*asked.addresses, *resolver.servers))
    backends = (split_place(one)[0] for one in asked.backends)
    listed = (*named, *resolver.hosts_file, *seen, *backends)
    return tuple(dict.fromkeys(one for one in listed if is_literal(one)))


def neighbours_now(hosts: Sequence[str]) -> tuple[tuple[Neighbour, ...], str]:
    """The cards of those on our own network, and why they are not known where they are not."""
    try:
        return read_neighbours(tuple(dict.fromkeys(hosts))), ""
    except KubelagError as error:
        return (), error.message
