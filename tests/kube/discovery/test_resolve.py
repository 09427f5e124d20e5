"""What a name means, by laws that hold for every server, and by the cases where they meet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.kube.discovery.resolve import Resource, expand_category, resolve, rows_of
from kubelag.kube.discovery.snapshot import Group, GroupVersion

Row = tuple[str, str, str, str, bool, tuple[str, ...], tuple[str, ...]]


def row(
    group_version: str,
    name: str,
    kind: str = "",
    *,
    short: tuple[str, ...] = (),
    categories: tuple[str, ...] = (),
    singular: str = "",
) -> Row:
    """One of the index."""
    kind = kind or name.rstrip("s").capitalize()
    return (group_version, name, singular, kind, True, short, categories)


def group(name: str, *versions: str) -> Group:
    """One whose first version is preferred."""
    return Group(name=name, versions=versions, preferred=versions[0])


ROWS = (
    row("v1", "pods", short=("po",), categories=("all",)),
    row("v1", "events", short=("ev",)),
    row("v1", "componentstatuses", "ComponentStatus", short=("cs",)),
    row("apps/v1", "deployments", short=("deploy",), categories=("all",)),
    row("apps/v1beta1", "deployments", short=("deploy",), categories=("all",)),
    row("apps/v1beta1", "scales"),
    row("batch/v1beta1", "cronjobs", "CronJob", short=("cj",), categories=("all",)),
    row("batch/v1", "jobs", categories=("all",)),
    row("events.k8s.io/v1", "events", short=("ev",)),
    row("extensions/v1beta1", "deployments", short=("deploy",)),
    row("metrics.k8s.io/v1beta1", "pods"),
    row("odd.example.com/v1", "po", "Po"),
)
GROUPS = (
    group("", "v1"),
    group("apps", "v1", "v1beta1"),
    group("batch", "v1", "v1beta1"),
    group("events.k8s.io", "v1"),
    group("extensions", "v1beta1"),
    group("metrics.k8s.io", "v1beta1"),
    group("odd.example.com", "v1"),
)


def meant(asked: str) -> str:
    """`GROUP/VERSION NAME`; empty for nothing."""
    found = resolve(asked, ROWS, GROUPS)
    return f"{found.api_version} {found.name}" if found else ""


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("pods", "v1 pods"),
        ("pod", "v1 pods"),
        ("Pod", "v1 pods"),
        ("PODS", "v1 pods"),
        ("pods.", "v1 pods"),
        ("pods.v1.", "v1 pods"),
        ("Pod.v1.", "v1 pods"),
        ("pods.v2.", ""),
        ("pods.v1", ""),
        ("pods.metrics.k8s.io", "metrics.k8s.io/v1beta1 pods"),
        ("pods.metrics", "metrics.k8s.io/v1beta1 pods"),
        ("pods.v1beta1.metrics.k8s.io", "metrics.k8s.io/v1beta1 pods"),
        ("deploy", "apps/v1 deployments"),
        ("deployment", "apps/v1 deployments"),
        ("deployments.extensions", "extensions/v1beta1 deployments"),
        ("deploy.extensions", "extensions/v1beta1 deployments"),
        ("deployments.v1beta1.apps", "apps/v1beta1 deployments"),
        ("deploy.v1beta1.apps", "apps/v1beta1 deployments"),
        ("Deployment.v1beta1.apps", "apps/v1beta1 deployments"),
        ("Deployment.apps", "apps/v1 deployments"),
        ("deployments.v2.apps", ""),
        ("scales", "apps/v1beta1 scales"),
        ("cronjob", "batch/v1beta1 cronjobs"),
        ("CronJob", "batch/v1beta1 cronjobs"),
        ("cj", "batch/v1beta1 cronjobs"),
        ("componentstatus", "v1 componentstatuses"),
        ("ev", "v1 events"),
        ("ev.events.k8s.io", "events.k8s.io/v1 events"),
        ("po", "odd.example.com/v1 po"),
        ("", ""),
        (".", ""),
        ("..", ""),
        ("pods/log", ""),
        ("nothing", ""),
        ("nothing.v1.apps", ""),
    ],
)
def test_a_name_means_one_resource(asked: str, expected: str) -> None:
    assert meant(asked) == expected


def test_a_category_holds_each_resource_once_whichever_version_has_it() -> None:
    found = expand_category("all", ROWS, GROUPS)
    assert [f"{one.api_version} {one.name}" for one in found] == [
        "v1 pods",
        "apps/v1 deployments",
        "batch/v1beta1 cronjobs",
        "batch/v1 jobs",
    ]
    assert expand_category("none", ROWS, GROUPS) == []


@pytest.mark.parametrize(
    ("api_version", "is_namespaced", "namespace", "name", "expected"),
    [
        ("v1", True, "shop", "web", "/api/v1/namespaces/shop/things/web"),
        ("v1", True, None, "", "/api/v1/things"),
        ("apps/v1", True, "shop", "", "/apis/apps/v1/namespaces/shop/things"),
        ("apps/v1", False, "shop", "web", "/apis/apps/v1/things/web"),
    ],
)
def test_a_resource_has_its_paths(
    api_version: str, is_namespaced: bool, namespace: str | None, name: str, expected: str
) -> None:
    group_name, _, version = api_version.rpartition("/")
    resource = Resource(
        group=group_name,
        version=version,
        name="things",
        kind="Thing",
        singular="thing",
        is_namespaced=is_namespaced,
    )
    assert resource.path(namespace, name) == expected


WORDS = st.sampled_from(["alphas", "betas", "gammas", "deltas"])
GROUP_NAMES = st.sampled_from(["", "apps", "b.example.com", "a.example.com"])


@st.composite
def servers(draw: st.DrawFn) -> tuple[list[Row], list[Group]]:
    """Groups with versions, each with some of a few resources, so that names meet."""
    names = draw(st.lists(GROUP_NAMES, min_size=1, max_size=4, unique=True))
    groups, rows = [], []
    for name in sorted(names, key=bool):
        versions = draw(st.permutations(["v1", "v1beta1", "v2"]))[: draw(st.integers(1, 3))]
        groups.append(
            Group(name=name, versions=tuple(versions), preferred=draw(st.sampled_from(versions)))
        )
        for version in versions:
            held = draw(st.lists(WORDS, max_size=3, unique=True))
            api_version = f"{name}/{version}" if name else version
            rows += [row(api_version, one, short=(one[:2],)) for one in held]
    return rows, groups


def group_of(one: Row) -> str:
    return one[0].rpartition("/")[0]


def preferred(rows: list[Row], groups: list[Group]) -> str:
    """Of the versions that hold a resource, the one that the server would take."""
    held = {one[0] for one in rows}
    for each in groups:
        for version in (each.preferred, *each.versions):
            name = f"{each.name}/{version}" if each.name else version
            if name in held:
                return name
    return ""


@given(servers())
def test_every_way_to_name_a_resource_finds_it_where_the_server_prefers_it(
    server: tuple[list[Row], list[Group]],
) -> None:
    rows, groups = server
    for one in rows:
        api_version, name, _, kind, *_ = one
        own, version = group_of(one), api_version.rpartition("/")[2]
        same = [each for each in rows if each[1] == name]
        in_group = [each for each in same if group_of(each) == own]
        anywhere, there = preferred(same, groups), preferred(in_group, groups)
        for spelled in (name, name.upper(), kind, kind.lower()):
            found = resolve(spelled, rows, groups)
            assert found is not None
            assert (found.api_version, found.name) == (anywhere, name)
        for spelled in (f"{name}.{version}.{own}", f"{kind}.{version}.{own}"):
            found = resolve(spelled, rows, groups)
            assert found is not None
            assert (found.api_version, found.kind) == (api_version, kind)
        if own:
            for spelled in (f"{name}.{own}", f"{kind}.{own}", f"{name[:2]}.{own}"):
                found = resolve(spelled, rows, groups)
                assert found is not None
                assert (found.api_version, found.name) == (there, name)


@given(st.text(alphabet="aApo.v1/ \u00e9", max_size=12))
def test_any_text_is_a_name_or_none(asked: str) -> None:
    found = resolve(asked, ROWS, GROUPS)
    assert found is None or (found.api_version, found.name) in {(one[0], one[1]) for one in ROWS}


def test_subresources_are_no_resources_of_their_own() -> None:
    resources = (
        {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod"},
        {"name": "pods/log", "singularName": "", "namespaced": True, "kind": "Pod"},
    )
    assert [one[1] for one in rows_of(GroupVersion(name="v1", resources=resources))] == ["pods"]
