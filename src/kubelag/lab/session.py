"""The lab that `kubelag lab up` leaves standing: one slow directory, one control plane."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kubelag.errors import LabError
from kubelag.lab.control_plane.embedded import start_embedded
from kubelag.lab.control_plane.envtest import start_envtest
from kubelag.lab.control_plane.handle import ControlPlane, attach
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.private_files import make_private_directory
from kubelag.lab.slow_directory import Kind as DiskKind
from kubelag.lab.slow_directory import SlowDirectory, open_slow_directory, why_no_slow_disk
from kubelag.lab.state import JOURNAL, STATE_VARIABLE, Ledger, reap_abandoned, state_directory

ControlPlaneKind = Literal["embedded", "envtest"]
_UP = "up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the lab is to be."""

    control_plane: ControlPlaneKind = "embedded"
    options: ControlPlaneOptions = field(default_factory=ControlPlaneOptions)
    disk: DiskKind | Literal["none"] = "auto"
    fsync_ms: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """A lab that is up."""

    url: str
    version: str
    kubeconfig: str
    home: str
    """A home directory on the slow disk, for caches."""
    disk: str
    """One sentence."""
    state: str
    """Where the lab is written down, which a changed HOME must not hide."""
    is_running: bool

    def environment(self) -> dict[str, str]:
        """What a shell needs to use it."""
        return {"KUBECONFIG": self.kubeconfig, "HOME": self.home, STATE_VARIABLE: self.state}


def bring_up(wish: Wish, environment: Mapping[str, str], say: Callable[[str], None]) -> Lab:
    """Bring the lab up, after taking away what a crashed one left.

    Raises:
        LabError: It is up already, or a part is missing; nothing is left behind then.
    """
    for left in reap_abandoned(_state(environment)):
        say(f"cleaned up what {left.name} had left behind")
    ledger = Ledger.open(_state(environment) / _UP)
    if ledger.completed is not None:
        ledger.close()
        raise LabError("The lab is up already", "see: kubelag lab status; or: kubelag lab down")
    try:
        lab = _build(wish, ledger, say)
    except BaseException:
        ledger.reap()
        ledger.close()
        raise
    ledger.close()
    return lab


def look(environment: Mapping[str, str]) -> Lab | None:
    """The lab that is up, None where none is."""
    directory = _state(environment) / _UP
    if not (directory / JOURNAL).exists():
        return None
    ledger = Ledger.open(directory)
    facts = ledger.completed
    ledger.close()
    return None if facts is None else _lab(facts)


def take_down(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Take everything away that any lab of this user made, crashed ones included.

    Returns:
        The names of the labs that were taken down.
    """
    state = _state(environment)
    taken = [left.name for left in reap_abandoned(state)]
    if (state / _UP / JOURNAL).exists():
        with Ledger.open(state / _UP):
            taken.append(_UP)
    return tuple(taken)


def start_control_plane(
    directory: Path, kind: ControlPlaneKind, options: ControlPlaneOptions, ledger: Ledger
) -> ControlPlane:
    """Start one in a new directory, written down so that it can always be taken away."""
    ledger.will_make("directory", path=os.fspath(directory))
    start = start_envtest if kind == "envtest" else start_embedded
    # Marked, so that the servers are found even if we die before writing them down.
    running = start(directory, options, daemon=True, mark=ledger.environment)
    for process in running.processes.values():
        ledger.made_process(process)
    return running


def open_disk(wish: Wish, ledger: Ledger, say: Callable[[str], None]) -> SlowDirectory | None:
    """The slow directory, None where none is wanted or possible (which is said aloud)."""
    if wish.disk == "none":
        return None
    if wish.disk == "auto" and (obstacle := why_no_slow_disk()):
        say(obstacle)
        return None
    return open_slow_directory(
        ledger.directory / "disk", fsync_ms=wish.fsync_ms, kind=wish.disk, ledger=ledger
    )


def _build(wish: Wish, ledger: Ledger, say: Callable[[str], None]) -> Lab:
    say("making the slow disk")
    disk = open_disk(wish, ledger, say)
    say(f"the disk is {disk.describe}" if disk else "the disk is the ordinary one")
    say(f"starting the {wish.control_plane} control plane")
    control_plane = start_control_plane(
        ledger.directory / "control-plane", wish.control_plane, wish.options, ledger
    )
    home = (disk.path if disk else ledger.make_directory(ledger.directory / "plain")) / "home"
    home.mkdir(mode=0o700)
    facts = {
        "directory": os.fspath(control_plane.directory),
        "home": os.fspath(home),
        "disk": disk.describe if disk else "the ordinary disk",
        "state": os.fspath(ledger.directory.parent),
    }
    ledger.complete(**facts)
    return _lab(facts)


def _lab(facts: Mapping[str, Any]) -> Lab:
    control_plane = attach(Path(facts["directory"]))
    return Lab(
        url=control_plane.url,
        version=control_plane.version,
        kubeconfig=os.fspath(control_plane.kubeconfig()),
        home=facts["home"],
        disk=facts["disk"],
        state=facts["state"],
        is_running=control_plane.is_running() and Path(facts["home"]).is_dir(),
    )


def _state(environment: Mapping[str, str]) -> Path:
    return make_private_directory(state_directory(environment, is_root=os.geteuid() == 0))
