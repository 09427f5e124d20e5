"""Damage of any kind reads as absence."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.kube.cache.sealed import (
    HEADER_BYTES,
    first_end,
    open_both,
    open_first,
    read_all,
    read_first,
    seal,
)

VERSION = 1
UID = os.geteuid()
NOW_S = 2e9
sections = st.binary(max_size=60)


@given(sections, sections)
def test_what_was_sealed_opens(first: bytes, second: bytes) -> None:
    data = seal(VERSION, first, second)
    assert open_both(data, VERSION) == (first, second)
    assert open_first(data, VERSION) == first


@given(sections, sections, st.data())
def test_one_flipped_bit_anywhere_is_noticed(
    first: bytes, second: bytes, at: st.DataObject
) -> None:
    data = bytearray(seal(VERSION, first, second))
    data[at.draw(st.integers(0, len(data) - 1))] ^= 1 << at.draw(st.integers(0, 7))
    assert open_both(bytes(data), VERSION) is None


@given(sections, sections, st.data())
def test_every_truncation_is_noticed_even_of_what_is_not_read(
    first: bytes, second: bytes, at: st.DataObject
) -> None:
    data = seal(VERSION, first, second)
    short = data[: at.draw(st.integers(0, len(data) - 1))]
    assert open_both(short, VERSION) is None
    assert open_first(short, VERSION) is None


@given(sections, sections, st.data())
def test_zeroes_from_anywhere_on_are_noticed(
    first: bytes, second: bytes, at: st.DataObject
) -> None:
    data = seal(VERSION, first, second)
    begin = at.draw(st.integers(0, len(data) - 1))
    zeroed = data[:begin] + bytes(len(data) - begin)
    assert zeroed == data or open_both(zeroed, VERSION) is None


@given(st.binary(max_size=200))
def test_arbitrary_bytes_open_as_nothing(data: bytes) -> None:
    assert open_first(data, VERSION) is None
    assert open_both(data, VERSION) is None


def test_another_version_is_not_read() -> None:
    assert open_first(seal(2, b"a"), VERSION) is None


def test_the_first_section_opens_without_the_second() -> None:
    data = seal(VERSION, b"first", b"second")
    end = first_end(data, VERSION)
    assert end == HEADER_BYTES + 5
    assert open_first(data[:end], VERSION, len(data)) == b"first"


def test_a_first_section_longer_than_one_read_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "f"
    first = os.urandom(200_000)
    path.write_bytes(seal(VERSION, first, b"second"))
    path.chmod(0o600)
    assert read_first(str(path), VERSION, UID, NOW_S) == first


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_not_read(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "f"
    path.write_bytes(seal(VERSION, b"a"))
    path.chmod(mode)
    assert read_first(str(path), VERSION, UID, NOW_S) is None
    assert read_all(str(path), VERSION, UID, NOW_S) is None


def test_a_file_from_the_future_or_of_somebody_else_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(seal(VERSION, b"a"))
    path.chmod(0o600)
    os.utime(path, (NOW_S + 61, NOW_S + 61))
    assert read_first(str(path), VERSION, UID, NOW_S) is None
    assert read_first(str(path), VERSION, UID, NOW_S + 2) == b"a"
    assert read_first(str(path), VERSION, UID + 1, NOW_S + 2) is None


def test_a_link_a_pipe_a_directory_and_nothing_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(seal(VERSION, b"a"))
    (tmp_path / "link").symlink_to("f")
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "directory").mkdir(0o700)
    for name in ("link", "pipe", "directory", "nothing", "a\0b"):
        assert read_first(f"{tmp_path}/{name}", VERSION, UID, NOW_S) is None
