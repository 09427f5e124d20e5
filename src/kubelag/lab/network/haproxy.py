"""A real HAProxy on a host, its configuration as data.

Modelled on the load balancing guide for highly available clusters of kubeadm: mode tcp, round
robin, a health check of each API server, redispatch. It runs as master and worker, so that a
changed configuration replaces the worker and no client is refused meanwhile.
"""

import csv
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from kubelag.errors import LabError
from kubelag.lab.network.daemon import Daemon
from kubelag.lab.network.lan import Host
from kubelag.lab.private_files import make_private_directory, write_private
from kubelag.lab.tools import run_tool
from kubelag.lab.waiting import wait_until

if TYPE_CHECKING:
    from kubelag.lab.state import Ledger

Check = Literal["none", "tcp", "ssl"]
Reload = Literal["hitless", "hard"]
CONFIG_FILE, SETTINGS_FILE = "haproxy.cfg", "haproxy.json"
FRONTEND, BACKEND = "apiserver", "apiserverbackend"
"""The names that kubeadm's guide gives the two sections."""
READY_S = 10.0
"""It takes about 50 ms; this is for a machine that does much else."""
ANSWER_S = 2.0
"""The stats socket answers in a millisecond. Arbitrary."""
LONGEST_SOCKET = 90
"""Bytes: a Unix address has 107 (sun_path), and HAProxy appends a pid and a suffix meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendServer:
    """One API server behind the balancer."""

    name: str
    address: str
    """`IP:port`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancerSettings:
    """One balancer's configuration."""

    servers: tuple[BackendServer, ...]
    port: int = 8443
    check: Check = "ssl"
    """`ssl` asks each API server for /healthz, `tcp` only connects, `none` believes them all up."""
    check_interval_s: float = 0.5
    """Two seconds is HAProxy's own; shorter, so that the lab is ready sooner."""
    fall: int = 3
    """Failed checks that make a server DOWN; HAProxy's own."""
    timeout_connect_s: float = 5.0
    """As in the guide."""
    retries: int = 1
    """As in the guide; HAProxy's own is 3. Between two tries of the same server it waits 1 s."""
    redispatch: bool = True
    """Whether the last try may go to another server."""

    @property
    def text(self) -> str:
        """The configuration file's middle, without what depends on the place."""
        redispatch = "option" if self.redispatch else "no option"
        lines = (
            *("defaults", "    mode tcp", "    timeout client 35s", "    timeout server 35s"),
            f"    timeout connect {_ms(self.timeout_connect_s)}",
            "    timeout check 2s",
            *(f"    retries {self.retries}", f"    {redispatch} redispatch", ""),
            *(f"frontend {FRONTEND}", f"    bind :::{self.port} v4v6"),
            *(f"    default_backend {BACKEND}", ""),
            *(f"backend {BACKEND}", "    balance roundrobin", *self._check_lines),
            *(f"    server {one.name} {one.address}{self._check_words}" for one in self.servers),
        )
        return "\n".join(lines) + "\n"

    @property
    def _check_lines(self) -> tuple[str, ...]:
        if self.check != "ssl":
            return ()
        return (
            "    option httpchk",
            "    http-check send meth GET uri /healthz",
            "    http-check expect status 200",
        )

    @property
    def _check_words(self) -> str:
        if self.check == "none":
            return ""
        ssl = " check-ssl verify none" if self.check == "ssl" else ""
        return f" check{ssl} inter {_ms(self.check_interval_s)} fall {self.fall} rise 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Balancer:
    """One HAProxy, running or not."""

    host: Host
    directory: Path
    """Private: configuration, log, pid."""
    socket: Path
    """The stats socket; `show stat` and all other commands are allowed to whoever may open it."""

    @property
    def settings(self) -> BalancerSettings:
        """What it was last told."""
        return msgspec.json.decode(
            (self.directory / SETTINGS_FILE).read_bytes(), type=BalancerSettings
        )

    @property
    def daemon(self) -> Daemon:
        """Its process."""
        return Daemon(
            name="haproxy",
            host=self.host,
            directory=self.directory,
            argv=("haproxy", "-W", "-f", CONFIG_FILE),
        )

    def start(
        self, settings: BalancerSettings, ledger: "Ledger", environment: Mapping[str, str]
    ) -> None:
        """Start it with these settings; returns when it serves.

        Raises:
            LabError: It does not take them.
        """
        self._write(settings)
        self.daemon.start(ledger, environment)
        self._wait_worker(other_than=0)

    def rewrite(
        self,
        settings: BalancerSettings,
        ledger: "Ledger",
        environment: Mapping[str, str],
        how: Reload = "hitless",
    ) -> None:
        """Give it other settings, and start it where it does not run.

        Args:
            settings: The new ones.
            ledger: Gets the pid of a process that has to be started.
            environment: Of such a process, with the lab's mark.
            how: `hitless` lets connections of clients live on, `hard` ends them.

        Raises:
            LabError: It does not take them.
        """
        if how == "hard":
            self.daemon.stop()
        process = self.daemon.process
        if process is None or not self.daemon.is_running():
            self.start(settings, ledger, environment)
            return
        before = self.worker()
        self._write(settings)
        os.kill(process.pid, signal.SIGUSR2)
        self._wait_worker(other_than=before)

    def ask(self, command: str) -> str:
        """What the stats socket answers to a command such as `show stat`.

        Raises:
            OSError: Nobody listens there.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
            stream.settimeout(ANSWER_S)
            stream.connect(os.fspath(self.socket))
            stream.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: stream.recv(65536), b"")).decode(errors="replace")

    def counts(self) -> Mapping[str, Mapping[str, str]]:
        """The line of `show stat` for each API server, by the server's name.

        Raises:
            LabError: The balancer does not answer.
        """
        return {row["svname"]: row for row in self._rows(BACKEND) if row["svname"] != "BACKEND"}

    def sessions(self) -> int:
        """How many clients are connected now, those that wait for an API server included.

        Raises:
            LabError: The balancer does not answer.
        """
        return sum(int(row["scur"]) for row in self._rows(FRONTEND))

    def _rows(self, section: str) -> Sequence[Mapping[str, str]]:
        try:
            text = self.ask("show stat")
        except OSError as error:
            raise self.daemon.complaint() from error
        rows = csv.DictReader(text.removeprefix("# ").splitlines())
        return [row for row in rows if row["pxname"] == section]

    def worker(self) -> int:
        """The pid of the process that serves now; 0 where none answers."""
        try:
            lines = self.ask("show info").splitlines()
        except OSError:
            return 0
        return next((int(line[5:]) for line in lines if line.startswith("Pid: ")), 0)

    def _write(self, settings: BalancerSettings) -> None:
        make_private_directory(self.directory)
        text = f"{self._global_text}\n{settings.text}"
        checked = write_private(self.directory / f"{CONFIG_FILE}.new", text)
        run_tool(
            ("haproxy", "-c", "-q", "-f", os.fspath(checked)),
            problem="HAProxy refuses its configuration",
            next_step=f"see {checked}",
        )
        checked.replace(self.directory / CONFIG_FILE)
        write_private(self.directory / SETTINGS_FILE, msgspec.json.encode(settings))

    @property
    def _global_text(self) -> str:
        lines = (
            *("global", "    nbthread 1", "    hard-stop-after 60s"),
            f'    stats socket "{self.socket}" mode 600 level admin expose-fd listeners',
            "    stats timeout 10s",
        )
        return "\n".join(lines) + "\n"

    def _wait_worker(self, *, other_than: int) -> None:
        daemon = self.daemon
        wait_until(
            lambda: self.worker() not in (0, other_than) or not daemon.is_running(),
            timeout_s=READY_S,
            problem=f"HAProxy on {self.host.name} was not ready",
            next_step=f"see {daemon.log}",
        )
        if not daemon.is_running():
            raise daemon.complaint()


def place_balancer(host: Host, directory: Path, sockets: Path) -> Balancer:
    """A balancer that is not started yet.

    Raises:
        LabError: Its socket's path would be longer than a Unix address may be.
    """
    path = sockets / f"{host.name}.sock"
    if len(os.fsencode(path)) > LONGEST_SOCKET:
        raise LabError(f"{path} is too long for a socket", "keep the lab in a shorter directory")
    return Balancer(host=host, directory=directory, socket=path)


def _ms(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"
