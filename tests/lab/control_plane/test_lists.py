"""Laws of paging, negotiation and durations."""

import base64
import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.lab.control_plane import go_json, negotiation
from kubelag.lab.control_plane.identity import certificate_identity
from kubelag.lab.control_plane.objects import StoredObject
from kubelag.lab.control_plane.paging import BadTokenError, ExpiredTokenError, page
from kubelag.lab.control_plane.paths import parse_target
from kubelag.lab.control_plane.selectors import SelectorError, field_predicates, label_predicates
from kubelag.lab.control_plane.tables import human_duration

BLANK = StoredObject(value={}, key="", compact="", listed="", summary="")
NAMES = st.lists(st.text("abc-0123456789", min_size=1, max_size=8), unique=True, max_size=30)


@given(names=NAMES, limit=st.integers(1, 7))
def test_pages_put_together_are_the_whole(names: list[str], limit: int) -> None:
    objects = [replace(BLANK, key=f"ns/{name}") for name in sorted(names)]
    found: list[StoredObject] = []
    token = ""
    while True:
        part = page(objects, limit=limit, token=token, namespace="ns", revision=2000)
        found += part.objects
        assert part.remaining == len(objects) - len(found)
        token = part.token
        if not token:
            break
    assert found == objects


@given(token=st.text(min_size=1))
def test_a_token_that_is_none_is_refused_and_never_crashes(token: str) -> None:
    with contextlib.suppress(BadTokenError, ExpiredTokenError):
        page([], limit=1, token=token, namespace="", revision=2000)


@pytest.mark.parametrize("content", [b"[]", b"{}", b'{"rv":"x","start":""}', b"3", b"null"])
def test_json_that_is_no_token_is_refused(content: bytes) -> None:
    token = base64.urlsafe_b64encode(content).decode().rstrip("=")
    with pytest.raises(BadTokenError):
        page([], limit=1, token=token, namespace="", revision=2000)


@given(accept=st.text())
def test_no_accept_header_crashes(accept: str) -> None:
    form = negotiation.negotiate(accept, negotiation.TABLES)
    assert form is None or form == negotiation.PLAIN or form in negotiation.TABLES


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json;q=0.1,application/json;as=Table;g=meta.k8s.io;v=v1;q=0.9", "Table"),
        ("application/json,application/json;as=Table;g=meta.k8s.io;v=v1", ""),
        ("application/json;q=0", None),
        ("text/html, */*;q=0.1", ""),
    ],
)
def test_quality_comes_before_order(accept: str, kind: str | None) -> None:
    form = negotiation.negotiate(accept, negotiation.TABLES)
    assert (form.kind if form else None) == kind


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (190, "3m10s"),
        (600, "10m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 60, "3h1m"),
        (8 * 3600, "8h"),
        (48 * 3600, "2d"),
        (3 * 86400 + 3600, "3d1h"),
        (8 * 86400, "8d"),
        (800 * 86400, "2y70d"),
        (3000 * 86400, "8y"),
    ],
)
def test_durations_read_as_in_kubectl(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(value=JSON)
def test_both_styles_of_json_read_back_the_same(value: object) -> None:
    import json  # noqa: PLC0415 - beside its one use

    assert json.loads(go_json.compact(value)) == value
    assert json.loads(go_json.indented(value)) == value
    assert not set("<>&") & set(go_json.compact(value))


@given(path=st.text("/abcinps19.-"), method=st.sampled_from(["GET", "PATCH", "BREW"]))
def test_no_path_crashes(path: str, method: str) -> None:
    parse_target(method, path, is_watch=False)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/nodes", ("list", "", "", "nodes", "", "")),
        ("/api/v1/namespaces/a", ("get", "", "a", "namespaces", "a", "")),
        ("/api/v1/namespaces/a/status", ("get", "", "a", "namespaces", "a", "status")),
        ("/api/v1/namespaces/a/pods/b/log", ("get", "", "a", "pods", "b", "log")),
        ("/apis/apps/v1/deployments", ("list", "apps", "", "deployments", "", "")),
    ],
)
def test_a_path_says_what_a_request_is_about(path: str, expected: tuple[str, ...]) -> None:
    found = parse_target("GET", path, is_watch=False)
    assert found
    assert expected == (
        found.verb,
        found.group,
        found.namespace,
        found.resource,
        found.name,
        found.subresource,
    )


@given(selector=st.text())
def test_no_selector_crashes(selector: str) -> None:
    item = {"metadata": {"labels": {"a": "b"}}}
    with contextlib.suppress(SelectorError):
        checks = [*label_predicates(selector), *field_predicates(selector, "pods")]
        assert {check(item) for check in checks} <= {True, False}


def test_a_certificate_names_one_user_and_any_number_of_groups() -> None:
    subject = ((("organizationName", "a"),), (("organizationName", "b"),), (("commonName", "u"),))
    found = certificate_identity({"subject": subject})
    assert found
    assert (found.user, found.groups) == ("u", ("a", "b"))
    assert certificate_identity(None) is None
    assert certificate_identity({"subject": ()}) is None
