"""What is done to whole columns at once, against the plain way of doing it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kubelag.observe.capture.frames import running_maximum
from kubelag.observe.capture.hellos import server_hello
from kubelag.observe.capture.table import Table, firsts

CROWDED = st.integers(0, 3).flatmap(
    lambda high: st.integers(0, 5).map(lambda low: high << 62 | low)
)
"""Keys of which many differ in their lowest bits only, as those of crowded places do."""


@given(st.lists(CROWDED))
def test_each_key_is_met_where_it_stands_first(keys: list[int]) -> None:
    found = firsts(np.array(keys, np.uint64))
    assert found.tolist() == sorted({keys.index(key) for key in keys})


@given(st.lists(CROWDED), st.lists(CROWDED))
def test_keys_of_one_place_keep_their_own_numbers(known: list[int], asked: list[int]) -> None:
    table = Table()
    numbers = {key: number for number, key in enumerate(dict.fromkeys(known))}
    for key, number in numbers.items():
        table.set(key, number)
    found, is_known = table.numbers(np.array(asked, np.uint64))
    assert is_known.tolist() == [key in numbers for key in asked]
    assert [n for n, is_it in zip(found.tolist(), is_known, strict=True) if is_it] == [
        numbers[key] for key in asked if key in numbers
    ]


@given(st.lists(st.integers(-(1 << 62), 1 << 62), min_size=1))
def test_the_largest_so_far_is_that(column: list[int]) -> None:
    found = running_maximum(np.array(column, np.int64))
    assert found.tolist() == [max(column[: at + 1]) for at in range(len(column))]


def test_what_follows_a_servers_hello_in_its_record_is_none_of_its_extensions() -> None:
    """TLS 1.2 may put the certificate into the same record."""
    hello = bytes.fromhex("0200002e0303") + bytes(32) + bytes.fromhex("00c02f000006ff01000201ff")
    other = bytes.fromhex("001000050003026832")  # reads as ALPN: h2
    assert server_hello(hello + other).protocol == ""
