"""Client versions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.kube.versions import FIXED_FSYNC, Version, has_fsync_fix, parse_version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v1.20.2", Version(1, 20, 2)),
        ("1.32.4-dispatcher", Version(1, 32, 4)),
        ("1.20.5+really1.20.2", Version(1, 20, 2)),
        ("v1.27.16+k3s1", Version(1, 27, 16)),
        ("1.32+", Version(1, 32, 0)),
        ("v1.36.0-rc.1", Version(1, 36, 0)),
        ("", None),
        ("dev", None),
    ],
)
def test_a_version_is_read_as_the_client_writes_it(text: str, version: Version | None) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize(
    ("text", "has_fix"),
    [("v1.24.17", False), ("v1.25.0", True), ("1.36.4", True), ("1.20.5+really1.20.2", False)],
)
def test_the_fsync_fix_came_with_1_25(text: str, has_fix: bool) -> None:
    assert has_fsync_fix(text) is has_fix


def test_an_unknown_version_is_neither_fixed_nor_unfixed() -> None:
    assert has_fsync_fix(None) is None


@given(st.tuples(*[st.integers(0, 999)] * 3))
def test_a_version_survives_being_written_and_read(numbers: tuple[int, int, int]) -> None:
    version = Version(*numbers)
    assert parse_version(str(version)) == version
    assert (version >= FIXED_FSYNC) == (numbers >= (1, 25, 0))
