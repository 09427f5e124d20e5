"""JSONPath, against what kubectl 1.33.1 printed."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.kube.printing.errors import TemplateError
from kubelag.kube.printing.jsonpath import Template
from kubelag.kube.printing.jsonpath_parser import parse_template, relaxed

RECORDED = json.loads((Path(__file__).parent / "golden/jsonpath.json").read_text(encoding="utf-8"))
OBJECT = RECORDED["object"]
PIECES = st.sampled_from(
    [
        *"{}[]()?@$.*,:'\"\\ 0\né&>",
        *("..", "-1", "range ", "{end}", "end", ".it", ".k", "it[*]", "[?(", ")]", "=="),
        *("'k'", "true", "1.5", "{range .it[*]}", "{.l[0]}", "\\n", "\\u00"),
    ]
)


@pytest.mark.parametrize("case", RECORDED["cases"], ids=lambda case: case["template"])
def test_a_template_prints_what_kubectl_printed(case: dict[str, Any]) -> None:
    """Or fails where kubectl failed."""
    if case["printed"] is None:
        with pytest.raises(TemplateError):
            Template(case["template"]).render(OBJECT)
    else:
        assert Template(case["template"]).render(OBJECT) == case["printed"]


@pytest.mark.parametrize("case", RECORDED["as_json"], ids=lambda case: case["template"])
def test_results_are_printed_as_json_lists(case: dict[str, Any]) -> None:
    assert Template(case["template"]).render(OBJECT, as_json=True) == case["printed"]


def test_a_map_is_walked_in_the_order_of_its_keys() -> None:
    """Go walks it at random."""
    assert Template("{.m.*} {.em..}{.a..}").render(OBJECT) == '< 1 {"b":"nested"} nested'


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("a{.b", "at character 5: the action is not closed by }"),
        ("{.a}{&}", "at character 6: '&' has no meaning in an action"),
        ("{.a[x]}", "at character 4: [x] is no index, slice or 'key'"),
        ("{.a[0}", "at character 4: the array is not closed by ]"),
        ("{.a[0,x]}", "at character 5: [x] is no index, slice or 'key'"),
        ("{.a[?(@.b==&)]}", "at character 12: '&' has no meaning in an action"),
        ("{.a[?(@.b)}", "at character 4: the filter's ) is not followed by ]"),
        ("{.a[?(@.b}", "at character 4: the filter is not closed by )]"),
        ("{'a}", "at character 2: the quoted string is not closed"),
        (r"{'\q'}", "at character 2: the quoted string has an escape that is none"),
        ("{1.2.3}", "at character 2: 1.2.3 is not a number"),
        ("{....}", "at character 4: two recursive descents (..) follow each other"),
        ("{.a[" + "9" * 5000 + "]}", "is not an index"),
    ],
)
def test_a_malformed_template_is_refused_with_the_place(template: str, why: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse_template(template)
    assert why in str(caught.value)


def test_zeros_before_an_index_are_no_matter() -> None:
    assert Template("{.l[" + "0" * 5000 + "1]}{" + "0" * 5000 + "7}").render(OBJECT) == "a7"


@given(st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=20))
def test_any_text_renders_or_is_refused(text: str) -> None:
    with contextlib.suppress(TemplateError):
        Template(text).render(OBJECT)


@pytest.mark.parametrize(
    ("given_text", "path"),
    [(".a.b", "{.a.b}"), ("a.b", "{.a.b}"), ("{.a.b}", "{.a.b}"), ("{a[0]}", "{.a[0]}")],
)
def test_a_path_may_lack_braces_where_kubectl_relaxes_it(given_text: str, path: str) -> None:
    assert relaxed(given_text) == path


@pytest.mark.parametrize("text", ["", "{", "{.a}{.b}", "{}", "a}b"])
def test_what_is_not_one_path_is_not_relaxed(text: str) -> None:
    with pytest.raises(TemplateError):
        relaxed(text)


def test_too_deep_an_object_is_refused() -> None:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(TemplateError, match="nested too deeply"):
        Template("{..}").render(value)
