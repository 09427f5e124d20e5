"""Alignment alone."""

from hypothesis import given
from hypothesis import strategies as st

from kubelag.kube.printing.columns import Columns


def aligned(*lines: str) -> str:
    columns = Columns()
    for line in lines:
        columns.write(line)
    return columns.text()


def test_a_column_is_at_least_six_wide_and_the_last_cell_is_not_padded() -> None:
    assert aligned("a\tb", "c\td") == "a     b\nc     d\n"


def test_an_empty_last_cell_leaves_the_spaces_before_it() -> None:
    assert aligned("abcd\t", "a\tb") == "abcd   \na      b\n"


def test_a_line_without_a_tab_ends_the_column_of_the_lines_before() -> None:
    """But the width is remembered, which `text/tabwriter` would not do."""
    assert aligned("a\tb", "x", "a-long-cell\tb", "x", "a\tb").splitlines() == [
        "a     b",
        "x",
        "a-long-cell   b",
        "x",
        "a             b",
    ]


def test_widths_are_remembered_over_a_flush() -> None:
    columns = Columns()
    columns.write("a-long-cell\tb")
    columns.flush()
    columns.write("a\tb")
    assert columns.text() == "a-long-cell   b\na             b\n"


def test_a_form_feed_ends_all_columns() -> None:
    assert aligned("a\tb\fa-long-cell\tb").splitlines() == ["a     b", "a-long-cell   b"]


@given(st.lists(st.text(alphabet="ab\t\v\n\f é😀")))
def test_nothing_is_lost_but_the_separators(lines: list[str]) -> None:
    text = aligned(*lines)
    given_text = "".join(lines)
    for separator in "\t\v\n\f ":
        given_text = given_text.replace(separator, "")
    assert text.replace("\n", "").replace(" ", "") == given_text
    assert "\t" not in text


def test_two_thousand_tabs_are_no_recursion() -> None:
    assert aligned("\t" * 2000, "x").splitlines()[0] == " " * 12000
