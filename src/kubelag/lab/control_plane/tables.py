"""Server-side Tables: the cells that kubectl prints. Pure.

Source: `kubernetes/pkg/printers/internalversion/printers.go` at v1.20, compared with the real
server by the contract tests.
"""

from collections.abc import Sequence
from datetime import datetime

from kubelag.lab.control_plane import go_json
from kubelag.lab.control_plane.go_json import Raw
from kubelag.lab.control_plane.inventory import JsonObject
from kubelag.lab.control_plane.objects import StoredObject
from kubelag.lab.control_plane.options import Member

_ROLE_PREFIX = "node-role.kubernetes.io/"
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400
_YEAR_S = 365 * _DAY_S
_SHOWN = 3
"""Endpoints that a cell names."""


def table_rows(
    resource: str, objects: Sequence[StoredObject], included: str, now_s: float
) -> list[JsonObject]:
    """The rows of a Table.

    Args:
        resource: Whose cells, as in `Collection.columns`.
        objects: One per row.
        included: `includeObject` of the query: None, Metadata or Object.
        now_s: For the ages.
    """
    return [
        {"cells": _cells(resource, item, now_s), "object": _included(item, included)}
        for item in objects
    ]


def _included(item: StoredObject, included: str) -> Raw | None:
    if included == "None":
        return None
    return Raw(item.compact if included == "Object" else item.summary)


def _cells(resource: str, item: StoredObject, now_s: float) -> list[object]:
    name = item.metadata["name"]
    age = _age(item, now_s)
    match resource:
        case "nodes":
            return _node_cells(item.value, name, age)
        case "pods":
            return _pod_cells(item.value, name, age)
        case "namespaces":
            return [name, item.value["status"]["phase"], age]
        case "endpoints":
            return [name, _shortened(_authorities(item.value)), age]
        case "endpointslices":
            return [name, *_slice_cells(item.value), age]
        case "custom":
            return [name, age]
        case _:
            return [name, item.metadata["creationTimestamp"]]


def _node_cells(value: JsonObject, name: str, age: str) -> list[object]:
    labels = value["metadata"].get("labels", {})
    roles = sorted(key.removeprefix(_ROLE_PREFIX) for key in labels if key.startswith(_ROLE_PREFIX))
    addresses = {each["type"]: each["address"] for each in value["status"]["addresses"]}
    info = value["status"]["nodeInfo"]
    return [
        name,
        "Ready",
        ",".join(roles) or "<none>",
        age,
        info["kubeletVersion"],
        addresses.get("InternalIP", "<none>"),
        addresses.get("ExternalIP", "<none>"),
        info["osImage"] or "<unknown>",
        info["kernelVersion"] or "<unknown>",
        info["containerRuntimeVersion"] or "<unknown>",
    ]


def _pod_cells(value: JsonObject, name: str, age: str) -> list[object]:
    containers = value["status"]["containerStatuses"]
    ready = sum(1 for each in containers if each["ready"])
    return [
        name,
        f"{ready}/{len(containers)}",
        value["status"]["phase"],
        sum(each["restartCount"] for each in containers),
        age,
        value["status"].get("podIP", "<none>"),
        value["spec"].get("nodeName", "<none>"),
        "<none>",
        "<none>",
    ]


def _authorities(value: JsonObject) -> list[str]:
    return [
        Member(address=address["ip"], port=port["port"]).authority
        for subset in value["subsets"]
        for port in subset["ports"]
        for address in subset["addresses"]
    ]


def _slice_cells(value: JsonObject) -> list[str]:
    ports = [str(port["port"]) for port in value["ports"]]
    addresses = [address for each in value["endpoints"] for address in each["addresses"]]
    return [value["addressType"], _shortened(ports), _shortened(addresses)]


def _shortened(words: Sequence[str]) -> str:
    """The first few words, and how many there are besides."""
    shown = ",".join(words[:_SHOWN])
    return f"{shown} + {len(words) - _SHOWN} more..." if len(words) > _SHOWN else shown


def _age(item: StoredObject, now_s: float) -> str:
    created = datetime.fromisoformat(item.metadata["creationTimestamp"])
    return human_duration(now_s - created.timestamp())


def human_duration(seconds: float) -> str:
    """A duration in kubectl's short form.

    Source: `k8s.io/apimachinery/pkg/util/duration.HumanDuration`.
    """
    whole = max(0, int(seconds))
    minutes, hours, days = whole // _MINUTE_S, whole // _HOUR_S, whole // _DAY_S
    steps = (
        (2 * _MINUTE_S, f"{whole}s"),
        (10 * _MINUTE_S, _two(minutes, "m", whole % _MINUTE_S, "s")),
        (3 * _HOUR_S, f"{minutes}m"),
        (8 * _HOUR_S, _two(hours, "h", minutes % 60, "m")),
        (2 * _DAY_S, f"{hours}h"),
        (8 * _DAY_S, _two(days, "d", hours % 24, "h")),
        (2 * _YEAR_S, f"{days}d"),
        (8 * _YEAR_S, _two(days // 365, "y", days % 365, "d")),
    )
    return next((text for limit, text in steps if whole < limit), f"{days // 365}y")


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}" + (f"{small}{small_unit}" if small else "")


def compact_table(value: JsonObject) -> str:
    """A table in one line; its raw parts keep `json` from doing it."""
    rows = ",".join(
        f'{{"cells":{go_json.compact(row["cells"])},"object":{_raw(row["object"])}}}'
        for row in value["rows"]
    )
    head = go_json.compact({key: part for key, part in value.items() if key != "rows"})
    return f'{head[:-1]},"rows":[{rows}]}}'


def _raw(item: Raw | None) -> str:
    return item.text if item else "null"
