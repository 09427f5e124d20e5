"""What a fault is: a known workload with the cause that must be found.

A fault acts below the process that is explained, on its disk, file system, processor, memory,
network or servers, and never by tracing it: the tracer's place belongs to the observer.

A `Fault` brings its own control plane. A `HaFault` is switched on and off in a standing HA lab,
whose parts it finds in `kubelag.lab.ha.lab.HaLab`.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from kubelag.lab.control_plane.handle import ControlPlane
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.state import Ledger

if TYPE_CHECKING:
    from kubelag.lab.ha.lab import HaLab

PASSED_ON = ("PATH", "LANG", "LC_ALL", "TERM", "USER", "LOGNAME", "TMPDIR")
"""Variables of ours that the explained command gets; none of them moves its cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a fault hands to the one who explains."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    """The whole environment of the command: HOME, KUBECONFIG and the harmless rest."""
    cold: bool
    """Whether to explain with a fresh cache directory beside the default one."""
    cgroup_procs: tuple[Path, ...] = ()
    """Files to which every process of the command writes `0` first, to be under the limit;
    `kubelag.lab.cgroups.joining` makes words of them to put before the command."""
    describe: str = ""
    """One sentence: what was made slow, and by how much."""
    explain_options: tuple[str, ...] = ()
    """Options for `kubelag explain`; HA lab only."""
    exit_code: int = 0
    """How the command ends, with the fault and without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabParts:
    """What a fault may use."""

    directory: Path
    """Private (0700), ours, on an ordinary disk."""
    ledger: Ledger
    """Whatever a fault makes is written down here."""
    kubectl: Path
    """The newest real kubectl at hand."""
    find_old_kubectl: Callable[[], Path | None]
    """One before 1.25, whose cache fsyncs, fetched at the first call; None where there is none."""
    start_control_plane: Callable[[ControlPlaneOptions], ControlPlane]
    """Starts one that is the fault's own; the fault stops it."""


class Fault(Protocol):
    """One known workload."""

    @property
    def id(self) -> str:
        """The cause that it must show, or its own name where two faults show the same."""

    @property
    def expected(self) -> tuple[str, ...]:
        """Causes that may be named, best first; empty where nothing may be accused."""

    def obstacle(self) -> str:
        """Why it is impossible on this machine for this user, in one clause; empty where not."""

    def inject(self, parts: LabParts) -> AbstractContextManager[Scene]:
        """Make it slow; at the end everything is as before.

        Raises:
            LabError: It cannot be made here.
        """


class HaFault(Protocol):
    """One known trouble of the HA lab, switched on and off.

    The lab remembers that it is on before `on` is called, and takes away by itself what `on` wrote
    into the lab's ledger (processes, directories, mounts) before it calls `off`.
    """

    @property
    def id(self) -> str:
        """Its own name."""

    @property
    def expected(self) -> tuple[str, ...]:
        """Causes that may be named, best first; empty where nothing may be accused."""

    @property
    def how_to_see(self) -> str:
        """The command that a user can type to see it act: `kubelag lab exec -- …`."""

    def component(self, ha: "HaLab") -> tuple[str, ...]:
        """Names of the guilty part; one of them must be in the headline. Empty: none is asked."""

    def on(self, ha: "HaLab") -> None:
        """Make the trouble; returns when it acts.

        Raises:
            LabError: It cannot be made in this lab.
        """

    def off(self, ha: "HaLab") -> None:
        """Put the lab's parts back as they were; also after half an `on`, and twice."""

    def see(self, ha: "HaLab") -> str:
        """A sentence with the figure that shows that it really acts.

        Raises:
            LabError: It does not; says what was seen instead.
        """

    def scene(self, ha: "HaLab") -> Scene:
        """What to explain on the client's node while it is on."""


@runtime_checkable
class Staged(Protocol):
    """A `HaFault` whose scene needs more than the usual lab, such as answers that take their time.

    What the trouble costs is then what the command takes longer than on the same stage without it.
    """

    def set_stage(self, ha: "HaLab") -> None:
        """Make what is no trouble by itself; `on` does so too, and `off` takes it back."""


def base_environment(home: Path, kubeconfig: Path) -> Mapping[str, str]:
    """The environment of an explained command with its own home and kubeconfig."""
    ours = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return ours | {"HOME": os.fspath(home), "KUBECONFIG": os.fspath(kubeconfig), "KUBERC": "off"}
