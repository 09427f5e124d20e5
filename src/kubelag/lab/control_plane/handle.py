"""A running control plane, in this process's hands or found again by its directory."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from kubelag.errors import LabError
from kubelag.lab.control_plane.kubeconfigs import (
    User,
    check_user,
    credential_path,
    kubeconfig_path,
)
from kubelag.lab.private_files import write_private
from kubelag.lab.processes import Identity, end, is_running

Kind = Literal["embedded", "envtest"]

STATE_FILE = "control-plane.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlane:
    """One API server with everything that a client needs to talk to it."""

    kind: Kind
    url: str
    """`https://ADDRESS:PORT`; loopback for a server that is alone."""
    directory: Path
    """Private (0700): keys, tokens, kubeconfigs, logs."""
    version: str
    """What the server calls itself, for example `v1.20.2`."""
    processes: Mapping[str, Identity]
    """By name, as their logs are called; in the order in which they are to be ended."""

    @property
    def pids(self) -> tuple[int, ...]:
        """The servers' process ids."""
        return tuple(process.pid for process in self.processes.values())

    @property
    def exec_credential(self) -> Path:
        """A file that a credential plugin may print to be the administrator."""
        return credential_path(self.directory)

    def kubeconfig(self, user: User = "certificate") -> Path:
        """The kubeconfig of one of the lab's users."""
        check_user(user)
        return kubeconfig_path(self.directory, user)

    def log(self, name: str) -> Path:
        """What a process has printed."""
        return self.directory / f"{name}.log"

    def is_running(self) -> bool:
        """Whether every process is alive; one that was stopped has none."""
        return bool(self.processes) and all(
            is_running(process) for process in self.processes.values()
        )

    def stop(self) -> None:
        """End the servers; may be called twice. The directory stays for its owner to remove."""
        end(self.processes.values())
        state = self.directory / STATE_FILE
        # another one may have been started in our place
        if state.exists() and attach(self.directory).processes == self.processes:
            state.unlink()


def save(control_plane: ControlPlane) -> ControlPlane:
    """Write down what another process needs to find, use and end this control plane."""
    state = msgspec.json.encode(control_plane, enc_hook=str)
    write_private(control_plane.directory / STATE_FILE, state)
    return control_plane


def attach(directory: Path) -> ControlPlane:
    """The control plane that some process started in this directory, running or not.

    Raises:
        LabError: There is none, or what is written there is not readable.
    """
    try:
        state = (directory / STATE_FILE).read_bytes()
        return msgspec.json.decode(state, type=ControlPlane, dec_hook=lambda kind, text: kind(text))
    except (OSError, msgspec.DecodeError) as error:
        raise LabError(f"There is no control plane in {directory}", "start one") from error
