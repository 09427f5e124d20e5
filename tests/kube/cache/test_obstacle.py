"""A glance tells why a cache cannot be written, without writing."""

import os
from pathlib import Path

import pytest

from kubelag.kube.cache.obstacle import obstacle
from kubelag.kube.cache.place import Place


def place(root: Path, uid: int | None = None) -> Place:
    own = os.geteuid() if uid is None else uid
    return Place(root=str(root), relative="host_6443", server="https://host:6443", uid=own)


def test_an_empty_place_is_no_obstacle(tmp_path: Path) -> None:
    assert obstacle(place(tmp_path / "not" / "there")) == ""
    assert not (tmp_path / "not").exists()


def test_somebody_elses_cache_is_one(tmp_path: Path) -> None:
    why = obstacle(place(tmp_path, uid=os.geteuid() + 1))
    assert why.startswith(f"{tmp_path}: it belongs to user {os.geteuid()}")


def test_a_cache_that_others_may_write_to_is_one(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert obstacle(place(tmp_path)) == f"{tmp_path}: others may write to it (mode 0777)"


def test_a_file_in_the_way_is_one(tmp_path: Path) -> None:
    (tmp_path / "discovery").write_text("x")
    assert obstacle(place(tmp_path)).endswith("discovery/host_6443: Not a directory")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"f_bavail": 0, "f_bfree": 0}, "no space left on device"),
        ({"f_ffree": 0, "f_files": 10}, "no space left on device"),
        ({"f_flag": os.ST_RDONLY}, "its file system is read-only"),
        ({"f_blocks": 0, "f_bfree": 0, "f_bavail": 0, "f_files": 0, "f_ffree": 0}, ""),
    ],
)
def test_a_full_or_read_only_file_system_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, int], said: str
) -> None:
    real = os.statvfs(tmp_path)
    blocks = ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail")
    names = (*blocks, "f_files", "f_ffree", "f_favail", "f_flag", "f_namemax")
    fields = [changed.get(name, getattr(real, name)) for name in names]
    monkeypatch.setattr(os, "statvfs", lambda _path: os.statvfs_result(fields))
    assert obstacle(place(tmp_path)) == (f"{tmp_path}: {said}" if said else "")
