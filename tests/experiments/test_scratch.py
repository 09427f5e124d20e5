"""Private caches: same file system, right state, nothing left, nothing of the user's touched."""

import errno
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from evidence import cache
from kubelag.experiments.contract import NotApplicableError
from kubelag.experiments.scratch import Scratch


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


def test_the_users_own_cache_is_used_only_where_it_is_asked_for(root: Path) -> None:
    with of(root, "unwritable") as scratch:
        assert scratch.place("own") is None


def no_space(_source: str, _target: str) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_half_a_copy_of_the_users_cache_is_none(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "copy2", no_space)
    with (
        of(root) as scratch,
        pytest.raises(NotApplicableError, match="there is no room for a copy"),
    ):
        scratch.snapshot(cold=False)
    assert sorted(path.name for path in root.parent.iterdir()) == ["cache"]


def test_half_a_copy_of_a_kept_cache_is_none(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with of(root) as scratch:
        scratch.snapshot(cold=False)
        monkeypatch.setattr(shutil, "copy2", no_space)
        with pytest.raises(NotApplicableError, match="there is no room for a copy"):
            scratch.place("as_observed")


def test_what_the_client_could_not_read_either_is_left_out(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copy2

    def closed(source: str, target: str) -> None:
        if source.endswith("serverresources.json"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        copy(source, target)

    monkeypatch.setattr(shutil, "copy2", closed)
    with of(root) as scratch:
        scratch.snapshot(cold=False)
        place = scratch.place("as_observed")
        assert place is not None
        names = {path.name for path in place.rglob("*") if path.is_file()}
    assert names == {"aa"}


def test_where_nothing_can_be_written_it_says_so() -> None:
    nowhere = Scratch(cache(root="/proc/nowhere/cache", real_root="/proc/nowhere/cache"))
    with nowhere, pytest.raises(NotApplicableError, match="no writable directory"):
        nowhere._make(None)


RESOURCES = "v1/serverresources.json"


@pytest.mark.parametrize(
    ("server", "renamed"),
    [
        ("https://10.0.0.1:6443", "discovery/10.0.0.1_6443"),
        ("https://[::1]:6443/k8s", "discovery/___1__6443/k8s"),
        ("https://h_1/below", "discovery/h_1/below"),
    ],
)
def test_a_warm_cache_bears_the_name_of_the_server_that_is_asked(
    root: Path, server: str, renamed: str
) -> None:
    with of(root) as scratch:
        scratch.snapshot(cold=False)
        place = scratch.place("as_observed", server=server)
        assert place is not None
        assert [str(path.relative_to(place)) for path in place.rglob(RESOURCES)] == [
            f"{renamed}/{RESOURCES}"
        ]
        assert (place / "http/aa").exists()
        again = scratch.place("as_observed")
        assert again is not None
        assert (again / "discovery/h_1" / RESOURCES).exists(), "the snapshot itself has its name"


def test_a_cold_cache_has_no_name_to_change(root: Path) -> None:
    with of(root, "cold") as scratch:
        place = scratch.place("as_observed", server="https://10.0.0.1:6443")
        assert place is not None
        assert list(place.iterdir()) == []


def test_a_cache_of_which_nobody_knows_the_name_is_not_renamed(root: Path) -> None:
    unnamed = cache(root=str(root), real_root=str(root), state="warm")
    with Scratch(unnamed) as scratch:
        scratch.snapshot(cold=False)
        with pytest.raises(NotApplicableError, match="cannot be told"):
            scratch.place("as_observed", server="https://10.0.0.1:6443")


@pytest.mark.parametrize("server", ["", "https://10.0.0.1:6443"])
def test_a_stub_lies_where_the_client_looks_for_it(root: Path, server: str) -> None:
    with of(root) as scratch:
        scratch.snapshot(cold=False)
        place = scratch.place("as_observed", server=server, stubs=["metrics.k8s.io/v1beta1"])
        assert place is not None
        host = "10.0.0.1_6443" if server else "h_1"
        stub = place / "discovery" / host / "metrics.k8s.io/v1beta1/serverresources.json"
        assert json.loads(stub.read_text()) == {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": "metrics.k8s.io/v1beta1",
            "resources": [],
        }


@pytest.mark.parametrize("name", ["../../v1", "/etc/v1", "a/b/c", "..", "a b/v1"])
def test_no_name_climbs_out_of_the_cache(root: Path, name: str) -> None:
    with of(root) as scratch, pytest.raises(NotApplicableError, match="no group-version"):
        scratch.place("as_observed", stubs=[name])


GROUPS = {
    "groups": [
        {"name": "", "versions": [{"groupVersion": "v1"}]},
        {"name": "gone", "versions": [{"groupVersion": "gone/v1"}, {"groupVersion": "../v1"}]},
        {"name": "none", "versions": None},
    ]
}


def test_the_gaps_of_a_copied_cache_are_filled(root: Path) -> None:
    (root / "discovery/h_1/servergroups.json").write_text(json.dumps(GROUPS))
    with of(root) as scratch:
        scratch.snapshot(cold=False)
        place = scratch.place("as_observed", fills_gaps=True)
        assert place is not None
        host = place / "discovery/h_1"
        assert json.loads((host / "gone" / RESOURCES).read_text())["resources"] == []
        assert (host / RESOURCES).read_text() == "{}", "what is there stays"
        assert len(list(place.rglob("serverresources.json"))) == 2


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"groups": [1]}', '{"groups": 1}', "\xff"])
def test_a_cache_without_a_list_has_no_gaps_to_fill(root: Path, content: str) -> None:
    (root / "discovery/h_1/servergroups.json").write_text(content, encoding="latin-1")
    with of(root) as scratch:
        scratch.snapshot(cold=False)
        with pytest.raises(NotApplicableError, match="no list of group-versions"):
            scratch.place("as_observed", fills_gaps=True)
