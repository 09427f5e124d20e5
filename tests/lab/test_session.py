"""The lab that stays up: found again, taken down, and never half there."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from kubelag.errors import LabError
from kubelag.lab.control_plane.envtest import ASSETS_VARIABLE
from kubelag.lab.mounts import mounts_below
from kubelag.lab.private_files import make_private_directory
from kubelag.lab.processes import end, find_marked
from kubelag.lab.session import Lab, Wish, bring_up, look, take_down
from kubelag.lab.slow_directory import why_no_slow_disk
from kubelag.lab.state import JOURNAL, STATE_VARIABLE, Ledger

pytestmark = pytest.mark.real
PLAIN = Wish(disk="none")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """Where the lab is written down; whatever a test leaves there is taken away."""
    state = tmp_path / "state"
    yield state
    take_down({STATE_VARIABLE: str(state)})


@pytest.fixture
def environment(state: Path) -> Mapping[str, str]:
    return {STATE_VARIABLE: str(state)}


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def lab(environment: Mapping[str, str], said: list[str]) -> Lab:
    """A lab with the disk that is possible here."""
    return bring_up(Wish(fsync_ms=5), environment, said.append)


def token_of(state: Path) -> str:
    return (state / "up" / JOURNAL).read_text().split('"token": "')[1].split('"')[0]


def assert_nothing_left(state: Path, token: str) -> None:
    assert find_marked(token) == ()
    assert mounts_below(state) == ()
    assert list(state.iterdir()) == []


def test_a_lab_is_found_again_by_whoever_has_its_environment(
    lab: Lab, environment: Mapping[str, str], state: Path
) -> None:
    assert lab.is_running
    assert look(environment) == lab
    assert look(lab.environment()) == lab
    assert Path(lab.home).is_relative_to(state)
    token = token_of(state)
    assert take_down(lab.environment()) == ("up",)
    assert look(environment) is None
    assert_nothing_left(state, token)


def test_the_slow_disk_is_told(lab: Lab, said: list[str]) -> None:
    if obstacle := why_no_slow_disk():
        pytest.skip(obstacle)
    assert f"the disk is {lab.disk}" in said
    assert "one fsync takes" in lab.disk


def test_a_second_lab_is_refused_and_the_first_stays_as_it_is(
    environment: Mapping[str, str],
) -> None:
    first = bring_up(PLAIN, environment, print)
    with pytest.raises(LabError, match=r"up already.*lab down"):
        bring_up(PLAIN, environment, print)
    assert look(environment) == first


def test_what_is_down_is_taken_down_once_more_without_complaint(
    environment: Mapping[str, str],
) -> None:
    assert take_down(environment) == ()
    bring_up(PLAIN, environment, print)
    assert take_down(environment) == ("up",)
    assert take_down(environment) == ()


def test_a_lab_whose_server_is_gone_is_broken_and_can_be_taken_down(
    environment: Mapping[str, str], state: Path
) -> None:
    bring_up(PLAIN, environment, print)
    token = token_of(state)
    end(find_marked(token))
    broken = look(environment)
    assert broken
    assert not broken.is_running
    assert take_down(environment) == ("up",)
    assert_nothing_left(state, token)


def test_a_part_that_does_not_come_up_leaves_nothing(
    environment: Mapping[str, str], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kubelag.lab.control_plane.embedded.SERVER_MODULE", "no.such.module")
    with pytest.raises(LabError, match="ended before it was ready"):
        bring_up(PLAIN, environment, print)
    assert list(state.iterdir()) == []


KILLED = """
import os, signal, sys
from kubelag.lab.control_plane import embedded, envtest
from kubelag.lab.session import Wish, bring_up
from kubelag.lab.state import Ledger

kind, disk, last = sys.argv[1], sys.argv[2], sys.argv[3]

def kill_me(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def say(text):
    if text.startswith(last):
        kill_me()

if last == "wait_ready":
    embedded.wait_ready = envtest.wait_ready = kill_me
if last == "complete":
    Ledger.complete = kill_me
bring_up(Wish(control_plane=kind, disk=disk, fsync_ms=5), os.environ, say)
"""


def kill_while_coming_up(state: Path, kind: str, disk: str, last: str) -> str:
    """A lab that was killed at this point; returns its mark."""
    done = subprocess.run(
        (sys.executable, "-c", KILLED, kind, disk, last),
        env=os.environ | {STATE_VARIABLE: str(state)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    return token_of(state)


@pytest.mark.parametrize(
    ("kind", "disk", "last"),
    [
        ("embedded", "auto", "the disk is"),
        ("embedded", "none", "wait_ready"),
        ("embedded", "auto", "complete"),
        pytest.param(
            *("envtest", "none", "wait_ready"),
            marks=pytest.mark.skipif(
                not os.environ.get(ASSETS_VARIABLE), reason=f"{ASSETS_VARIABLE} is not set"
            ),
        ),
    ],
)
def test_after_a_crash_the_lab_is_not_up_and_comes_up_all_the_same(
    environment: Mapping[str, str], said: list[str], kind: str, disk: str, last: str
) -> None:
    state = Path(environment[STATE_VARIABLE])
    if disk == "auto" and (obstacle := why_no_slow_disk()):
        pytest.skip(obstacle)
    token = kill_while_coming_up(state, kind, disk, last)
    assert look(environment) is None
    assert bring_up(PLAIN, environment, said.append).is_running
    assert said[0] == "cleaned up what up had left behind"
    assert find_marked(token) == ()
    assert mounts_below(state) == ()


def test_a_lab_that_is_coming_up_is_left_alone(environment: Mapping[str, str], state: Path) -> None:
    with Ledger.open(make_private_directory(state) / "up") as busy:
        busy.make_directory(state / "half")
        with pytest.raises(LabError, match="Another lab is at work"):
            bring_up(PLAIN, environment, print)
        assert (state / "half").exists()
