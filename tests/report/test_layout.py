from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.report.blocks import Bar, Bars, Block, Grid, Link, Paragraph, Piece, Verbatim
from kubelag.report.clean import width
from kubelag.report.layout import lay_out


def lines(*blocks: Block, columns: int = 40, hyperlinks: bool = False) -> list[str]:
    return ["".join(span.text for span in line) for line in _laid(blocks, columns, hyperlinks)]


def _laid(blocks: Iterable[Block], columns: int, hyperlinks: bool) -> list:
    return list(lay_out(blocks, columns, hyperlinks=hyperlinks))


def test_a_figure_is_never_parted_from_its_unit() -> None:
    text = "the disk needed for each of these writes 42 ms"
    shown = lines(Paragraph(pieces=(Piece(text),), indent=0), columns=44)
    assert shown == ["the disk needed for each of these writes", "42 ms"]


def test_words_of_two_tones_without_a_space_between_stay_together() -> None:
    pieces = (Piece("x" * 38 + " (", "strong"), Piece("id", "muted"), Piece(")"))
    assert lines(Paragraph(pieces=pieces, indent=0)) == ["x" * 38, "(id)"]


def test_later_lines_of_a_paragraph_hang() -> None:
    shown = lines(Paragraph(pieces=(Piece("- " + "word " * 12),), indent=2, hanging=2))
    assert shown[0].startswith("  - word")
    assert all(line.startswith("    word") for line in shown[1:])


def test_a_command_is_never_broken() -> None:
    command = "kubelag fix apply cache-in-memory --directory /a/rather/long/path"
    assert lines(Verbatim(text=command)) == [f"    {command}"]


@given(st.text(), st.integers(-5, 300))
def test_nothing_but_a_long_word_overruns_the_line(text: str, columns: int) -> None:
    room = min(max(columns, 40), 120)
    for line in lines(Paragraph(pieces=(Piece(text),)), columns=columns):
        assert width(line) <= room or " " not in line.strip()


def test_the_last_cell_of_a_row_flows_below_itself() -> None:
    rows = ((Piece("a"), Piece("word " * 9)), (Piece("long"), Piece("b")))
    assert lines(Grid(rows=rows)) == [
        "  a     word word word word word word",
        "        word word word",
        "  long  b",
    ]


def test_bars_are_on_one_scale_and_what_is_there_shows() -> None:
    rows = (
        Bar(label="all", figures=("1 s",), fraction=1.0),
        Bar(label="half", figures=("2 s",), fraction=0.5),
        Bar(label="sliver", figures=("3 s",), fraction=0.0001),
        Bar(label="none", figures=("4 s",), fraction=0.0),
        Bar(label="rest", figures=("5 s",), fraction=0.25, tone="rest"),
    )
    bars = [line[15:] for line in lines(Bars(rows=rows), columns=47)]
    assert bars == ["━" * 32, "━" * 16, "╸", "", "╍" * 8]


def test_bars_give_way_where_there_is_no_room() -> None:
    row = Bar(label="a label that is much too long", figures=("1.00 s", "[0.9–1.1 s]"), fraction=1)  # noqa: RUF001 - an en dash means a range
    assert "━" not in "".join(lines(Bars(rows=(row,))))


def test_a_long_label_flows_beside_its_figures() -> None:
    row = Bar(label="opening, renaming and closing", figures=("1 s",), fraction=1.0)
    first, *more = lines(Bars(rows=(row,)))
    assert first.startswith("  opening,")
    assert "1 s" in first
    assert more == ["  renaming and", "  closing"]


@pytest.mark.parametrize("url", ["https://example.org/a", "javascript:x"])
def test_an_address_is_shown_where_it_cannot_be_clicked(url: str) -> None:
    hyperlinks = url.startswith("javascript")
    shown = lines(Link(title="the fix", url=url), hyperlinks=hyperlinks)
    assert shown == ["  the fix", f"    {url}"]


def test_a_title_that_can_be_clicked_hides_its_address() -> None:
    (line,) = _laid([Link(title="the fix", url="https://example.org/a")], 80, True)  # noqa: FBT003
    assert [span.url for span in line if span.text.strip()] == ["https://example.org/a"] * 2


def test_no_line_ends_in_white_space() -> None:
    rows = (Bar(label="a", figures=("1 s ", ""), fraction=None),)
    assert lines(Bars(rows=rows)) == ["  a  1 s"]
