"""The C scanner alone reads what the whole module reads."""

import importlib
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.kube.lean import json as lean

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES, st.text(" \t\r\n", max_size=3))
def test_it_reads_what_json_writes(value: object, space: str) -> None:
    text = space + json.dumps(value) + space
    assert lean.loads(text) == value
    assert lean.loads(text.encode()) == value


@given(st.text() | st.binary())
def test_of_anything_else_it_says_so_as_json_does(data: str | bytes) -> None:
    def outcome(read: object) -> object:
        try:
            return repr(read(data))  # type: ignore[operator]
        except ValueError:
            return "no JSON"

    def usual(given: str | bytes) -> object:
        # json guesses other encodings, which no server sends; and it takes NaN for a number.
        text = given if isinstance(given, str) else given.decode()
        return json.loads(text, parse_constant=lean._Context.parse_constant)

    assert outcome(lean.loads) == outcome(usual)


@pytest.mark.parametrize("text", ["", " ", "{} {}", "[1,]", "NaN", '{"a": Infinity}', "nul"])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        lean.loads(text)


def test_a_python_without_that_scanner_reads_by_the_usual_module(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "_json", None)
    try:
        reloaded = importlib.reload(lean)
        assert reloaded.loads(b' {"a": [1, 2.5, null]} ') == {"a": [1, 2.5, None]}
        with pytest.raises(ValueError, match="NaN"):
            reloaded.loads("NaN")
    finally:
        monkeypatch.undo()
        importlib.reload(lean)
