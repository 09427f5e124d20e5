"""JSON, YAML and names, against what kubectl 1.33.1 printed."""

import json
from pathlib import Path
from typing import Any

import pytest

from kubelag.kube.printing.go_json import print_json
from kubelag.kube.printing.go_yaml import print_yaml
from kubelag.kube.printing.objects import (
    as_list,
    is_list,
    items_of,
    kind_prefix,
    name_of,
    print_names,
    without_managed_fields,
)

GOLDEN = Path(__file__).parent / "golden"
NAMES = ["configmap", "odd", "pods"]


def given_object(name: str) -> Any:
    value = json.loads((GOLDEN / f"{name}.given.json").read_text(encoding="utf-8"))
    return as_list(items_of(value)) if is_list(value) else value


def printed(name: str, form: str) -> str:
    return (GOLDEN / f"{name}.printed.{form}").read_bytes().decode()


@pytest.mark.parametrize("name", NAMES)
def test_json_is_printed_as_kubectl_printed_it(name: str) -> None:
    assert print_json(without_managed_fields(given_object(name))) == printed(name, "json")


@pytest.mark.parametrize("name", NAMES)
def test_yaml_is_printed_as_kubectl_printed_it(name: str) -> None:
    assert print_yaml(without_managed_fields(given_object(name))) == printed(name, "yaml")


@pytest.mark.parametrize("name", NAMES)
def test_names_are_printed_as_kubectl_printed_them(name: str) -> None:
    value = given_object(name)
    objects = items_of(value) if is_list(value) else [value]
    assert print_names(objects) == printed(name, "name")


def test_a_list_of_nothing_is_still_a_list() -> None:
    assert print_yaml(as_list([])) == (
        'apiVersion: v1\nitems: []\nkind: List\nmetadata:\n  resourceVersion: ""\n'
    )


def test_the_kind_is_filled_in_where_the_server_left_it_to_the_list() -> None:
    given: Any = {
        "kind": "DeploymentList",
        "apiVersion": "apps/v1",
        "items": [{"metadata": {"name": "x"}}, {"kind": "Y", "apiVersion": "z/v1"}],
    }
    assert [name_of(one) for one in items_of(given)] == ["deployment.apps/x", "y.z/<unknown>"]


def test_a_mixed_list_keeps_its_objects_as_they_are() -> None:
    given: Any = {"kind": "List", "apiVersion": "v1", "items": [{"metadata": {}}, 5]}
    assert items_of(given) == [{"metadata": {}}]


@pytest.mark.parametrize("value", [{}, {"metadata": 5, "kind": 5}, {"metadata": {"name": 5}}])
def test_what_has_no_name_is_unknown(value: Any) -> None:
    assert name_of(value) == "<unknown>/<unknown>"


def test_managed_fields_go_and_the_given_object_stays() -> None:
    given: Any = {"metadata": {"name": "x", "managedFields": [{}]}}
    assert without_managed_fields(given) == {"metadata": {"name": "x"}}
    assert "managedFields" in given["metadata"]


def test_a_kind_is_prefixed_with_its_group() -> None:
    assert kind_prefix("Deployment", "apps") == "deployment.apps"
    assert kind_prefix("Pod", "") == "pod"
