"""The lab that `kubelag lab up` leaves standing.

Topology `single` is one slow directory and one control plane; `ha` is `kubelag.lab.ha`.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kubelag.errors import LabError
from kubelag.lab.control_plane.embedded import start_embedded
from kubelag.lab.control_plane.envtest import start_envtest
from kubelag.lab.control_plane.handle import ControlPlane, attach
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.ha import building, lab, switches
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.plan import PLAN_FILE
from kubelag.lab.private_files import make_private_directory
from kubelag.lab.slow_directory import Kind as DiskKind
from kubelag.lab.slow_directory import SlowDirectory, open_slow_directory, why_no_slow_disk
from kubelag.lab.state import JOURNAL, STATE_VARIABLE, Ledger, reap_abandoned, state_directory

ControlPlaneKind = Literal["embedded", "envtest"]
Topology = Literal["single", "ha"]
_UP = "up"
_HA: Literal["ha"] = "ha"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the lab is to be."""

    topology: Topology = "single"
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
    topology: Topology = "single"
    fault: str = ""
    """The fault that is on; HA lab only."""

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
        built = _build_ha(wish, ledger, say) if wish.topology == _HA else _build(wish, ledger, say)
    except BaseException:
        ledger.reap()
        ledger.close()
        raise
    ledger.close()
    return built


def look(environment: Mapping[str, str]) -> Lab | None:
    """The lab that is up, None where none is."""
    directory = _state(environment) / _UP
    if not (directory / JOURNAL).exists():
        return None
    if (directory / _HA / PLAN_FILE).exists():  # which others may use while a fault is explained
        return _ha_lab(lab.attach(directory / _HA))
    ledger = Ledger.open(directory)
    facts = ledger.completed
    ledger.close()
    return None if facts is None else _lab(facts)


def find_ha(environment: Mapping[str, str]) -> HaLab | None:
    """The HA lab that is up, to be looked at and used; None where none is."""
    directory = _state(environment) / _UP / _HA
    return lab.attach(directory) if (directory / PLAN_FILE).exists() else None


@contextmanager
def hold_ha(environment: Mapping[str, str]) -> Iterator[HaLab]:
    """The HA lab that is up, to be hurt and healed; nobody else can meanwhile.

    Raises:
        LabError: None is up, or somebody else holds it.
    """
    found = find_ha(environment)
    if found is None:
        raise LabError("No HA lab is up", "bring one up: kubelag lab up --topology ha")
    ledger = Ledger.open(found.directory.parent)
    try:
        yield lab.attach(found.directory, ledger)
    finally:
        ledger.close()


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


def _build_ha(wish: Wish, ledger: Ledger, say: Callable[[str], None]) -> Lab:
    if wish.disk not in ("auto", "none"):
        raise LabError(
            "The HA lab has no slow disk of its own",
            "bring it up without --disk, then: kubelag lab fault incident on",
        )
    built = building.build(ledger, wish.control_plane, wish.options, say)
    ledger.complete(topology=_HA)
    return _ha_lab(built)


def _ha_lab(ha: HaLab) -> Lab:
    on = switches.switched_on(ha.directory)
    return Lab(
        topology=_HA,
        url=ha.url,
        version=ha.members[0].version,
        kubeconfig=os.fspath(ha.kubeconfig()),
        home=os.fspath(ha.home),
        disk="the ordinary disk",
        state=os.fspath(ha.directory.parent.parent),
        is_running=ha.is_running(),
        fault=on.fault if on else "",
    )


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
