"""Go's JSON."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.kube.printing.errors import PrintingError
from kubelag.kube.printing.go_json import compact, print_json
from kubelag.kube.printing.values import in_text

INTEGERS = st.integers(-(2**63), 2**63 - 1)
# A float beyond 2**53 is written as an integer, with zeros where its own digits end.
NUMBERS = INTEGERS | st.floats(-(2**53), 2**53)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_printed_is_the_same_when_read_again(value: Any) -> None:
    assert json.loads(print_json(value)) == value
    assert json.loads(compact(value)) == value


@given(st.dictionaries(st.text(), INTEGERS | st.text()))
def test_keys_are_sorted_and_html_is_escaped(value: dict[str, Any]) -> None:
    text = compact(value)
    assert not set("<>&\u2028\u2029\n") & set(text)
    assert list(json.loads(text)) == sorted(value)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan"), 10**400])
def test_what_json_cannot_say_is_refused(value: float) -> None:
    with pytest.raises(PrintingError):
        print_json([value])


def test_too_deep_an_object_is_refused() -> None:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(PrintingError, match="nested too deeply"):
        print_json(value)


@pytest.mark.parametrize(
    ("value", "in_json", "text"),
    [
        (1e6, "1000000", "1e+06"),
        (999999.0, "999999", "999999"),
        (1e20, "100000000000000000000", "1e+20"),
        (1e21, "1e+21", "1e+21"),
        (0.0001, "0.0001", "0.0001"),
        (0.00001, "0.00001", "1e-05"),
        (1e-6, "0.000001", "1e-06"),
        (1e-7, "1e-7", "1e-07"),
        (-1234567.25, "-1234567.25", "-1.23456725e+06"),
        (-0.0, "-0", "-0"),
        (2**63, "9223372036854776000", "9.223372036854776e+18"),
        (2**63 - 1, "9223372036854775807", "9223372036854775807"),
        (5e-324, "5e-324", "5e-324"),
    ],
)
def test_numbers_are_written_as_go_writes_them(value: float, in_json: str, text: str) -> None:
    assert compact(value) == in_json
    assert in_text(value) == text
