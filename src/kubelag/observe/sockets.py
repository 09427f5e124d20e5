"""Watches the sockets of the observed process tree, without root and without sending anything.

Asks the kernel for its sockets to the ports that matter, some hundred times a second (sock_diag),
and keeps those whose inode is among the descriptors of a process of the tree. Another program of
the same user may talk to the same server, so neither user nor port proves whose a socket is: one
that was gone before its process could be found is left out. A socket that lived between two looks
is not seen at all.
"""

import os
import socket
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from kubelag.errors import KubelagError
from kubelag.model.evidence import Look
from kubelag.model.network import Connection, Lookup
from kubelag.model.path import Neighbour
from kubelag.model.units import counted
from kubelag.observe import sock_diag
from kubelag.observe.kept_files import ids, link
from kubelag.observe.neighbours import read_neighbours
from kubelag.observe.periodic import Periodic
from kubelag.observe.sock_diag import Protocol, Socket
from kubelag.observe.socket_samples import History, Roles, Sample
from kubelag.observe.socket_story import connection_of, lookup_of

INTERVAL_S = 0.008
"""Between two looks, where they cost little; one takes some 0.3 ms of a processor."""
NEIGHBOURS_INTERVAL_NS = 250_000_000
"""A failover of a virtual IP takes a second or more."""
SETTLE_NS = 250_000_000
"""A socket that nobody in the tree owned for so long is another program's. The process tree is
sampled every 20 ms, slower on a busy machine; this is ten times that."""
NAME_SERVER_PORTS = frozenset({53})
_SOCK_DIAG = 4
"""NETLINK_SOCK_DIAG, which the socket module does not name."""
_RECEIVE_BYTES = 1 << 16
"""A kernel never fills more than 32 KiB at once (netlink_dump)."""
_TIMEOUT_S = 1.0
"""The kernel answers at once; this only keeps a broken one from holding us. Arbitrary."""
_MAX_FAILURES = 3
_LIVING = sock_diag.states_mask(
    "established", "syn_sent", "fin_wait_1", "fin_wait_2", "close_wait", "last_ack", "closing"
)
_WITH_DEPARTED = _LIVING | sock_diag.states_mask("time_wait")
"""At the end only: who closed first waits there for a minute, and a busy machine has thousands."""
_CONNECTED_UDP = sock_diag.states_mask("established")

Key = tuple[Protocol, int, str, str]
T = TypeVar("T")


