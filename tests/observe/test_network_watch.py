"""Sockets, packets and a balancer's sessions of one command: each once, and nothing goes on."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from evidence import MS, START, S, connection, lookup
from kubelag.errors import CaptureError
from kubelag.model.evidence import Look, Run
from kubelag.model.network import CaptureFile, Connection, Lookup, PathMessage
from kubelag.model.path import Neighbour
from kubelag.observe import network_watch
from kubelag.observe.capture import live
from kubelag.observe.network_watch import NetworkSeen, NetworkWatch, Scope, about, concerning

RUN = Run(start_ns=START, end_ns=START + 10 * S, exit_code=0)
LOOKED = Look(observer="sockets", state="looked", how="in a test")


@dataclass
class Sockets:
    """In place of the watcher of sockets."""

    connections: tuple[Connection, ...] = ()
    lookups: tuple[Lookup, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    fails_at: str = ""
    is_over: bool = False
    interval_ns: int = 8 * MS

    def __call__(self, *_: object, **__: object) -> "Sockets":
        return self

    def start(self) -> None:
        if self.fails_at == "start":
            raise RuntimeError("no socket today")

    def stop(self) -> tuple[Any, ...]:
        self.is_over = True
        if self.fails_at == "stop":
            raise RuntimeError("no socket today")
        return self.connections, self.lookups, self.neighbours, LOOKED


@dataclass
class Capture:
    """In place of tcpdump."""

    connections: tuple[Connection, ...] = ()
    lookups: tuple[Lookup, ...] = ()
    messages: tuple[PathMessage, ...] = ()
    fails_at: str = ""
    asked: dict[str, Any] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def __call__(self, **asked: Any) -> "Capture":
        self.asked = asked
        return self

    @property
    def file(self) -> CaptureFile:
        return CaptureFile(name="live", packets=7, file_bytes=700, start_ns=START, end_ns=START)

    def start(self) -> None:
        self.said.append("started")
        if self.fails_at == "start":
            raise CaptureError("tcpdump does not capture: no such device")
        if self.fails_at == "search":
            raise PermissionError("tcpdump may not be started")

    def stop(self) -> tuple["Capture", Look]:
        self.said.append("stopped")
        if self.fails_at == "stop":
            raise ValueError("not a packet")
        return self, Look(observer="capture", state="looked", how="in a test", events=7)


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> Sockets:
    fake = Sockets()
    monkeypatch.setattr(network_watch, "SocketWatcher", fake)
    return fake


@pytest.fixture
def capture(monkeypatch: pytest.MonkeyPatch) -> Capture:
    fake = Capture()
    monkeypatch.setattr(live, "LiveCapture", fake)
    return fake


SCOPE = Scope(ports=frozenset({6443}), servers=("127.0.0.1:6443",), name="api.example.com")


def play(scope: Scope = SCOPE, **run: Any) -> NetworkSeen:
    watching = NetworkWatch(scope)
    watching.prepare()
    watching.start(lambda: (1,))
    return watching.stop(replace(RUN, **run), ())


def look(seen: NetworkSeen, observer: str) -> Look:
    (found,) = (one for one in seen.looks if one.observer == observer)
    return found


def test_what_both_saw_of_one_connection_is_one(sockets: Sockets, capture: Capture) -> None:
    capture.connections = (connection(0, S), connection(0, S, number=9))
    sockets.connections = (replace(connection(0, S), seen_by="sockets", rtt_smoothed_ns=5),)
    (found,) = play().connections
    assert (found.seen_by, found.rtt_smoothed_ns) == ("capture", 5)


def test_a_server_that_is_known_is_captured_by_its_address_else_by_its_port(
    sockets: Sockets, capture: Capture
) -> None:
    play()
    assert capture.asked == {"servers": ("127.0.0.1:6443",), "ports": ()}
    play(replace(SCOPE, servers=()))
    assert capture.asked == {"servers": (), "ports": frozenset({6443})}
    assert sockets.is_over


@pytest.mark.usefixtures("sockets")
def test_without_a_known_server_no_packet_is_captured(capture: Capture) -> None:
    seen = play(Scope(why_no_capture="the command talks to no server that is known"))
    assert capture.said == []
    assert look(seen, "capture").state == "could_not_look"
    assert look(seen, "capture").how == "the command talks to no server that is known"


@pytest.mark.parametrize(
    ("when", "how"),
    [
        ("start", "tcpdump does not capture: no such device"),
        ("search", "it crashed: PermissionError: tcpdump may not be started"),
        ("stop", "it crashed: ValueError: not a packet"),
    ],
)
def test_a_capture_that_fails_loses_nothing_else(
    sockets: Sockets, capture: Capture, when: str, how: str
) -> None:
    capture.fails_at = when
    sockets.connections = (replace(connection(0, S), seen_by="sockets"),)
    seen = play()
    assert seen.connections == sockets.connections
    assert (look(seen, "capture").state, look(seen, "capture").how) == ("could_not_look", how)
    assert look(seen, "sockets") == LOOKED
    assert seen.captures == ()


@pytest.mark.parametrize("when", ["start", "stop"])
def test_sockets_that_fail_lose_nothing_else(sockets: Sockets, capture: Capture, when: str) -> None:
    sockets.fails_at = when
    capture.connections = (connection(0, S),)
    seen = play()
    assert seen.connections == capture.connections
    told = look(seen, "sockets")
    assert told.state == "could_not_look"
    assert told.how == "it crashed: RuntimeError: no socket today"


def test_a_watch_that_never_began_has_seen_nothing_and_says_so(capture: Capture) -> None:
    watching = NetworkWatch(SCOPE)
    seen = watching.stop(RUN, ())
    assert {(one.observer, one.state) for one in seen.looks} == {
        ("sockets", "could_not_look"),
        ("capture", "could_not_look"),
    }
    watching.abandon()
    assert capture.said == []


def test_what_is_given_up_is_over(sockets: Sockets, capture: Capture) -> None:
    watching = NetworkWatch(SCOPE)
    watching.prepare()
    watching.start(lambda: (1,))
    watching.abandon()
    assert sockets.is_over
    assert capture.said == ["started", "stopped"]


@pytest.mark.usefixtures("capture")
def test_a_balancer_that_cannot_be_asked_is_told(sockets: Sockets, tmp_path: Path) -> None:
    sockets.connections = (replace(connection(0, S), seen_by="sockets"),)
    place = tmp_path / "stats"
    seen = play(replace(SCOPE, stats_socket=place))
    told = look(seen, "balancer")
    assert told.state == "could_not_look"
    assert told.how == f"{place}: no such file or directory"
    assert [one.backend for one in seen.connections] == [""]


@pytest.mark.usefixtures("sockets", "capture")
def test_where_there_is_no_balancer_nobody_looked_at_one() -> None:
    assert {one.observer for one in play().looks} == {"sockets", "capture"}


@pytest.mark.parametrize(
    ("question", "is_ours"),
    [
        (lookup(0, S), True),
        (lookup(0, S, name="API.example.com"), True),
        (lookup(0, S, name="api.example.com.corp.example.com"), True),
        (lookup(0, S, name="other.example.com"), False),
        (lookup(0, S, name="myapi.example.com"), False),
        (lookup(0, S, name=""), False),
    ],
    ids=["the server's", "in capitals", "searched", "another's", "longer", "unread"],
)
def test_a_captured_question_counts_where_it_asks_for_the_server(
    question: Lookup, *, is_ours: bool
) -> None:
    found = about([question], "api.example.com", ())
    assert found == ((question,) if is_ours else ())


@pytest.mark.parametrize(
    ("other", "is_ours"),
    [
        (lookup(S // 2, S, seen_by="sockets"), True),
        (lookup(S // 2, None, seen_by="sockets"), True),
        (lookup(2 * S, S, seen_by="sockets"), False),
        (lookup(0, S, seen_by="sockets", server="10.0.0.9:53"), False),
    ],
    ids=["at the same time", "never answered", "later", "another server"],
)
def test_any_other_counts_where_the_command_was_seen_to_ask(
    other: Lookup, *, is_ours: bool
) -> None:
    question = lookup(0, S, name="login.example.com")
    assert about([question], "", [other]) == ((question,) if is_ours else ())


def test_another_programs_slow_question_is_none_of_the_commands(
    sockets: Sockets, capture: Capture
) -> None:
    capture.lookups = (lookup(0, 5 * S, name="elsewhere.example.com"), lookup(0, MS))
    assert [one.name for one in play().lookups] == ["api.example.com"]
    assert sockets.is_over


def test_only_what_routers_said_of_these_servers_is_kept() -> None:
    ours, other = (
        PathMessage(at_ns=START, sender="10.0.0.1", kind="too_big", about=place, mtu_bytes=1400)
        for place in ("127.0.0.1:6443", "10.9.9.9:443")
    )
    assert concerning([ours, other], [connection(0, S)]) == (ours,)
