"""Private caches: same file system, right state, nothing left, nothing of the user's touched."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from evidence import cache
from kubelag.experiments.contract import NotApplicableError
from kubelag.experiments.scratch import Scratch, sweep


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / ".kube/cache"
    (root / "discovery/h_1/v1").mkdir(parents=True)
    (root / "discovery/other_1").mkdir()
    (root / "discovery/h_1/v1/serverresources.json").write_text("{}")
    (root / "http").mkdir()
    (root / "http/aa").write_text("x")
    return root


def of(root: Path, state: str = "warm") -> Scratch:
    return Scratch(
        cache(
            root=str(root),
            real_root=str(root),
            state=state,
            host_directory=str(root / "discovery/h_1"),
        )
    )


def test_a_cold_place_is_empty_private_and_on_the_caches_file_system(root: Path) -> None:
    with of(root, "cold") as scratch:
        place = scratch.place("as_observed")
        assert place is not None
        assert list(place.iterdir()) == []
        assert place.stat().st_mode & 0o777 == 0o700
        assert place.stat().st_dev == root.stat().st_dev
        assert place.parent == root.parent


def test_a_warm_state_is_copied_with_its_times_and_only_for_this_server(root: Path) -> None:
    file = root / "discovery/h_1/v1/serverresources.json"
    os.utime(file, ns=(10**18, 10**18))
    with of(root) as scratch:
        scratch.snapshot(cold=False)
        file.unlink()
        place = scratch.place("as_observed")
        assert place is not None
        copied = place / "discovery/h_1/v1/serverresources.json"
        assert copied.stat().st_mtime_ns == 10**18
        assert (place / "http/aa").exists()
        assert not (place / "discovery/other_1").exists()


def test_a_cold_explanation_copies_nothing_of_the_users(root: Path) -> None:
    with of(root) as scratch:
        scratch.snapshot(cold=True)
        place = scratch.place("as_observed")
        assert place is not None
        assert list(place.iterdir()) == []


def test_everything_is_gone_afterwards_whatever_happened(root: Path) -> None:
    with suppress(KeyboardInterrupt), of(root) as scratch:
        made = scratch.place("as_observed")
        assert made is not None
        assert made.exists()
        raise KeyboardInterrupt
    assert not made.exists()
    assert sorted(path.name for path in root.parent.iterdir()) == ["cache"]


def test_what_a_killed_run_left_is_swept_and_what_a_living_one_uses_is_not(tmp_path: Path) -> None:
    dead, alive = tmp_path / ".kubelag-4194999-abc", tmp_path / f".kubelag-{os.getpid()}-abc"
    stranger = tmp_path / ".kubelag-notes"
    for path in (dead, alive, stranger):
        path.mkdir()
    sweep(tmp_path)
    assert (dead.exists(), alive.exists(), stranger.exists()) == (False, True, True)


def test_the_users_own_cache_is_used_only_where_it_is_asked_for(root: Path) -> None:
    with of(root, "unwritable") as scratch:
        assert scratch.place("own") is None


def test_where_nothing_can_be_written_it_says_so() -> None:
    nowhere = Scratch(cache(root="/proc/nowhere/cache", real_root="/proc/nowhere/cache"))
    with nowhere, pytest.raises(NotApplicableError, match="no writable directory"):
        nowhere._make(None)
