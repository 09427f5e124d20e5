import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.report.clean import clean, clean_url, width


@pytest.mark.parametrize(
    ("foreign", "harmless"),
    [
        ("plain [bold]text[/bold]", "plain [bold]text[/bold]"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;new title\x07name", "name"),
        ("\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\", "click"),
        ("\x1bP1;2q\x1b\\sixel", "sixel"),
        ("\x9b2Jgone", "gone"),
        ("\x1b]0;never ends", "0;never ends"),
        ("over\rwritten\nline", "over written line"),
        ("bell\x07 back\x08space \x7f", "bell backspace "),
        ("right\u202eto left\u2066", "rightto left"),
        ("file\udcff", "file\ufffd"),
        ("tab\tnbsp\u00a0", "tab nbsp "),
    ],
)
def test_foreign_text_loses_what_could_act_on_a_terminal(foreign: str, harmless: str) -> None:
    assert clean(foreign) == harmless


@given(st.text())
def test_clean_text_is_printable_and_stays_as_it_is(text: str) -> None:
    once = clean(text)
    assert once.isprintable()
    assert clean(once) == once
    assert not any(unicodedata.category(char) in {"Cc", "Cf", "Cs"} for char in once)


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "file:///etc/passwd", "https://a b", "https://x\x1b\\", ""]
)
def test_only_web_addresses_become_links(url: str) -> None:
    assert clean_url(url) == ""


def test_a_web_address_is_a_link() -> None:
    assert clean_url("https://kubernetes.io/docs/#a") == "https://kubernetes.io/docs/#a"


def test_width_counts_columns_and_not_characters() -> None:
    assert width("节点") == 4
    assert width("e\N{COMBINING ACUTE ACCENT}") == 1
    assert width("node") == 4
