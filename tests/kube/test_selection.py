"""What the words of `get` select."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.errors import UsageError
from kubelag.kube.selection import Wanted, parse_words


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["pods"], [("pods", ())]),
        (["pods,svc"], [("pods", ()), ("svc", ())]),
        (["pod", "a", "b"], [("pod", ("a", "b"))]),
        (["pod,svc", "a"], [("pod", ("a",)), ("svc", ("a",))]),
        (["pod/a"], [("pod", ("a",))]),
        (["pod/a", "svc/b", "pod/a"], [("pod", ("a",)), ("svc", ("b",)), ("pod", ("a",))]),
        (["deploy.v1.apps/a"], [("deploy.v1.apps", ("a",))]),
    ],
)
def test_types_and_names_are_told_apart(
    words: list[str], expected: list[tuple[str, tuple[str, ...]]]
) -> None:
    assert parse_words(words) == tuple(Wanted(type=one, names=names) for one, names in expected)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "not said what to get"),
        (["pods,"], "empty type"),
        ([","], "empty type"),
        ([""], "empty type"),
        (["pod/a", "svc"], "'svc' stands beside words of the form TYPE/NAME"),
        (["svc", "pod/a"], "'svc' stands beside"),
        (["/a"], "'/a' is no TYPE/NAME"),
        (["pod/"], "'pod/' is no TYPE/NAME"),
        (["pod/a/b"], "'pod/a/b' is no TYPE/NAME"),
        (["pod,svc/a"], "'pod,svc/a' is no TYPE/NAME"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: list[str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_words(words)


@given(st.lists(st.text(alphabet="ab,/.", max_size=6), max_size=4))
def test_any_words_are_types_with_names_or_refused(words: list[str]) -> None:
    try:
        found = parse_words(words)
    except UsageError:
        return
    assert found
    assert all(one.type and "/" not in one.type and "," not in one.type for one in found)
