"""A HA lab that is killed anywhere while it comes up leaves nothing behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from kubelag.lab.ha.building import why_no_ha
from kubelag.lab.mounts import mounts_below
from kubelag.lab.processes import find_marked
from kubelag.lab.session import Wish, bring_up, find_ha, look, take_down
from kubelag.lab.state import JOURNAL, STATE_VARIABLE

pytestmark = pytest.mark.real

KILLED = """
import os, signal, sys
from kubelag.lab.ha import building
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.network.impair import cable
from kubelag.lab.network.keepalived import Keepalived
from kubelag.lab.session import Wish, bring_up
from kubelag.lab.state import Ledger

last = sys.argv[1]

def kill_me(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def say(text):
    if text.startswith(last):
        kill_me()

if last == "plugged in":
    cable.send_plain_frames = kill_me
if last == "dns":
    building._start_names = kill_me
if last == "keepalived":
    Keepalived.start = kill_me
if last == "usable":
    building._wait_usable = kill_me
if last == "complete":
    Ledger.complete = kill_me
if last == "unrecorded":  # a process that runs and is not written down
    Ledger.made_process = kill_me
bring_up(Wish(topology="ha"), os.environ, say)
"""


@pytest.fixture(autouse=True)
def _possible() -> None:
    if obstacle := why_no_ha():
        pytest.skip(f"no HA lab here: {obstacle}")


def kill_while_coming_up(environment: Mapping[str, str], last: str) -> str:
    """A lab that was killed at this point; returns its mark."""
    done = subprocess.run(
        (sys.executable, "-c", KILLED, last),
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    journal = (Path(environment[STATE_VARIABLE]) / "up" / JOURNAL).read_text()
    return journal.split('"token": "')[1].split('"')[0]


def left(state: Path, token: str) -> list[object]:
    """Namespaces, processes, mounts and files."""
    namespaces = Path("/run/netns").glob(f"*{token[:6]}*")
    return [*namespaces, *find_marked(token), *mounts_below(state), *state.glob("*")]


@pytest.mark.parametrize(
    "last",
    [
        *("making the hosts", "plugged in", "starting three", "unrecorded", "dns", "keepalived"),
        *("usable", "complete"),
    ],
)
def test_nothing_is_left_of_a_lab_that_was_killed(tmp_path: Path, last: str) -> None:
    environment = {STATE_VARIABLE: str(tmp_path / "state")}
    token = kill_while_coming_up(environment, last)
    assert take_down(environment) == ("up",)
    assert left(tmp_path / "state", token) == []
    assert look(environment) is None


def test_after_a_crash_it_comes_up_all_the_same_and_goes_down(tmp_path: Path) -> None:
    environment = {STATE_VARIABLE: str(tmp_path / "state")}
    token, said = kill_while_coming_up(environment, "keepalived"), list[str]()
    try:
        lab = bring_up(Wish(topology="ha"), environment, said.append)
        assert said[0] == "cleaned up what up had left behind"
        assert lab.is_running
        assert look(environment) == lab
        assert find_marked(token) == ()
        found = find_ha(environment)
        assert found
        token = found.plan.mark["KUBELAG_LAB"]
    finally:
        assert take_down(environment) == ("up",)
    assert left(tmp_path / "state", token) == []
