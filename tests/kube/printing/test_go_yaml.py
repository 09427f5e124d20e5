"""Go's YAML; the recorded output is in `test_objects`."""

import string
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kubelag.kube.printing.errors import PrintingError
from kubelag.kube.printing.go_yaml import print_yaml, sorted_keys
from kubelag.kube.printing.yaml_plain import is_plain_string

NUMBERS = st.integers(-(2**63), 2**63 - 1)
# PyYAML reads the plain strings = and << as something else, and kubectl prints them plain.
# U+0085, U+2028 and U+2029 are line breaks for libyaml and are printed as it prints them.
CHARACTERS = st.characters(exclude_characters="\x85\u2028\u2029", exclude_categories=["Cs"])
TEXT = st.text(CHARACTERS).filter(lambda text: text not in ("=", "<<"))
LONG = st.lists(st.sampled_from(["a", "word", ":", "#", "'", '"', "é", "", "-"]), max_size=90).map(
    " ".join
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT | LONG,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)
LOOKS_ELSE = st.from_regex(
    r"[-+]?(0[xob]?)?[0-9a-f_.:]+(e[-+]?[0-9]+)?|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ][0-9:.]+Z?)?",
    fullmatch=True,
)


@given(VALUES)
def test_what_is_printed_is_the_same_when_read_again(value: Any) -> None:
    assert yaml.safe_load(print_yaml({"v": value})) == {"v": value}


@given(LOOKS_ELSE | TEXT)
def test_what_looks_like_something_else_stays_a_string(text: str) -> None:
    """Unless it does so for PyYAML alone, so that Go and kubectl leave it plain."""
    node = yaml.compose(print_yaml([text]), yaml.SafeLoader)
    assert isinstance(node, yaml.SequenceNode)
    node = node.value[0]
    assert node.value == text
    assert node.tag == "tag:yaml.org,2002:str" or is_plain_string(text)


@pytest.mark.parametrize(
    "text",
    [
        *("yes", "No", "on", "y", "N", "true", "null", "~", "", "1e3", "0x1", "0o7", "017"),
        *("1_000", "12:30", "190:20:30", ".5", "-1", "+1", ".inf", "-.Inf", ".NaN", "2001-01-01"),
        *("2001-1-1", "2001-12-14t21:59:43.10-05:00", "2001-12-14 21:59:43", "0b11"),
    ],
)
def test_strings_that_would_be_something_else_are_quoted(text: str) -> None:
    assert print_yaml([text]) == f'- "{text}"\n'


@pytest.mark.parametrize(
    "text",
    [
        *("=", "<<", "2001-02-31", "1:60", "0b2", "1e400", "1.2.3", "nULL", "2001-01-01T24:00:00Z"),
        *("-", "0xffffffffffffffffff", "http://a:80/b", "a#b", "+", "."),
    ],
)
def test_other_strings_are_plain_or_in_single_quotes(text: str) -> None:
    assert print_yaml([text]).strip() in (f"- {text}", f"- '{text}'")


def test_numbers_in_keys_are_sorted_by_value() -> None:
    assert sorted_keys(["a10", "a2", "a", "b", "A", "a02", "a-b", "a.b", "10", "9"]) == [
        "9", "10", "A", "a", "a-b", "a.b", "a2", "a02", "a10", "b",
    ]  # fmt: skip


@given(st.lists(st.text(string.ascii_letters + string.digits + "./-_"), unique=True))
def test_sorting_loses_no_key(keys: list[str]) -> None:
    assert sorted(sorted_keys(keys)) == sorted(keys)


def test_very_many_digits_in_a_key_are_sorted_too() -> None:
    assert len(sorted_keys(["1" * 10_000, "2" * 10_000])) == 2


def test_too_deep_an_object_is_refused() -> None:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(PrintingError, match="nested too deeply"):
        print_yaml(value)


@pytest.mark.parametrize(
    ("value", "text"), [({}, "{}\n"), ([], "[]\n"), ("a", "a\n"), ("a\nb", "|-\n  a\n  b\n")]
)
def test_what_is_no_map_is_printed_too(value: Any, text: str) -> None:
    assert print_yaml(value) == text
