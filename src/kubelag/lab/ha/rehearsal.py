"""Plays one fault of the HA lab and has it explained on the client's node, as a user would there.

What explains is the program `kubelag explain` itself, in a process on that node: it sees only what
an operator at that machine could see. Judged is what it saved.
"""

import os
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kubelag.bundle import load
from kubelag.causes.catalogue import all_causes
from kubelag.engine.reporting import judge, report_on
from kubelag.errors import LabError
from kubelag.lab import session
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.faults.contract import HaFault, Scene
from kubelag.lab.ha.building import build
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.scenes import explain_words
from kubelag.lab.ha.switches import switch_off, switch_on, switched_on
from kubelag.lab.private_files import make_private_directory
from kubelag.lab.processes import python_argv
from kubelag.lab.state import Ledger, state_directory
from kubelag.launch.holding import endings_held_back
from kubelag.model.report import Report
from kubelag.remedies.catalogue import advise

LAST_WORDS_S = 30.0
"""How long `kubelag explain` may take to report after Ctrl-C. Arbitrary; it takes a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How the fault is to be explained."""

    save: Path | None = None
    """Where the bundle is kept; None for nowhere."""
    options: tuple[str, ...] = ()
    """Options for `kubelag explain`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsedHa:
    """A fault that was explained."""

    scene: Scene
    seen: str
    """The sentence that showed it act."""
    component: tuple[str, ...]
    """Names of the guilty part, one of which must have been named."""
    report: Report
    exit_code: int
    """Of `kubelag explain`."""


@contextmanager
def rehearsed_ha(
    fault: HaFault, environment: Mapping[str, str], wish: Wish, say: Callable[[str], None]
) -> Iterator[RehearsedHa]:
    """Switch it on, see that it acts, explain it, hand over what came out, and switch it off.

    In this order, so that what was found is told even where something does not go away. The HA lab
    that is up is used; where none is, one is brought up for the run.

    Raises:
        LabError: It cannot be made, does not act, or could not be explained.
    """
    with _lab_for(environment, say) as ha:
        say(f"making the fault {fault.id}")
        with _switched_on(ha, fault) as seen:
            say(seen)
            scene = fault.scene(ha)
            bundle = wish.save or _passing_place(ha)
            exit_code = _explain(ha, scene, bundle.absolute(), wish.options)
            yield RehearsedHa(
                scene=scene,
                seen=seen,
                component=fault.component(ha),
                report=_report(bundle),
                exit_code=exit_code,
            )


@contextmanager
def _lab_for(environment: Mapping[str, str], say: Callable[[str], None]) -> Iterator[HaLab]:
    if session.find_ha(environment) is not None:
        with session.hold_ha(environment) as ha:
            if on := switched_on(ha.directory):
                raise LabError(
                    f"The fault {on.fault} is on in the lab that is up",
                    f"first: kubelag lab fault {on.fault} off",
                )
            yield ha
        return
    state = make_private_directory(state_directory(environment, is_root=os.geteuid() == 0))
    with Ledger.open(state / f"run-{uuid.uuid4().hex[:8]}") as ledger:
        yield build(ledger, "embedded", ControlPlaneOptions(), say)


@contextmanager
def _switched_on(ha: HaLab, fault: HaFault) -> Iterator[str]:
    seen = switch_on(ha, fault)
    try:
        yield seen
    finally:
        with endings_held_back():
            switch_off(ha, fault)


def _explain(ha: HaLab, scene: Scene, bundle: Path, options: tuple[str, ...]) -> int:
    """Run `kubelag explain` on the client's node; what it prints goes where ours goes."""
    argv = python_argv("kubelag", *explain_words(scene, "--save", os.fspath(bundle), *options))
    # A process group of its own, so that Ctrl-C reaches it once: from here.
    with subprocess.Popen(
        ha.argv(argv), env=dict(scene.environment), stdin=subprocess.DEVNULL, process_group=0
    ) as child:
        try:
            return child.wait()
        except KeyboardInterrupt:
            child.send_signal(signal.SIGINT)
            try:
                exit_code = child.wait(LAST_WORDS_S)
            except subprocess.TimeoutExpired:
                child.kill()
                raise KeyboardInterrupt from None
            if not bundle.exists():  # it had seen nothing yet
                raise
            return exit_code


def _passing_place(ha: HaLab) -> Path:
    """For a bundle that goes with the fault."""
    place = ha.directory / f"bundle-{ha.ledger.mark()}"
    ha.ledger.will_make("directory", path=os.fspath(place))
    return place


def _report(place: Path) -> Report:
    """What the saved evidence says, judged here as anywhere."""
    bundle = load(place)
    return report_on(judge(bundle.evidence, all_causes()), bundle.trial, advise)
