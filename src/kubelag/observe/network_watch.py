"""Watches the network during the observed run: sockets, packets, and the balancer's sessions.

The packets are captured where that is permitted, the sockets are sampled in any case, and a
balancer is asked where its stats socket was given. What they saw of one connection becomes one.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubelag.errors import KubelagError
from kubelag.model.evidence import Look, Run, Syscall
from kubelag.model.network import CaptureFile, Connection, Lookup, PathMessage
from kubelag.model.path import Neighbour
from kubelag.observe.connections import (
    DIAL_NS,
    Watched,
    lookups_of,
    merged,
    merged_lookups,
)
from kubelag.observe.path.balancer import BalancerWatcher
from kubelag.observe.socket_samples import Roles
from kubelag.observe.sockets import SocketWatcher

if TYPE_CHECKING:
    from kubelag.observe.capture.live import LiveCapture
    from kubelag.observe.capture.wanted import CaptureSeen


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which part of the network is the command's."""

    ports: frozenset[int] = frozenset()
    """Of the API server, or of the proxy before it; none means that it is not known."""
    servers: tuple[str, ...] = ()
    """Its `IP:port`, where that is known without asking anybody."""
    name: str = ""
    """What is looked up for it; empty for an address."""
    roles: Roles = field(default_factory=Roles)
    stats_socket: Path | None = None
    """Of an HAProxy."""
    why_no_capture: str = ""
    """Empty where packets are to be captured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSeen:
    """What crossed the network during the run."""

    connections: tuple[Connection, ...] = ()
    lookups: tuple[Lookup, ...] = ()
    messages: tuple[PathMessage, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    captures: tuple[CaptureFile, ...] = ()
    looks: tuple[Look, ...] = ()


class NetworkWatch:
    """Prepared before the command starts, started beside it, stopped after it.

    Args:
        scope: What to look at.
    """

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._capture: LiveCapture | None = None
        self._why_no_capture = scope.why_no_capture
        self._sockets: SocketWatcher | None = None
        self._balancer: BalancerWatcher | None = None
        self._why_no_balancer = ""
        self._why_no_sockets = "it was not started"
        self._captured: CaptureSeen | None = None

    @property
    def captured(self) -> "CaptureSeen | None":
        """All of our own capture, to be compared with another; None where there was none."""
        return self._captured

    def prepare(self) -> None:
        """Begin to capture, so that the first packet is not missed."""
        if not self._why_no_capture:
            self._why_no_capture = _failure_of(self._start_capture)

    def start(self, pids: Callable[[], Collection[int]]) -> None:
        """Begin to sample, now that the command runs as these processes."""
        scope = self._scope
        self._sockets = SocketWatcher(pids, scope.ports, roles=scope.roles)
        self._why_no_sockets = _failure_of(self._sockets.start)
        if scope.stats_socket is not None:
            self._balancer = BalancerWatcher(scope.stats_socket)
            self._why_no_balancer = _failure_of(self._balancer.start)

    def stop(self, run: Run, syscalls: Sequence[Syscall]) -> NetworkSeen:
        """What was seen of that run."""
        connections, lookups, neighbours, sockets_look = self._stop_sockets()
        interval_ns = self._sockets.interval_ns if self._sockets else 0
        served, balancer_looks = self._stop_balancer()
        captured, capture_look = self._stop_capture()
        watched = Watched(
            start_ns=run.start_ns,
            end_ns=run.end_ns,
            interval_ns=interval_ns,
            calls=tuple(call for call in syscalls if call.name == "connect"),
        )
        seen = merged(
            captured.connections,
            connections,
            watched if sockets_look.state == "looked" else None,
        )
        witnessed = (*lookups_of(syscalls), *lookups)
        asked = about(captured.lookups, self._scope.name, witnessed)
        return replace(
            captured,
            connections=_with_backends(seen, served),
            lookups=merged_lookups(asked, lookups_of(syscalls), lookups),
            messages=concerning(captured.messages, seen),
            neighbours=neighbours,
            looks=(sockets_look, capture_look, *balancer_looks),
        )

    def abandon(self) -> None:
        """Nothing of ours goes on."""
        if self._sockets is not None:
            self._stop_sockets()
        self._stop_balancer()
        if self._capture is not None:
            self._stop_capture()

    def _start_capture(self) -> None:
        # It takes 10 ms to load: only for who captures.
        from kubelag.observe.capture.live import LiveCapture  # noqa: PLC0415 - as said

        scope = self._scope
        ports = () if scope.servers else scope.ports
        capture = LiveCapture(servers=scope.servers, ports=ports)
        capture.start()
        self._capture = capture

    def _stop_sockets(
        self,
    ) -> tuple[tuple[Connection, ...], tuple[Lookup, ...], tuple[Neighbour, ...], Look]:
        if self._sockets is not None and not self._why_no_sockets:
            try:
                return self._sockets.stop()
            except Exception as error:  # noqa: BLE001 - the runner of this observer; told in the report
                self._why_no_sockets = _words(error)
        look = Look(observer="sockets", state="could_not_look", how=self._why_no_sockets)
        return (), (), (), look

    def _stop_balancer(self) -> tuple[Mapping[str, str], tuple[Look, ...]]:
        """Which server each client's `IP:port` was given; no look where there is no balancer."""
        if self._balancer is None:
            return {}, ()
        served: Mapping[str, str] = {}
        if not self._why_no_balancer:
            try:
                served = self._balancer.stop()
            except Exception as error:  # noqa: BLE001 - the runner of this observer; told in the report
                self._why_no_balancer = _words(error)
        why = self._why_no_balancer or self._balancer.why
        place = self._scope.stats_socket
        look = Look(
            observer="balancer",
            state="could_not_look" if why else "looked",
            how=f"{place}: {why}" if why else f"show sess at {place}",
            events=len(served),
        )
        return served, (look,)

    def _stop_capture(self) -> tuple[NetworkSeen, Look]:
        if self._capture is not None:
            try:
                seen, look = self._capture.stop()
            except Exception as error:  # noqa: BLE001 - the runner of this observer; told in the report
                self._why_no_capture = _words(error)
            else:
                self._captured = seen
                return _told_by(seen), look
        look = Look(observer="capture", state="could_not_look", how=self._why_no_capture)
        return NetworkSeen(), look


