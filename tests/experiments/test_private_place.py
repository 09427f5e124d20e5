"""Private directories: safe where they lie, and swept when their process is gone."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from kubelag.experiments.private_place import memory_place, own_prefix, sweep
from kubelag.experiments.scratch import Scratch


def test_what_a_killed_run_left_is_swept_and_what_a_living_one_uses_is_not(tmp_path: Path) -> None:
    alive = tmp_path / f"{own_prefix()}abc"
    dead = tmp_path / alive.name.replace(f"-{os.getpid()}-", "-4194999-")
    elsewhere = tmp_path / ".kubelag-0123abcd-4194999-abc"
    stranger = tmp_path / ".kubelag-notes"
    old = tmp_path / ".kubelag-0123abcd-4194999-old"
    for path in (dead, alive, elsewhere, stranger, old):
        path.mkdir()
    os.utime(old, (1, 1))
    os.utime(stranger, (1, 1))
    sweep(tmp_path)
    assert not dead.exists()
    assert not old.exists()
    assert all(path.exists() for path in (alive, elsewhere, stranger))


_KILLED = """
import os, signal
from kubelag.experiments.workshop import Workshop
from kubelag.kube.secret import Secret
print(Workshop().kubeconfig(Secret(b"planted")), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_credentials_that_a_killed_run_left_in_memory_go_before_anything_is_run() -> None:
    killed = subprocess.run([sys.executable, "-c", _KILLED], stdout=subprocess.PIPE, check=False)
    left = Path(killed.stdout.decode().strip())
    assert killed.returncode == -signal.SIGKILL
    assert left.read_bytes() == b"planted", "nobody could have removed it yet"
    with Scratch(None):
        assert not left.parent.exists()


def test_an_id_that_came_to_another_process_keeps_nothing_for_ever(tmp_path: Path) -> None:
    reused = tmp_path / f"{own_prefix()}abc"
    reused.mkdir()
    sweep(tmp_path)
    assert reused.exists(), "it may be in use"
    os.utime(reused, (0, 0))
    sweep(tmp_path)
    assert not reused.exists()


@pytest.mark.parametrize(
    ("mode", "is_good"),
    [(0o700, True), (0o755, True), (0o1777, True), (0o777, False), (0o770, False)],
)
def test_where_others_could_put_their_own_in_its_place_nothing_is_kept(
    monkeypatch: pytest.MonkeyPatch, mode: int, is_good: bool
) -> None:
    usual = memory_place()
    if usual is None:
        pytest.skip("there is no tmpfs here that we may write to")
    with tempfile.TemporaryDirectory(dir=usual) as place:
        Path(place).chmod(mode)
        monkeypatch.setenv("XDG_RUNTIME_DIR", place)
        assert (memory_place() == Path(place)) == is_good
