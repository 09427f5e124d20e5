"""Discovery documents of every format take one shape; whatever else is refused in a clause."""

import copy
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.kube.discovery.documents import (
    STALE,
    DocumentError,
    Part,
    format_of,
    group_version_of,
    read_json,
    read_part,
    read_resources,
)
from kubelag.kube.discovery.snapshot import Group, GroupVersion

V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
V2BETA1 = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
Json = dict[str, Any]

AGGREGATED: Json = {
    "kind": "APIGroupDiscoveryList",
    "apiVersion": "apidiscovery.k8s.io/v2",
    "items": [
        {
            "metadata": {"name": "apps"},
            "versions": [
                {
                    "version": "v1",
                    "freshness": "Current",
                    "resources": [
                        {
                            "resource": "deployments",
                            "responseKind": {
                                "group": "apps",
                                "version": "v1",
                                "kind": "Deployment",
                            },
                            "scope": "Namespaced",
                            "singularResource": "deployment",
                            "verbs": ["get", "list"],
                            "shortNames": ["deploy"],
                            "categories": ["all"],
                            "subresources": [
                                {
                                    "subresource": "scale",
                                    "responseKind": {
                                        "group": "autoscaling",
                                        "version": "v1",
                                        "kind": "Scale",
                                    },
                                    "verbs": ["get"],
                                },
                                {"subresource": "hidden", "responseKind": None, "verbs": ["get"]},
                            ],
                        },
                        {
                            "resource": "parents",
                            "responseKind": None,
                            "scope": "Cluster",
                            "singularResource": "",
                            "verbs": [],
                            "subresources": [
                                {
                                    "subresource": "child",
                                    "responseKind": {"group": "", "version": "v1", "kind": "Child"},
                                    "verbs": ["create"],
                                }
                            ],
                        },
                    ],
                },
                {"version": "v1beta1", "freshness": "Stale", "resources": []},
                {"version": "v1alpha1", "freshness": "Current"},
            ],
        },
        {"metadata": {"name": "bare.example.com"}, "versions": []},
    ],
}
CORE: Json = {"kind": "APIVersions", "versions": ["v1"]}
GROUPS: Json = {
    "kind": "APIGroupList",
    "groups": [
        {
            "name": "apps",
            "versions": [
                {"groupVersion": "apps/v1beta1", "version": "v1beta1"},
                {"groupVersion": "apps/v1", "version": "v1"},
            ],
            "preferredVersion": {"groupVersion": "apps/v1", "version": "v1"},
        }
    ],
}
RESOURCES: Json = {
    "kind": "APIResourceList",
    "groupVersion": "apps/v1",
    "resources": [
        {
            "name": "deployments",
            "singularName": "deployment",
            "namespaced": True,
            "kind": "Deployment",
            "verbs": ["get"],
            "shortNames": ["deploy"],
        }
    ],
}


def part(path: str, document: object, content_type: str = "application/json") -> Part:
    return read_part(path, json.dumps(document).encode(), content_type, "etag")


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (V2, "v2"),
        (V2BETA1, "v2beta1"),
        ("application/json; as=APIGroupDiscoveryList; v=v2; g=apidiscovery.k8s.io", "v2"),
        ("Application/JSON;G=apidiscovery.k8s.io;V=v2;AS=APIGroupDiscoveryList", "v2"),
        ('application/json;g="apidiscovery.k8s.io";v="v2";as="APIGroupDiscoveryList"', "v2"),
        (f"{V2};charset=utf-8", "v2"),
        (V2.replace("v2", "v3"), "legacy"),
        (V2.replace("json", "yaml"), "legacy"),
        (V2.replace("apidiscovery", "other"), "legacy"),
        ("application/json", "legacy"),
        ("", "legacy"),
        (";;;=", "legacy"),
    ],
)
def test_the_format_is_what_the_content_type_says(content_type: str, expected: str) -> None:
    assert format_of(content_type) == expected


