"""The user-space file system: which operation waits, by which parameter."""

import os
from pathlib import Path

import pytest

from kubelag.lab import passthrough
from kubelag.lab.passthrough import Latency, Passthrough


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every wait that is asked for, in seconds; none is waited."""
    seen: list[float] = []
    monkeypatch.setattr(passthrough.time, "sleep", seen.append)
    return seen


@pytest.fixture
def shown(tmp_path: Path) -> Passthrough:
    return Passthrough(str(tmp_path), Latency(fsync_ms=60, metadata_ms=2, flush_ms=7))


def test_a_cold_write_waits_for_lookups_create_sync_close_and_rename(
    shown: Passthrough, waits: list[float]
) -> None:
    shown.mkdir("/d", 0o700)
    with pytest.raises(FileNotFoundError):
        shown.getattr("/d/new")
    handle = shown.create("/d/new", 0o600, os.O_WRONLY)
    shown.write("/d/new", b"text", 0, handle)
    shown.fsync("/d/new", 0, handle)
    shown.flush("/d/new", handle)
    shown.release("/d/new", handle)
    shown.rename("/d/new", "/d/file")
    assert waits == [0.002, 0.002, 0.002, 0.06, 0.007, 0.002]


def test_an_open_file_is_looked_at_without_a_wait(shown: Passthrough, waits: list[float]) -> None:
    handle = shown.create("/file", 0o600, os.O_RDWR)
    waits.clear()
    assert shown.getattr("/file", handle)["st_size"] == 0
    shown.write("/file", b"text", 0, handle)
    assert shown.read("/file", 2, 1, handle) == b"ex"
    shown.release("/file", handle)
    assert waits == []


def test_without_a_latency_nothing_waits(tmp_path: Path, waits: list[float]) -> None:
    shown = Passthrough(str(tmp_path), Latency())
    shown.mkdir("/d", 0o700)
    shown.fsync("/d", 0, 0)
    assert waits == []
