"""Which objects `-o json`, `yaml`, `name` and JSONPath print, before any format.

Sources: `k8s.io/kubectl/pkg/cmd/get/get.go` (`printGeneric`),
`k8s.io/cli-runtime/pkg/printers/name.go` and `managedfields.go`.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubelag.kube.printing.values import Json, JsonObject


def is_list(value: "JsonObject") -> bool:
    """Whether kubectl takes it for a list: whatever has `items` that are a list."""
    return isinstance(value.get("items"), list)


def items_of(value: "JsonObject") -> "list[JsonObject]":
    """The objects of a list, their kind filled in from the list's where the server left it out.

    Servers leave `kind` and `apiVersion` out of built-in types' lists (`PodList` of `v1`).
    """
    items = value.get("items")
    given = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    kind, version = value.get("kind"), value.get("apiVersion")
    if not isinstance(kind, str) or not kind.endswith("List") or kind == "List":
        return given
    return [_of_kind(item, kind.removesuffix("List"), version) for item in given]


def _of_kind(item: "JsonObject", kind: str, version: "Json") -> "JsonObject":
    if item.get("kind") and item.get("apiVersion"):
        return item
    return {
        **item,
        "kind": item.get("kind") or kind,
        "apiVersion": item.get("apiVersion") or version,
    }


def as_list(objects: "Sequence[JsonObject]") -> "JsonObject":
    """The list that kubectl makes of a list's items, or of several objects.

    Older kubectls (1.20.2 for one) add an empty `selfLink` to its metadata.
    """
    return {
        "apiVersion": "v1",
        "items": list(objects),
        "kind": "List",
        "metadata": {"resourceVersion": ""},
    }


def without_managed_fields(value: "JsonObject") -> "JsonObject":
    """The object, or every object of a list, without `metadata.managedFields`.

    kubectl leaves them out of JSON and YAML (not of JSONPath) since 1.21, unless asked by
    `--show-managed-fields`.
    """
    if is_list(value):
        return {**value, "items": [_unmanaged(item) for item in items_of(value)]}
    return _unmanaged(value)


def _unmanaged(value: "JsonObject") -> "JsonObject":
    metadata = value.get("metadata")
    if not isinstance(metadata, dict) or "managedFields" not in metadata:
        return value
    kept = {name: field for name, field in metadata.items() if name != "managedFields"}
    return {**value, "metadata": kept}


def kind_prefix(kind: str, group: str) -> str:
    """How names are prefixed, of `--show-kind` or of several types: `pod`, `deployment.apps`."""
    return f"{kind}.{group}".lower() if group else kind.lower()


def print_names(objects: "Sequence[JsonObject]") -> str:
    """What `-o name` prints, one line for each object: `pod/x`, `deployment.apps/x`."""
    return "".join(f"{name_of(value)}\n" for value in objects)


def name_of(value: "JsonObject") -> str:
    """One object as `-o name` names it; what is missing reads `<unknown>`."""
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    kind, version = value.get("kind"), value.get("apiVersion")
    group = version.rpartition("/")[0] if isinstance(version, str) else ""
    prefix = kind_prefix(kind, group) if isinstance(kind, str) and kind else "<unknown>"
    return f"{prefix}/{name if isinstance(name, str) and name else '<unknown>'}"