def test_an_aggregated_document_holds_groups_and_their_resources() -> None:
    found = part("/apis", AGGREGATED, V2)
    assert (found.format, found.etag) == ("v2", "etag")
    assert found.groups == (
        Group(name="apps", versions=("v1", "v1beta1", "v1alpha1"), preferred="v1"),
        Group(name="bare.example.com", versions=(), preferred=""),
    )
    assert list(found.group_versions) == ["apps/v1", "apps/v1beta1", "apps/v1alpha1"]
    apps = found.group_versions["apps/v1"]
    assert [one["name"] for one in apps.resources] == [
        "deployments",
        "deployments/scale",
        "parents/child",
    ]
    assert apps.resources[0] == {
        "name": "deployments",
        "singularName": "deployment",
        "namespaced": True,
        "group": "apps",
        "version": "v1",
        "kind": "Deployment",
        "verbs": ["get", "list"],
        "shortNames": ["deploy"],
        "categories": ["all"],
    }
    assert found.group_versions["apps/v1beta1"] == GroupVersion(
        name="apps/v1beta1", state="stale", why=STALE
    )
    assert found.group_versions["apps/v1alpha1"].state == "empty"


def test_both_aggregated_formats_are_read_alike() -> None:
    newer, older = part("/apis", AGGREGATED, V2), part("/apis", AGGREGATED, V2BETA1)
    assert newer.but(format="v2beta1") == older


def test_legacy_documents_only_name_what_there_is() -> None:
    core = part("/api", CORE)
    assert core.groups == (Group(name="", versions=("v1",), preferred="v1"),)
    groups = part("/apis", GROUPS)
    assert groups.groups == (Group(name="apps", versions=("v1beta1", "v1"), preferred="v1"),)
    assert (groups.group_versions, groups.format, groups.etag) == ({}, "legacy", "")


def test_a_preferred_version_that_is_no_version_is_replaced_by_the_first() -> None:
    document = copy.deepcopy(GROUPS)
    document["groups"][0]["preferredVersion"] = {"version": "v9"}
    assert part("/apis", document).groups[0].preferred == "v1beta1"


def test_an_empty_list_is_empty_and_not_failed() -> None:
    found = group_version_of("apps/v1", read_resources({**RESOURCES, "resources": None}, "apps/v1"))
    assert found == GroupVersion(name="apps/v1", state="empty")
    assert group_version_of("apps/v1", read_resources(RESOURCES, "apps/v1")).state == "ok"


@pytest.mark.parametrize(
    ("path", "document", "content_type", "why"),
    [
        ("/api", {"kind": "Status"}, "application/json", "no APIVersions but 'Status'"),
        ("/api", {}, "application/json", "no APIVersions but nothing"),
        ("/api", {**CORE, "versions": None}, "application/json", "no list of names"),
        ("/api", {**CORE, "versions": ["../../etc"]}, "application/json", "no list of names"),
        ("/api", {**CORE, "versions": [""]}, "application/json", "no list of names"),
        ("/apis", CORE, "application/json", "no APIGroupList but 'APIVersions'"),
        ("/apis", {**GROUPS, "groups": [1]}, "application/json", "no list of objects"),
        ("/apis", {**GROUPS, "groups": [{"name": ".."}]}, "application/json", "a name is '..'"),
        ("/apis", {**GROUPS, "groups": [{"name": 3}]}, "application/json", "a name is no text"),
        ("/apis", GROUPS, V2, "no APIGroupDiscoveryList but 'APIGroupList'"),
        ("/apis", {**AGGREGATED, "items": {}}, V2, "no list of objects"),
        ("/apis", [], V2, "no JSON object"),
    ],
)
def test_another_document_is_refused(
    path: str, document: object, content_type: str, why: str
) -> None:
    with pytest.raises(DocumentError, match=why):
        part(path, document, content_type)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"<html>", "HTML"),
        (b"no", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no JSON object"),
        (b'{"a": ' + b"9" * 5000 + b"}", "no JSON"),
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(DocumentError, match=why):
        read_json(body)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"groupVersion": "apps/v2"}, "of 'apps/v2' and not of apps/v1"),
        ({"groupVersion": None}, "of nothing and not of apps/v1"),
        ({"kind": "List"}, "no APIResourceList but 'List'"),
        ({"resources": {}}, "no list of objects"),
        ({"resources": [{"name": ""}]}, "a name is ''"),
        ({"resources": [{"name": "a b"}]}, "a name is 'a b'"),
        ({"resources": [{"name": "a/../../b"}]}, "a name is"),
        ({"resources": [{"name": "a"}]}, "a kind is nothing"),
        ({"resources": [{"name": "a", "kind": "A"}]}, "whether it is namespaced"),
        ({"resources": [{"name": "a", "kind": "A", "namespaced": 1}]}, "whether it is namespaced"),
        (
            {"resources": [{"name": "a", "kind": "A", "namespaced": True, "verbs": "get"}]},
            "the verbs of 'a' are no list of texts",
        ),
        (
            {"resources": [{"name": "a", "kind": "A", "namespaced": True, "singularName": 1}]},
            "a singularName is no text",
        ),
    ],
)
def test_a_list_of_resources_that_is_not_right_is_refused(change: Json, why: str) -> None:
    with pytest.raises(DocumentError, match=why):
        read_resources({**RESOURCES, **change}, "apps/v1")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)