def about(captured: Sequence[Lookup], name: str, witnessed: Sequence[Lookup]) -> tuple[Lookup, ...]:
    """The command's own questions of all that were captured, whoever asked them.

    Args:
        captured: Questions of any program of this machine.
        name: What the command looks up for its server; empty for an address.
        witnessed: What the calls and the sockets of its process tree tell.
    """
    return tuple(
        one
        for one in captured
        if _is_for(name, one) or any(_is_same_question(one, other) for other in witnessed)
    )


def concerning(
    messages: Sequence[PathMessage], connections: Sequence[Connection]
) -> tuple[PathMessage, ...]:
    """What routers said of these connections' servers, and not of another program's."""
    servers = {one.server for one in connections}
    return tuple(one for one in messages if one.about in servers)


def _is_for(name: str, lookup: Lookup) -> bool:
    """Whether it asks for the name, or for it with a search domain."""
    asked, bare = lookup.name.lower(), name.lower().rstrip(".")
    return bool(bare) and (asked == bare or asked.startswith(f"{bare}."))


def _is_same_question(one: Lookup, other: Lookup) -> bool:
    """The same name server at the same time; who never got an answer still waited for it."""
    if one.server != other.server:
        return False
    ends = [
        each.asked_ns if each.answered_ns is None else each.answered_ns for each in (one, other)
    ]
    return one.asked_ns <= ends[1] + DIAL_NS and other.asked_ns <= ends[0] + DIAL_NS


def _told_by(capture: "CaptureSeen") -> NetworkSeen:
    return NetworkSeen(
        connections=capture.connections,
        lookups=capture.lookups,
        messages=capture.messages,
        captures=(capture.file,),
    )


def _with_backends(
    connections: Sequence[Connection], served: Mapping[str, str]
) -> tuple[Connection, ...]:
    """Each connection with the server that the balancer gave it."""
    return tuple(
        replace(one, backend=served[one.client]) if one.client in served else one
        for one in connections
    )


def _failure_of(action: Callable[[], Any]) -> str:
    """How an observer failed to start, empty where it did not: the command goes on all the same."""
    try:
        action()
    except Exception as error:  # noqa: BLE001 - the runner of these observers; told in the report
        return _words(error)
    return ""


def _words(error: Exception) -> str:
    if isinstance(error, KubelagError):
        return error.message
    return f"it crashed: {type(error).__name__}: {error}"
