"""Asks an HAProxy of this machine by its stats socket, and watches whom it sends where."""

import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from kubelag.model.path import BalancerCount
from kubelag.observe.path.haproxy_stats import parse_sessions, parse_stat
from kubelag.observe.periodic import Periodic

_LIMIT_S = 1.0
"""An HAProxy that is alive answers in a millisecond. Arbitrary."""
_MOST_BYTES = 16 << 20
_READ_BYTES = 65536
_SAMPLE_S = 0.05
"""How far apart sessions are looked at. Arbitrary; a request over a fresh connection is shorter
only where all is well."""


def ask_haproxy(stats_socket: Path, command: str) -> str:
    """What an HAProxy answers to one command.

    Raises:
        OSError: If it cannot be asked, or is silent for a second.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(_LIMIT_S)
        sock.connect(str(stats_socket))
        sock.sendall(f"{command}\n".encode())
        deadline = time.monotonic() + _LIMIT_S
        read = bytearray()
        while len(read) < _MOST_BYTES and (piece := sock.recv(_READ_BYTES)):
            read += piece
            if time.monotonic() > deadline:
                raise TimeoutError("it does not come to an end")
    return read.decode(errors="replace")


def balancer_counts(stats_socket: Path) -> tuple[BalancerCount, ...]:
    """The counters of every server at this moment.

    Raises:
        OSError: As `ask_haproxy`.
    """
    return parse_stat(ask_haproxy(stats_socket, "show stat"), time.time_ns())


def haproxy_sessions(stats_socket: Path) -> Mapping[str, str]:
    """From each client's `IP:port` to the server it was given, at this moment.

    Raises:
        OSError: As `ask_haproxy`.
    """
    return parse_sessions(ask_haproxy(stats_socket, "show sess"))


class BalancerWatcher:
    """Learns during a run which server each connection was given.

    A connection that lived for less than a sample's distance may be missed. A balancer that
    cannot be asked three times in a row is left alone.

    Args:
        stats_socket: Of the balancer.
    """

    def __init__(self, stats_socket: Path) -> None:
        self._socket = stats_socket
        self._found: dict[str, str] = {}
        self._lock = threading.Lock()
        self._failures = 0
        self._sampler = Periodic(tick=self._tick, interval_s=_SAMPLE_S, name="balancer")
        self.why = ""
        """Why the last sample failed, in one clause; empty where it did not."""

    def start(self) -> None:
        """Begin to look."""
        self._sampler.start()

    def stop(self) -> Mapping[str, str]:
        """Look once more, and return the server of every client `IP:port` that was seen."""
        self._sampler.stop()
        with self._lock:
            return dict(self._found)

    def _tick(self) -> None:
        if self._failures > 2:  # noqa: PLR2004 - three in a row, as the class says
            return
        try:
            seen = haproxy_sessions(self._socket)
        except OSError as error:
            self._failures += 1
            self.why = (error.strerror or str(error)).lower()
            return
        self._failures, self.why = 0, ""
        with self._lock:
            self._found |= seen
