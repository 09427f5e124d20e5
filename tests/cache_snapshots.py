"""Snapshots for tests of the discovery cache: small ones, any ones, and a server's own."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from kubelag.kube.discovery.snapshot import Group, GroupVersion, Snapshot

if TYPE_CHECKING:
    from kubelag.kube.discovery.snapshot import State

SERVER = "https://127.0.0.1:6443"
NOW_S = 1_800_000_000.0

Json = dict[str, Any]


def resource(name: str, **fields: Any) -> Json:
    """One `APIResource`."""
    kind = name.rstrip("s").capitalize()
    return {
        "name": name,
        "singularName": name.rstrip("s"),
        "namespaced": True,
        "kind": kind,
        "verbs": ["get", "list"],
        **fields,
    }


def snapshot(groups: int = 3, **fields: Any) -> Snapshot:
    """A server with a core group and some others, all of them well."""
    named = [Group(name="", versions=("v1",), preferred="v1")]
    named += [
        Group(name=f"g{number}.example.com", versions=("v1", "v1beta1"), preferred="v1")
        for number in range(1, groups)
    ]
    names = [f"{group.name}/{version}".lstrip("/") for group in named for version in group.versions]
    known = {
        name: GroupVersion(
            name=name,
            resources=(resource("things", shortNames=["th"]), resource("things/status")),
        )
        for name in names
    }
    plain: Json = {
        "server": SERVER,
        "fetched_s": NOW_S,
        "source": "legacy",
        "groups": tuple(named),
        "group_versions": known,
        "etags": {},
    }
    return Snapshot(**(plain | fields))


def from_server(get: Callable[[str], bytes], server: str, now_s: float) -> Snapshot:
    """What a server offers, from its documents one by one."""
    core = json.loads(get("/api"))["versions"]
    listed = json.loads(get("/apis"))["groups"]
    groups = [Group(name="", versions=tuple(core), preferred=core[0])]
    groups += [
        Group(
            name=each["name"],
            versions=tuple(version["version"] for version in each["versions"]),
            preferred=each["preferredVersion"]["version"],
        )
        for each in listed
    ]
    found = [
        _fetched(get, f"{group.name}/{version}".lstrip("/"))
        for group in groups
        for version in group.versions
    ]
    return Snapshot(
        server=server,
        fetched_s=now_s,
        source="legacy",
        groups=tuple(groups),
        group_versions={each.name: each for each in found},
        etags={},
    )


def _fetched(get: Callable[[str], bytes], name: str) -> GroupVersion:
    path = f"/apis/{name}" if "/" in name else f"/api/{name}"
    resources = tuple(json.loads(get(path))["resources"])
    return GroupVersion(name=name, state="ok" if resources else "empty", resources=resources)


_words = st.text(min_size=1, max_size=12)
_labels = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
_resources = st.builds(
    resource,
    st.builds(lambda word, sub: word + sub, _words, st.sampled_from(["", "", "/status"])),
    shortNames=st.lists(_words, max_size=2),
    categories=st.lists(_words, max_size=2),
    namespaced=st.booleans(),
    storageVersionHash=_words,
)
_times = st.floats(min_value=0, max_value=2e9)


@st.composite
def group_versions(draw: st.DrawFn, name: str) -> GroupVersion:
    """Any group-version of that name."""
    states: list[State] = ["ok", "ok", "ok", "empty", "stale", "failed"]
    state = draw(st.sampled_from(states))
    resources = [] if state == "empty" else draw(st.lists(_resources, min_size=1, max_size=3))
    is_off = state in {"stale", "failed"}
    return GroupVersion(
        name=name,
        state=state,
        resources=tuple(resources),
        until_s=draw(_times) if is_off else 0.0,
        why=draw(st.text(max_size=10)) if is_off else "",
    )


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Any server."""
    names = draw(st.lists(_labels, max_size=4, unique=True))
    groups = []
    for name in ["", *(f"{each}.example.com" for each in names)]:
        versions = draw(st.lists(st.sampled_from(["v1", "v1beta1", "v2"]), unique=True, max_size=3))
        preferred = versions[0] if versions else ""
        groups.append(Group(name=name, versions=tuple(versions), preferred=preferred))
    full = [f"{each.name}/{version}".lstrip("/") for each in groups for version in each.versions]
    return Snapshot(
        server=SERVER,
        fetched_s=draw(_times),
        source=draw(st.sampled_from(["v2", "v2beta1", "legacy"])),
        groups=tuple(groups),
        group_versions={name: draw(group_versions(name)) for name in full},
        etags=draw(st.dictionaries(st.sampled_from(["/api", "/apis"]), _words)),
    )
