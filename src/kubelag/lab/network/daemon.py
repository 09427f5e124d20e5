"""A program on a host of the lab that any process can find, stop and start again."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from kubelag.errors import LabError
from kubelag.lab import processes
from kubelag.lab.network.lan import Host
from kubelag.lab.private_files import make_private_directory, write_private
from kubelag.lab.processes import Identity

if TYPE_CHECKING:
    from kubelag.lab.state import Ledger

PROCESS_FILE = "process.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """One program; its pid is in a file, since it may be started anew."""

    name: str
    host: Host
    directory: Path
    """Private: its settings, its log, and where it starts."""
    argv: tuple[str, ...]

    @property
    def log(self) -> Path:
        """What it has printed."""
        return self.directory / "log"

    @property
    def process(self) -> Identity | None:
        """The one that was started last, running or not; None where none ever was."""
        try:
            return msgspec.json.decode((self.directory / PROCESS_FILE).read_bytes(), type=Identity)
        except (OSError, msgspec.DecodeError):
            return None

    def is_running(self) -> bool:
        """Whether it runs."""
        return self.process is not None and processes.is_running(self.process)

    def start(self, ledger: "Ledger | None", environment: Mapping[str, str]) -> None:
        """Start it, unless it runs; returns without waiting until it is ready.

        Args:
            ledger: Gets its pid; without it (in a process that does not hold the ledger) only the
                lab's mark tells of it, which is enough for `kubelag lab down`.
            environment: All of it, with the lab's mark.

        Raises:
            LabError: The program is missing.
        """
        if self.is_running():
            return
        make_private_directory(self.directory)
        process = processes.spawn(
            self.host.namespace.argv(self.argv),
            log=self.log,
            environment=environment,
            directory=self.directory,
        )
        write_private(self.directory / PROCESS_FILE, msgspec.json.encode(process))
        if ledger is not None:
            ledger.made_process(process)

    def stop(self) -> None:
        """End it in good order; one that does not run is no problem."""
        if self.process is not None:
            processes.end([self.process])

    def complaint(self) -> LabError:
        """Why it is not what it should be, in its own words."""
        words = processes.last_words(self.log) or "it said nothing"
        return LabError(
            f"{self.name} on {self.host.name} is not as it should be: {words}", f"see {self.log}"
        )
