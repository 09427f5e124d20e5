"""Plays one fault and has it explained, as a user would: does the right cause come out?"""

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kubelag.engine.explain import Explained, Teller, Wish, explain
from kubelag.errors import LabError
from kubelag.lab.control_plane.handle import ControlPlane
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.debian_client import unpack_kubectl
from kubelag.lab.faults.contract import Fault, LabParts, Scene
from kubelag.lab.private_files import make_private_directory
from kubelag.lab.session import start_control_plane
from kubelag.lab.state import Ledger, state_directory
from kubelag.observe.other_clients import find_kubectls, newest

_OLD_VERSION = "1.20.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """A fault that was explained."""

    scene: Scene
    explained: Explained


@contextmanager
def rehearsed(
    fault: Fault, environment: Mapping[str, str], teller: Teller, budget_s: float | None
) -> Iterator[Rehearsed]:
    """Make it slow, explain it, hand over what came out, and then make it as before.

    In this order, so that what was found is told even where something does not go away.

    Raises:
        LabError: The fault is impossible here, or a part is missing.
    """
    if obstacle := fault.obstacle():
        raise LabError(f"{fault.id} cannot be shown here: {obstacle}", "kubelag lab run lists all")
    with _parts(environment) as parts:
        teller.stage(f"making the fault {fault.id}")
        with fault.inject(parts) as scene:
            wish = Wish(
                argv=scene.command,
                env=scene.environment,
                cold=scene.cold,
                budget_s=budget_s,
                cgroup_procs=tuple(os.fspath(path) for path in scene.cgroup_procs),
            )
            yield Rehearsed(scene=scene, explained=explain(wish, teller))


@contextmanager
def _parts(environment: Mapping[str, str]) -> Iterator[LabParts]:
    state = make_private_directory(state_directory(environment, is_root=os.geteuid() == 0))
    with Ledger.open(state / f"run-{uuid.uuid4().hex[:8]}") as ledger:
        directory = ledger.make_directory(ledger.directory / "parts")

        def start(options: ControlPlaneOptions) -> ControlPlane:
            place = directory / f"control-plane-{ledger.mark()}"
            return start_control_plane(place, "embedded", options, ledger)

        yield LabParts(
            directory=directory,
            ledger=ledger,
            kubectl=_newest(environment),
            find_old_kubectl=cache(lambda: _old(environment)),
            start_control_plane=start,
        )


def _newest(environment: Mapping[str, str]) -> Path:
    found = newest(find_kubectls(environment))
    return Path(found.path) if found else unpack_kubectl(_OLD_VERSION, environment).path


def _old(environment: Mapping[str, str]) -> Path | None:
    try:
        return unpack_kubectl(_OLD_VERSION, environment).path
    except LabError:
        return None
