"""A small server of the lab, in a process of its own, in the hands of whoever started it.

It gets sockets that we have bound, reads its settings from a private file in its directory,
and reads them again whenever they are changed: `reconfigure` returns when the new ones act.
"""

import os
import signal
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from kubelag.errors import LabError
from kubelag.lab.network.listening import bound_sockets
from kubelag.lab.network.namespaces import Namespace
from kubelag.lab.network.serving import (
    ACTING_FILE,
    COUNTS_FILE,
    ORDERS_FILE,
    SETTINGS_FILE,
    Acting,
    Orders,
    Wish,
    read_wish,
    text_of,
    value_of,
)
from kubelag.lab.private_files import make_private_directory, write_private
from kubelag.lab.processes import Identity, end, is_running, last_words, python_argv, spawn
from kubelag.lab.waiting import wait_until

STATE_FILE = "served.json"
ACT_S = 30.0
"""How long settings may take to act. It takes milliseconds, and a start about 0.3 s; this is for
a machine that does much else."""

Settings = TypeVar("Settings")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program(Generic[Settings]):
    """Which server."""

    name: str
    """As its log is called."""
    module: str
    """What `python -m` runs, with the server's directory as its only argument."""
    settings: type[Settings]
    """A dataclass."""
    sockets: tuple[socket.SocketKind, ...] = (socket.SOCK_STREAM,)
    """What it serves on each address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Where a server lives, and whose it is."""

    directory: Path
    """Private (0700), for the server alone; created where it is missing."""
    addresses: tuple[str, ...]
    """Where it listens: IPv4 or IPv6, in figures."""
    port: int
    """On every address; 0 for any that is free on all of them, told by `Served.port`."""
    mark: Mapping[str, str]
    """Variables by which its process is found again."""
    namespace: Namespace | None = None
    """The host that has the addresses, and on which it runs; None for this machine."""
    daemon: bool = False
    """Whether it outlives the process that starts it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served(Generic[Settings]):
    """One server that was started."""

    program: Program[Settings]
    directory: Path
    process: Identity
    addresses: tuple[str, ...]
    """IP addresses, in the order in which they were asked for."""
    port: int

    @property
    def name(self) -> str:
        """What kind of server it is."""
        return self.program.name

    @property
    def log(self) -> Path:
        """What it has printed."""
        return _log(self.directory, self.name)

    @property
    def settings(self) -> Settings:
        """What acts now."""
        return value_of(read_wish(self.directory).settings, self.program.settings)

    @property
    def counts(self) -> Mapping[str, int]:
        """What it has seen since it started, by name.

        Complete as of the last change of settings; what came later is in it within 0.05 s.
        """
        try:
            content = (self.directory / COUNTS_FILE).read_bytes()
        except FileNotFoundError:
            return {}
        return msgspec.json.decode(content, type=dict[str, int])

    def reconfigure(self, settings: Settings) -> None:
        """Change the settings; returns when they act on whatever comes in from then on.

        Raises:
            LabError: The server has ended or does not accept them; the former ones still act.
        """
        path = self.directory / SETTINGS_FILE
        former = path.read_bytes()
        generation = self._acting().generation + 1
        _write_wish(self.directory, generation, settings)
        try:
            _signal(self.process, signal.SIGHUP)
            self._wait_acting(generation)
        except LabError:
            write_private(path, former)
            raise

    def is_running(self) -> bool:
        """Whether its process is alive."""
        return is_running(self.process)

    def stop(self) -> None:
        """End it; may be called twice. The directory stays for its owner to remove."""
        end((self.process,))
        (self.directory / STATE_FILE).unlink(missing_ok=True)

    def _wait_acting(self, generation: int) -> None:
        wait_until(
            lambda: self._is_acting(generation),
            timeout_s=ACT_S,
            problem=f"The {self.name} server did not take its settings",
            next_step=f"read {self.log}",
        )

    def _is_acting(self, generation: int) -> bool:
        acting = self._acting()
        if acting.generation < generation:
            if not self.is_running():
                said = last_words(self.log)
                raise LabError(f"The {self.name} server has ended: {said}", f"read {self.log}")
            return False
        if acting.problem:
            raise LabError(f"The {self.name} server refuses its settings: {acting.problem}")
        return True

    def _acting(self) -> Acting:
        try:
            content = (self.directory / ACTING_FILE).read_bytes()
        except FileNotFoundError:  # it has just been started
            return Acting(generation=0)
        return msgspec.json.decode(content, type=Acting)


def start(program: Program[Settings], home: Home, settings: Settings) -> Served[Settings]:
    """Start a server; returns when it serves.

    Raises:
        LabError: An address cannot be bound, or the server ended, or does not accept its settings;
            nothing of it runs then.
    """
    with bound_sockets(home.namespace, home.addresses, home.port, program.sockets) as sockets:
        return _start(program, home, sockets, settings)


def attach(directory: Path, program: Program[Settings]) -> Served[Settings]:
    """The server that some process started in this directory, running or not.

    Raises:
        LabError: There is none, or another kind of server.
    """
    try:
        state = msgspec.json.decode((directory / STATE_FILE).read_bytes(), type=_State)
    except (OSError, msgspec.DecodeError) as error:
        raise LabError(f"There is no {program.name} server in {directory}", "start one") from error
    if state.name != program.name:
        raise LabError(f"The server in {directory} is a {state.name}, not a {program.name}")
    return Served(
        program=program,
        directory=directory,
        process=state.process,
        addresses=state.addresses,
        port=state.port,
    )


def _start(
    program: Program[Settings],
    home: Home,
    sockets: Sequence[socket.socket],
    settings: Settings,
) -> Served[Settings]:
    directory = make_private_directory(home.directory)
    (directory / ACTING_FILE).unlink(missing_ok=True)
    (directory / COUNTS_FILE).unlink(missing_ok=True)
    orders = Orders(
        listen_fds=tuple(one.fileno() for one in sockets),
        parent_pid=None if home.daemon else os.getpid(),
    )
    write_private(directory / ORDERS_FILE, msgspec.json.encode(orders))
    _write_wish(directory, 1, settings)
    argv = python_argv(program.module, os.fspath(directory))
    served = Served(
        program=program,
        directory=directory,
        process=spawn(
            home.namespace.argv(argv) if home.namespace else argv,
            log=_log(directory, program.name),
            environment=os.environ | home.mark,
            pass_fds=orders.listen_fds,
        ),
        addresses=tuple(dict.fromkeys(one.getsockname()[0] for one in sockets)),
        port=sockets[0].getsockname()[1],
    )
    try:
        _save(served)
        served._wait_acting(1)  # noqa: SLF001 - what makes it and what it is are one unit
    except BaseException:
        served.stop()
        raise
    return served


def _log(directory: Path, name: str) -> Path:
    return directory / f"{name}.log"


def _write_wish(directory: Path, generation: int, settings: object) -> None:
    wish = Wish(generation=generation, settings=msgspec.Raw(text_of(settings)))
    write_private(directory / SETTINGS_FILE, msgspec.json.encode(wish))


def _signal(process: Identity, number: signal.Signals) -> None:
    """Send a signal to that very process; a pid descriptor rules out a mix-up."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        if is_running(process):
            signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What another process needs to find, use and end a server."""

    name: str
    process: Identity
    addresses: tuple[str, ...]
    port: int


def _save(served: Served[Settings]) -> None:
    state = _State(
        name=served.name,
        process=served.process,
        addresses=served.addresses,
        port=served.port,
    )
    write_private(served.directory / STATE_FILE, msgspec.json.encode(state))