def leaves(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where everything in a document is."""
    found = [at] if at else []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += leaves(inner, (*at, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found += leaves(inner, (*at, index))
    return found


@st.composite
def damaged(draw: st.DrawFn, document: Json) -> Json:
    """The document with something else in one or two of its places."""
    changed = copy.deepcopy(document)
    for place in draw(st.lists(st.sampled_from(leaves(document)), min_size=1, max_size=2)):
        holder: Any = changed
        try:
            for key in place[:-1]:
                holder = holder[key]
            holder[place[-1]] = draw(JSON)
        except (KeyError, IndexError, TypeError):
            continue  # the first change took the second one's place away
    return changed


def assert_is_sound(found: Part) -> None:
    """Whatever was taken may be relied upon: names are names, and fit into paths."""
    for group in found.groups:
        for version in group.versions:
            assert "/" not in version
            assert version not in {"", ".", ".."}
    for one in found.group_versions.values():
        for resource in one.resources:
            assert_is_resource(resource)


def assert_is_resource(found: Json) -> None:
    assert isinstance(found["name"], str)
    assert isinstance(found["kind"], str)
    assert isinstance(found["namespaced"], bool)
    assert all(one not in {"", ".", ".."} for one in found["name"].split("/"))
    lists = [found.get(key) or [] for key in ("verbs", "shortNames", "categories")]
    assert all(isinstance(word, str) for each in lists for word in each)


@given(st.sampled_from(["/api", "/apis"]), st.sampled_from([V2, V2BETA1, ""]), JSON)
def test_any_json_is_a_part_or_refused(path: str, content_type: str, document: object) -> None:
    with suppress(DocumentError):
        assert_is_sound(part(path, document, content_type))


@given(st.data())
def test_a_damaged_document_is_a_part_or_refused(data: st.DataObject) -> None:
    path, document, content_type = data.draw(
        st.sampled_from([("/api", CORE, ""), ("/apis", GROUPS, ""), ("/apis", AGGREGATED, V2)])
    )
    with suppress(DocumentError):
        assert_is_sound(part(path, data.draw(damaged(document)), content_type))


@given(st.data())
def test_a_damaged_list_of_resources_is_one_or_refused(data: st.DataObject) -> None:
    with suppress(DocumentError):
        for one in read_resources(data.draw(damaged(RESOURCES)), "apps/v1"):
            assert_is_resource(one)


@given(st.binary(max_size=60))
def test_any_bytes_are_an_object_or_refused(body: bytes) -> None:
    with suppress(DocumentError):
        assert isinstance(read_json(body), dict)