class SocketWatcher:
    """Looks at the sockets of some processes, in a thread, from `start` to `stop`.

    Args:
        pids: The processes that live now.
        ports: The servers' and proxies' ports; none means all, which is dear on a busy machine.
        name_server_ports: Where questions for names go by UDP.
        roles: What is known of the servers by their ports.
        proc: Where /proc is.
        clock_ns: The wall clock.
    """

    def __init__(
        self,
        pids: Callable[[], Collection[int]],
        ports: frozenset[int] = frozenset(),
        name_server_ports: frozenset[int] = NAME_SERVER_PORTS,
        *,
        roles: Roles | None = None,
        proc: str = "/proc",
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._roles = roles if roles is not None else Roles()
        self._ports = ports
        self._name_server_ports = name_server_ports
        self._clock_ns = clock_ns
        self._owners = _Owners(pids, proc)
        self._kernel: _Kernel | None = None
        self._histories: dict[Key, History] = {}
        self._strangers: dict[Key, int] = {}
        self._first_look_ns = 0
        self._looked_ns: int | None = None
        self._states = _LIVING
        self._failures: list[str] = []
        self._refused: dict[str, str] = {}
        self._neighbours: list[Neighbour] = []
        self._asked_neighbours_ns = 0
        self._pace = Periodic(tick=self._tick, interval_s=INTERVAL_S, name="sockets")

    def start(self) -> None:
        """Begin; the first look is over when this returns."""
        self._first_look_ns = self._clock_ns()
        self._pace.start()

    @property
    def interval_ns(self) -> int:
        """Between two looks, as it was kept so far."""
        if self._looked_ns is None:
            return 0
        return (self._looked_ns - self._first_look_ns) // max(1, self._pace.ticks - 1)

    def stop(
        self,
    ) -> tuple[tuple[Connection, ...], tuple[Lookup, ...], tuple[Neighbour, ...], Look]:
        """End; what was seen, each by its begin."""
        self._states = _WITH_DEPARTED
        self._pace.stop()
        if self._kernel is not None:
            self._kernel.close()
        connections = [connection_of(history, self._roles) for history in self._stories("tcp")]
        end_ns = self._looked_ns or 0
        lookups = [lookup_of(history, self._roles, end_ns) for history in self._stories("udp")]
        return (
            tuple(sorted(connections, key=lambda one: one.first_ns)),
            tuple(sorted(lookups, key=lambda one: one.asked_ns)),
            tuple(self._neighbours),
            self._look(len(connections) + len(lookups)),
        )

    def _stories(self, protocol: Protocol) -> Iterator[History]:
        return (history for key, history in self._histories.items() if key[0] == protocol)

    def _tick(self) -> None:
        if len(self._failures) >= _MAX_FAILURES:
            return
        try:
            self._look_around()
        except (OSError, KubelagError) as error:
            self._failures.append(_words(error))

    def _look_around(self) -> None:
        if self._kernel is None:
            self._kernel = _Kernel()
        at_ns = self._clock_ns()
        seen = set()
        for one in self._sockets(self._kernel):
            key = (one.protocol, one.cookie, one.local, one.remote)
            if self._is_ours(key, one, at_ns):
                seen.add(key)
                self._note(key, one, at_ns)
        for key, history in self._histories.items():
            if history.gone_ns is None and key not in seen:
                history.gone_ns = at_ns
        self._looked_ns = at_ns
        self._ask_neighbours(at_ns)

    def _sockets(self, kernel: "_Kernel") -> Iterator[Socket]:
        yield from kernel.ask(socket.AF_UNSPEC, "tcp", self._states, self._ports)
        yield from self._beside("questions to name servers", lambda: self._questions(kernel))

    def _questions(self, kernel: "_Kernel") -> Iterator[Socket]:
        for family in (socket.AF_INET, socket.AF_INET6):
            yield from kernel.ask(family, "udp", _CONNECTED_UDP, self._name_server_ports)

    def _beside(self, what: str, ask: Callable[[], Iterable[T]]) -> tuple[T, ...]:
        """What is good to know beside the connections; a kernel that refuses is asked once only."""
        if what in self._refused:
            return ()
        try:
            return tuple(ask())
        except (OSError, KubelagError) as error:
            self._refused[what] = _words(error)
            return ()

    def _is_ours(self, key: Key, one: Socket, at_ns: int) -> bool:
        if key in self._histories:
            return True
        first_ns = self._strangers.setdefault(key, at_ns)
        if not one.inode or at_ns - first_ns > SETTLE_NS:
            return False
        if self._owners.has(one.inode, at_ns):
            del self._strangers[key]
            return True
        return False

    def _note(self, key: Key, one: Socket, at_ns: int) -> None:
        info = sock_diag.parse_tcp_info(one.raw_info) if one.raw_info else None
        history = self._histories.setdefault(key, History())
        before_ns = self._looked_ns
        if history.gone_ns is not None:
            # Only the last look asks for what waits in TIME_WAIT: it went there long before.
            at_ns, before_ns = history.gone_ns, history.last_ns
        history.gone_ns = None
        history.see(Sample(at_ns=at_ns, before_ns=before_ns, socket=one, info=info))

    def _ask_neighbours(self, at_ns: int) -> None:
        if at_ns - self._asked_neighbours_ns < NEIGHBOURS_INTERVAL_NS:
            return
        addresses = {history.samples[0].socket.remote_address for history in self._stories("tcp")}
        if addresses:
            self._asked_neighbours_ns = at_ns
            told = self._beside("neighbours", lambda: read_neighbours(addresses, self._clock_ns))
            for entry in told:
                self._note_neighbour(entry)

    def _note_neighbour(self, entry: Neighbour) -> None:
        """Only what changed."""
        known = next(
            (one for one in reversed(self._neighbours) if one.address == entry.address), None
        )
        if known is None or (known.mac, known.state) != (entry.mac, entry.state):
            self._neighbours.append(entry)

    def _look(self, events: int) -> Look:
        why_not = self._why_not()
        ports = ", ".join(str(port) for port in sorted(self._ports)) or "all"
        asked = f"the kernel's sockets (ports {ports}, and to name servers)"
        looks = f"{asked} every {self.interval_ns / 1e6:.0f} ms"
        cost = f"own cost {self._pace.cost_ratio:.1%} of one processor"
        missing = [f"without {what} ({why})" for what, why in self._refused.items()]
        return Look(
            observer="sockets",
            state="could_not_look" if why_not else "looked",
            how=why_not or "; ".join((looks, cost, *missing)),
            events=events,
        )

    def _why_not(self) -> str:
        if self._looked_ns is None or len(self._failures) >= _MAX_FAILURES:
            return self._failures[-1] if self._failures else "it was never started"
        if self._owners.refused:
            count = counted(len(self._owners.refused), "process", "processes")
            return f"the descriptors of {count} may not be read (another user's)"
        return ""


class _Kernel:
    """Asks for sockets through one netlink socket."""

    def __init__(self) -> None:
        self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG)
        self._netlink.settimeout(_TIMEOUT_S)
        self._sequence = 0
        self._answer = bytearray(_RECEIVE_BYTES)

    def ask(
        self, family: int, protocol: Protocol, states: int, ports: Collection[int]
    ) -> Iterator[Socket]:
        """The sockets there are now."""
        self._sequence += 1
        self._netlink.send(
            sock_diag.encode_request(
                family=family,
                protocol=protocol,
                states=states,
                ports=ports,
                sequence=self._sequence,
            )
        )
        is_last = False
        while not is_last:
            size = self._netlink.recv_into(self._answer)
            data = memoryview(self._answer)[:size]
            found, is_last = sock_diag.decode(data, protocol, self._sequence)
            yield from found

    def close(self) -> None:
        self._netlink.close()


