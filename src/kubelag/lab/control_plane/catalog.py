"""Every group-version that the embedded server has: builtin, custom, empty, unavailable. Pure."""

import base64
import hashlib
from dataclasses import dataclass
from typing import Literal

from kubelag.lab.control_plane import inventory
from kubelag.lab.control_plane.builtin import Builtin
from kubelag.lab.control_plane.inventory import CustomResource, JsonObject
from kubelag.lab.control_plane.options import ControlPlaneOptions

Origin = Literal["builtin", "custom", "unavailable"]

CUSTOM_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
"""In the order in which the real server lists them for custom resources."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupVersion:
    """One group-version and what is in it."""

    group: str
    """Empty for core."""
    version: str
    origin: Origin
    resources: tuple[JsonObject, ...]
    """As the group-version's discovery document lists them, subresources included."""

    @property
    def name(self) -> str:
        """`group/version`, or the version alone for core."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def path(self) -> str:
        """Where its discovery document is."""
        return f"/apis/{self.name}" if self.group else f"/api/{self.version}"

    def resource(self, name: str) -> JsonObject | None:
        """One of its resources, or None."""
        return next((item for item in self.resources if item["name"] == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """The group-versions in the server's order; core is the first."""

    group_versions: tuple[GroupVersion, ...]
    stocked: CustomResource | None
    """The one custom resource that has objects."""

    def find(self, name: str) -> GroupVersion | None:
        """One group-version by its name."""
        return next((item for item in self.group_versions if item.name == name), None)

    def groups(self) -> dict[str, list[GroupVersion]]:
        """The named groups with their versions, the preferred one first."""
        groups: dict[str, list[GroupVersion]] = {}
        for group_version in self.group_versions[1:]:
            groups.setdefault(group_version.group, []).append(group_version)
        return groups


def build_catalog(builtin: Builtin, options: ControlPlaneOptions) -> Catalog:
    """Put the builtin and the custom group-versions together.

    Raises:
        LabError: Fewer group-versions were asked for than are built in.
    """
    count = options.custom_group_count(builtin.group_version_count)
    names = inventory.custom_groups(count)
    custom = [_custom(group, options.resources_per_group) for group in names]
    extra = [
        *(_extra(name, "custom") for name in options.empty_group_versions),
        *(_extra(name, "unavailable") for name in options.unavailable_group_versions),
        *(_extra(name, "unavailable") for name in options.hanging_group_versions),
    ]
    # the real server lists groups of equal priority by name
    added = sorted([*custom, *extra], key=lambda item: item.group)
    first = [inventory.custom_resources(group, options.resources_per_group) for group in names[:1]]
    return Catalog(
        group_versions=(*_builtin(builtin), *added),
        stocked=first[0][0] if first and first[0] else None,
    )


def _builtin(builtin: Builtin) -> tuple[GroupVersion, ...]:
    names = [("", "v1")]
    names += [(group, version) for group, versions in builtin.groups for version in versions]
    return tuple(
        GroupVersion(
            group=group,
            version=version,
            origin="builtin",
            resources=tuple(builtin.resources[f"{group}/{version}" if group else version]),
        )
        for group, version in names
    )


def _custom(group: str, resource_count: int) -> GroupVersion:
    resources = inventory.custom_resources(group, resource_count)
    return GroupVersion(
        group=group,
        version="v1",
        origin="custom",
        resources=tuple(_listed(resource) for resource in resources),
    )


def _listed(resource: CustomResource) -> JsonObject:
    return {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": True,
        "kind": resource.kind,
        "verbs": list(CUSTOM_VERBS),
        "storageVersionHash": storage_version_hash(resource),
    }


def _extra(name: str, origin: Origin) -> GroupVersion:
    group, _, version = name.partition("/")
    return GroupVersion(group=group, version=version or "v1", origin=origin, resources=())


def storage_version_hash(resource: CustomResource) -> str:
    """The hash that the server computes; reproduces the recorded values."""
    text = f"{resource.group}/{resource.version}/{resource.kind}"
    return base64.b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()
