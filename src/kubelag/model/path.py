"""The way to the API server as kubelag itself found it: names, addresses, proxy, hops, backends.

Probes are sent after the observed run, since before it they would warm what the command finds cold
and turn a balancer's round robin; neighbours and balancer counters are only read, before and after.
"""

from dataclasses import dataclass
from typing import Literal

Hop = Literal["front", "backend", "proxy"]
BackendSource = Literal["--backend", "endpoints", "haproxy configuration", "haproxy stats socket"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolver:
    """How names are looked up here (resolv.conf, as Go's own resolver reads it)."""

    servers: tuple[str, ...]
    """`IP:port`, in the order of asking; at most three are used."""
    search: tuple[str, ...] = ()
    ndots: int = 1
    timeout_s: float = 5.0
    attempts: int = 2
    source: str = "/etc/resolv.conf"
    hosts_file: tuple[str, ...] = ()
    """Addresses that /etc/hosts gives for the server's name; then nobody is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameProbe:
    """One question that kubelag asked one name server."""

    name: str
    kind: Literal["A", "AAAA"]
    server: str
    took_ns: int
    code: str
    """`NOERROR`, `NXDOMAIN`, `SERVFAIL`…; `timeout` or `refused` where no answer came."""
    addresses: tuple[str, ...] = ()
    is_searched: bool = False
    """Whether a search domain was appended to what the kubeconfig says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The certificate that was shown."""

    sha256: str
    """Of the DER form, hexadecimal; it tells the API servers behind a balancer apart."""
    subject: str = ""
    issuer: str = ""
    names: tuple[str, ...] = ()
    begins_at: str = ""
    """ISO 8601, UTC."""
    ends_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressProbe:
    """One connection that kubelag made, stage by stage; a stage that was not reached is None."""

    address: str
    """`IP:port` that was dialled."""
    hop: Hop
    at_ns: int
    """When it began, wall clock."""
    connect_ns: int | None = None
    tunnel_ns: int | None = None
    """From the CONNECT request to the proxy's answer, where a proxy was used."""
    tls_ns: int | None = None
    answer_ns: int | None = None
    """From a small request (`GET /version` without credentials) to the first byte of its answer."""
    status: int | None = None
    """HTTP status of that answer."""
    error: str = ""
    """Why it went no further, in one clause; empty where it went all the way."""
    took_ns: int = 0
    """The whole probe, or until it was given up."""
    tls_version: str = ""
    protocol: str = ""
    """By ALPN: `h2`, `http/1.1`, or empty where the server chose none."""
    certificate: Certificate | None = None
    rtt_ns: int | None = None
    """The kernel's smoothed round trip at the end (tcpi_rtt)."""
    retransmissions: int = 0
    path_mtu_bytes: int | None = None
    """What the kernel believes (IP_MTU); a black hole does not show in it."""
    segment_bytes: int | None = None
    """Segment size in use (tcpi_snd_mss)."""
    congestion_window: int | None = None
    """Segments that may be on their way at once, at the end (tcpi_snd_cwnd)."""
    segment_limit_bytes: int | None = None
    """The segment size that we allowed both ways for this probe; None for the usual one."""
    backend: str = ""
    """Which backend answered, by its certificate, where that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One API server behind a balancer."""

    name: str
    address: str
    """`IP:port`."""
    source: BackendSource
    state: str = ""
    """As the balancer has it (`UP`, `DOWN`), empty where nobody said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """Which card answered for an address of the local network, at one moment."""

    at_ns: int
    address: str
    mac: str
    state: str = ""
    """As `ip neigh` says: `REACHABLE`, `STALE`, `FAILED`…"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancerCount:
    """What a balancer says of one of its servers at one moment (HAProxy `show stat`)."""

    at_ns: int
    frontend: str
    """The proxy section's name."""
    server: str
    status: str
    """`UP`, `DOWN`, `no check`…"""
    sessions: int
    """Cumulative."""
    connect_errors: int
    retries: int
    """Times that it tried again after a failed connect, cumulative."""
    redispatches: int = 0
    """Times that it went on to another server."""
    queue_ms: int = 0
    """Mean over the last 1,024 connections."""
    connect_ms: int = 0
    """The same."""
    downs: int = 0
    """Times that it changed from UP to DOWN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathMap:
    """Everything about the way from this machine to the API server."""

    server: str
    """The kubeconfig's URL, without user information."""
    host: str
    port: int
    tls_name: str
    """The name that the certificate must have."""
    is_literal: bool
    """Whether the host is an address, so that no name is looked up."""
    resolver: Resolver | None = None
    names: tuple[NameProbe, ...] = ()
    proxy: str = ""
    """`IP-or-name:port` of the proxy in the way, without credentials; empty where there is none."""
    proxy_source: str = ""
    """`proxy-url` or the variable's name."""
    addresses: tuple[str, ...] = ()
    """All that the name stands for, in the order in which a Go client dials them."""
    front: tuple[AddressProbe, ...] = ()
    """To each of those addresses, as often as it takes to meet every backend."""
    small_front: tuple[AddressProbe, ...] = ()
    """The same with small segments (sent only where the usual ones do not get through)."""
    backends: tuple[Backend, ...] = ()
    backends_why: str = ""
    """How they were found, or why they were not."""
    behind: tuple[AddressProbe, ...] = ()
    """To each backend directly."""
    neighbours: tuple[Neighbour, ...] = ()
    """Of the addresses on our own network, before and after."""
    balancer: tuple[BalancerCount, ...] = ()
    """Before and after, where a stats socket could be read."""
    took_ns: int = 0
    """How long all of this looking took."""