class _Owners:
    """Which sockets are open in the tree, by their inodes."""

    def __init__(self, pids: Callable[[], Collection[int]], proc: str) -> None:
        self._pids = pids
        self._proc = proc
        self._inodes: set[int] = set()
        self._at_ns = 0
        self.refused: set[int] = set()
        """Processes whose descriptors may not be read."""

    def has(self, inode: int, at_ns: int) -> bool:
        """Whether a process of the tree has it open; descriptors are read once for each look."""
        if inode not in self._inodes and at_ns != self._at_ns:
            self._at_ns = at_ns
            self._inodes = set(self._open_sockets())
        return inode in self._inodes

    def _open_sockets(self) -> Iterator[int]:
        for pid in tuple(self._pids()):
            folder = f"{self._proc}/{pid}/fd"
            names = ids(folder)
            if not names and _is_forbidden(folder):
                self.refused.add(pid)
            for name in names:
                target = link(f"{folder}/{name}") or ""
                number = target.removeprefix("socket:[").removesuffix("]")
                if target.startswith("socket:[") and number.isdigit():
                    yield int(number)


def _words(error: OSError | KubelagError) -> str:
    """Why the kernel did not tell, in one clause."""
    if isinstance(error, KubelagError):
        return error.message
    return f"the kernel does not list sockets ({(error.strerror or str(error)).lower()})"


def _is_forbidden(folder: str) -> bool:
    """A process that has gone is no loss; one that is hidden from us is."""
    return Path(folder).exists() and not os.access(folder, os.R_OK)
