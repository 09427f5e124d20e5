"""What kube-apiserver 1.20.2 serves by itself, read from the package's data file."""

import json
from dataclasses import dataclass
from functools import cached_property
from importlib import resources

from kubelag.lab.control_plane.inventory import JsonObject

DATA_FILE = "kube-apiserver-1.20.2.json"


@dataclass(frozen=True, kw_only=True)
class Builtin:
    """Groups, resources and table columns of a bare server, in the server's own order."""

    groups: tuple[tuple[str, tuple[str, ...]], ...]
    """Names with their versions, the preferred one first; core is not among them."""
    resources: dict[str, list[JsonObject]]
    """The resources of each group-version, core (`v1`) included."""
    columns: dict[str, list[JsonObject]]
    """Table columns of nodes, namespaces, pods, custom resources and all others."""

    @cached_property
    def group_version_count(self) -> int:
        """Group-versions, core included: 37."""
        return len(self.resources)


def load_builtin() -> Builtin:
    """Read the data file."""
    file = resources.files("kubelag.lab.control_plane") / "data" / DATA_FILE
    data = json.loads(file.read_text(encoding="utf-8"))
    return Builtin(
        groups=tuple((name, tuple(versions)) for name, versions in data["groups"]),
        resources=data["resources"],
        columns=data["columns"],
    )
