"""Label and field selectors, as far as kubectl writes them. Pure."""

import re
from collections.abc import Callable

from kubelag.lab.control_plane.inventory import JsonObject

Predicate = Callable[[JsonObject], bool]

_TERM = re.compile(r"[^,(]+(?:\([^)]*\))?")
_SET = re.compile(r"(?P<key>\S+)\s+(?P<word>in|notin)\s*\((?P<values>[^)]*)\)")
_EQUAL = re.compile(r"(?P<key>[^=!]+?)\s*(?P<sign>==|!=|=)\s*(?P<value>.*)")

_COMMON_FIELDS = ("metadata.name", "metadata.namespace")
_FIELDS = {
    "namespaces": ("status.phase",),
    "nodes": ("spec.unschedulable",),
    "pods": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    "secrets": ("type",),
}
"""Fields that can be selected by. Source: `kubernetes/pkg/apis/core/v1/conversion.go` at v1.20."""
_EVENT_FIELD = re.compile(r"involvedObject\.\w+|reason|source|type")


class SelectorError(ValueError):
    """A selector that the server would refuse with 400; says why in the server's words."""


def label_predicates(selector: str) -> list[Predicate]:
    """What the labels must be, one predicate per requirement."""
    return [_label(term.strip()) for term in _TERM.findall(selector)]


def field_predicates(selector: str, resource: str) -> list[Predicate]:
    """What the fields must be, one predicate per requirement.

    Raises:
        SelectorError: A requirement is no equality, or the resource has no such field.
    """
    return [_field(term.strip(), resource) for term in selector.split(",") if term.strip()]


def _label(term: str) -> Predicate:
    if found := _SET.fullmatch(term):
        values = {value.strip() for value in found["values"].split(",")}
        key, is_in = found["key"], found["word"] == "in"
        return lambda item: (_labels(item).get(key) in values) == is_in
    if found := _EQUAL.fullmatch(term):
        key, value, is_not = found["key"].strip(), found["value"], found["sign"] == "!="
        return lambda item: (_labels(item).get(key) == value) != is_not
    if term.startswith("!"):
        return lambda item: term[1:].strip() not in _labels(item)
    return lambda item: term in _labels(item)


def _labels(item: JsonObject) -> JsonObject:
    labels: JsonObject = item["metadata"].get("labels", {})
    return labels


def _field(term: str, resource: str) -> Predicate:
    found = _EQUAL.fullmatch(term)
    if found is None:
        raise SelectorError(f"invalid selector: '{term}'; can't understand '{term}'")
    known = found["key"] in (*_COMMON_FIELDS, *_FIELDS.get(resource, ()))
    if not known and not (resource == "events" and _EVENT_FIELD.fullmatch(found["key"])):
        raise SelectorError(f"field label not supported: {found['key']}")
    path, value, is_not = found["key"].split("."), found["value"], found["sign"] == "!="
    return lambda item: (_value_at(item, path) == value) != is_not


def _value_at(item: object, path: list[str]) -> str:
    for step in path:
        item = item.get(step, "") if isinstance(item, dict) else ""
    return str(item)
