"""Renames in one step: two names swapped, and no name taken from anybody."""

import errno
import os
from pathlib import Path

import pytest

from kubelag import renaming
from kubelag.renaming import exchange, rename_to_new


@pytest.fixture
def old_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that knows neither way."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(renaming, "_renameat2", refuse)


@pytest.fixture
def one(tmp_path: Path) -> Path:
    (tmp_path / "one").mkdir()
    (tmp_path / "one/file").touch()
    return tmp_path / "one"


def test_a_directory_and_a_link_swap_their_names(one: Path) -> None:
    other = one.with_name("other")
    other.symlink_to("/nowhere")
    assert exchange(one, other)
    assert (other / "file").exists()
    assert str(one.readlink()) == "/nowhere"


def test_what_is_not_there_cannot_be_swapped(one: Path) -> None:
    with pytest.raises(FileNotFoundError):
        exchange(one, one.with_name("missing"))


@pytest.mark.usefixtures("old_file_system")
def test_a_file_system_that_cannot_swap_changes_nothing(one: Path) -> None:
    other = one.with_name("other")
    other.touch()
    assert not exchange(one, other)
    assert other.is_file()


def test_a_new_name_is_given(one: Path) -> None:
    rename_to_new(one, one.with_name("new"))
    assert (one.with_name("new") / "file").exists()


def test_a_dangling_link_keeps_its_name(one: Path) -> None:
    taken = one.with_name("taken")
    taken.symlink_to("/nowhere")
    with pytest.raises(FileExistsError):
        rename_to_new(one, taken)
    assert taken.is_symlink()
    assert one.is_dir()


@pytest.mark.usefixtures("old_file_system")
def test_an_old_file_system_gives_a_new_name_and_takes_none_away(one: Path) -> None:
    rename_to_new(one, one.with_name("new"))
    one.with_name("taken").touch()
    with pytest.raises(OSError, match="Invalid argument"):
        rename_to_new(one.with_name("new"), one.with_name("taken"))
