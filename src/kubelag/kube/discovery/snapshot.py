"""What is known of one server's resources at one time. Pure data, whichever way it came.

Whatever format discovery came in, resources are kept as the per-group-version document
(`APIResourceList`) has them, since that is what kubectl's cache holds and what other clients take.
"""

from kubelag.kube.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Literal

    JsonObject = dict[str, Any]
    State = Literal["ok", "empty", "stale", "failed"]
    Source = Literal["v2", "v2beta1", "legacy", "kubectl"]

FRESH_S = 6 * 3600.0
"""How long discovery is taken as it is. Source: kubectl from 1.24 on (kubernetes#107141)."""


class GroupVersion(Record):
    """One group-version and what it holds."""

    name: str
    """`apps/v1`; of the core group `v1`."""
    state: "State" = "ok"
    """`empty`: it holds no resource. `stale`: the server itself could not ask whoever serves it.
    `failed`: its document could not be had. Of the last two, `resources` is the last good list."""
    resources: "tuple[JsonObject, ...]" = ()
    """`APIResource`s in the server's order, subresources (`pods/log`) among them; never changed."""
    until_s: float = 0.0
    """Of `stale` and `failed`: when to ask again, seconds since the epoch."""
    why: str = ""
    """Of `stale` and `failed`: a clause, such as `HTTP 503`."""

    @property
    def group(self) -> str:
        """Its group; empty for the core group."""
        return self.name.rpartition("/")[0]

    @property
    def version(self) -> str:
        """Its version."""
        return self.name.rpartition("/")[2]


class Group(Record):
    """One group with its versions, in the server's order."""

    name: str
    """Empty for the core group."""
    versions: "tuple[str, ...]"
    """Bare versions such as `v1`, the server's preferred one first where it told an order."""
    preferred: str
    """The version that the server prefers."""


class Snapshot(Record):
    """Everything known of one server's resources."""

    server: str
    """Its URL, as the kubeconfig spells it."""
    fetched_s: float
    """When the server last vouched for it, seconds since the epoch."""
    source: "Source"
    """The format in which it came; `kubectl`: read from kubectl's own cache files."""
    groups: "tuple[Group, ...]"
    """In the server's order, the core group first."""
    group_versions: "Mapping[str, GroupVersion]"
    """By name, in the order of the groups and their versions. Every version of `groups` is here."""
    etags: "Mapping[str, str]"
    """By path (`/api`, `/apis`), of aggregated documents; empty where the server gave none."""

    def due(self, now_s: float) -> "list[str]":
        """Group-versions that failed, and have been left alone long enough."""
        return [
            one.name
            for one in self.group_versions.values()
            if one.state in {"failed", "stale"} and one.until_s <= now_s
        ]
