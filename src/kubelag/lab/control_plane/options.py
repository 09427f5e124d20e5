"""What a lab's control plane is asked to look like; pure data, shared by both servers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from kubelag.errors import LabError

Aggregated = Literal["none", "v2beta1", "v2", "both"]

_FIRST_WITH_PROBES = 22
"""Minor version of the first server with the flow schema `probes`; 1.20 has none (measured)."""

INCIDENT_GROUP_VERSIONS = 77
"""Group-versions, core included, of the cluster in the founding incident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlaneOptions:
    """Size, age and faults of one control plane."""

    group_versions: int = INCIDENT_GROUP_VERSIONS
    """Group-versions in all, core included; custom groups fill up what the server lacks."""
    custom_groups: int | None = None
    """Custom groups with one version each; overrides `group_versions` where given."""
    resources_per_group: int = 3
    """Custom resources in each custom group."""
    nodes: int = 3
    """Nodes, all Ready, named `node1` and up."""
    namespaces: int = 0
    """Namespaces `app1` and up, besides the four that every cluster has."""
    pods: int = 20
    """Running pods, dealt in turn to default, kube-system and the `app` namespaces."""
    custom_objects: int = 3
    """Objects of the first custom resource, in the namespace default."""
    git_version: str = "v1.20.2"
    """Embedded only: the version that /version tells."""
    aggregated: Aggregated = "none"
    """Embedded only: formats of aggregated discovery served; none is the look of 1.20."""
    empty_group_versions: tuple[str, ...] = ()
    """Embedded only: `group/version`s that hold no resource; they come on top of the count."""
    unavailable_group_versions: tuple[str, ...] = ()
    """Embedded only: `group/version`s whose server is down (503); on top of the count."""
    hanging_group_versions: tuple[str, ...] = ()
    """Embedded only: `group/version`s that answer 503 after `hang_s`; on top of the count."""
    hang_s: float = 5.0
    """Embedded only: when the aggregator gives up on them; 5 s is its own limit."""
    latency_s: float = 0.0
    """Embedded only: time added to every answer except /livez, /readyz and /healthz."""
    latency_by_prefix: Mapping[str, float] = field(default_factory=dict)
    """Embedded only: seconds added below a path such as `/apis/metrics.example.com`."""
    authentication_latency_s: float = 0.0
    """Embedded only: a slow token webhook; added to every request that shows a bearer token."""
    queue_latency_s: float = 0.0
    """Embedded only: priority and fairness; all but health and system:masters wait so long."""
    storage_latency_s: float = 0.0
    """Embedded only: a slow etcd; added to gets and lists that the watch cache cannot answer."""
    status_by_prefix: Mapping[str, int] = field(default_factory=dict)
    """Embedded only: the status (such as 503) of every answer below a path."""
    reject_429_count: int = 0
    """Embedded only: how many requests, health checks aside, are first told 429."""
    reject_429_every: int = 0
    """Embedded only: every so-many-th request, health checks aside, is told 429; 0 for none."""
    retry_after_s: int = 1
    """Embedded only: the Retry-After that comes with a 429."""
    is_websocket_refused: bool = False
    """Embedded only: `pods/exec` answers WebSocket with 403, and SPDY with 400."""
    websocket_refusal_s: float = 0.0
    """Embedded only: what that 403 takes, as behind a gateway that waits for the upgrade."""

    @property
    def exempts_probes(self) -> bool:
        """Whether a server of this version lets nobody wait for a health check."""
        minor = self.git_version.split(".")[1:2]
        return bool(minor) and minor[0].isdigit() and int(minor[0]) >= _FIRST_WITH_PROBES

    def custom_group_count(self, builtin_group_versions: int) -> int:
        """Custom groups to add to a server that has this many group-versions by itself.

        Raises:
            LabError: The server has more by itself than were asked for.
        """
        if self.custom_groups is not None:
            return self.custom_groups
        missing = self.group_versions - builtin_group_versions
        if missing < 0:
            raise LabError(
                f"This API server has {builtin_group_versions} group-versions by itself, "
                f"more than the {self.group_versions} asked for",
                "ask for more",
            )
        return missing

    def embedded_only(self) -> tuple[str, ...]:
        """Names of the options in use that a real API server cannot be asked for."""
        plain = ControlPlaneOptions()
        names = (
            "aggregated",
            "empty_group_versions",
            "unavailable_group_versions",
            "hanging_group_versions",
            "latency_s",
            "latency_by_prefix",
            "authentication_latency_s",
            "queue_latency_s",
            "storage_latency_s",
            "status_by_prefix",
            "reject_429_count",
            "reject_429_every",
            "is_websocket_refused",
            "websocket_refusal_s",
        )
        return tuple(name for name in names if getattr(self, name) != getattr(plain, name))


SETTINGS_FILE = "server.json"
"""Where the embedded server's process finds its `ServerSettings`."""
CONFIRMATION_FILE = "server.generation"
"""Where it tells which generation of them it acts on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One API server of a cluster, as the others know it."""

    address: str
    """An IP address."""
    port: int

    @property
    def authority(self) -> str:
        """`HOST:PORT`, with brackets around IPv6."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """What the embedded server's process is told by the one that starts it."""

    options: ControlPlaneOptions
    listen_fd: int
    parent_pid: int | None
    """The process whose death ends the server; None for a daemon."""
    members: tuple[Member, ...]
    """Every API server of the cluster, this one included."""
    number: int
    """Which of the members this one is, from 0."""
    started_s: float
    """When the cluster was made, in seconds since the epoch."""
    generation: int = 0
    """Grows with every change; the server confirms the one that it acts on."""
