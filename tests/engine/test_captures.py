"""Captures that the user brings: joined to the run that they are of, or alone."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evidence import blind, connection, evidence, looked, lookup, path, pause, request, without
from kubelag.engine.captures import Files, evidence_of, with_captures
from kubelag.errors import CaptureError
from kubelag.model.evidence import Evidence, Look, Run
from kubelag.model.network import Connection, PathMessage
from kubelag.observe.capture.reading import read_capture
from kubelag.observe.capture.wanted import Wanted
from observe.capture.script import BEGIN, BEGIN_S, packets, pcap

S = 1_000_000_000
BEGAN = BEGIN_S * S
CLIENT, SERVER = "10.0.0.1:40000", "10.0.0.2:6443"
QUIET = "0.003 c say 100\n0.004 s say 500\n0.005 c ack\n2.1 c say 100\n2.101 s say 500\n2.102 c ack"
WAY_S = 0.0002


def near(directory: Path, text: str = QUIET, name: str = "near.pcap") -> Path:
    (directory / name).write_bytes(pcap(packets(BEGIN + text)))
    return directory / name


def far(directory: Path, shift_s: float = 0.0) -> Path:
    """The same as `near` at the other end."""
    moved = [
        (at + (WAY_S if data[15] == 1 else -WAY_S) + shift_s, data)
        for at, data in packets(BEGIN + QUIET)
    ]
    (directory / "far.pcap").write_bytes(pcap(sorted(moved)))
    return directory / "far.pcap"


def asked() -> Any:
    one = request("/api/v1/nodes", 0, 0)
    url = f"https://{SERVER}/api/v1/nodes"
    return replace(one, url=url, start_ns=BEGAN, end_ns=BEGAN + 3 * S)


def run(**changes: Any) -> Evidence:
    """One of three seconds, that the sockets were watched of."""
    base = evidence(
        run=Run(start_ns=BEGAN, end_ns=BEGAN + 3 * S, exit_code=0),
        requests=(asked(),),
        connections=(known(),),
        path=path(host="10.0.0.2", is_literal=True),
        looks=(*looked("sockets", "syscalls"), blind("capture", "tcpdump is not installed")),
    )
    return replace(base, **changes)


def known(**changes: Any) -> Connection:
    """The connection of the captures, as the sockets' watcher saw it."""
    base = replace(
        connection(0, 0),
        client=CLIENT,
        server=SERVER,
        seen_by="sockets",
        first_ns=BEGAN,
        last_ns=BEGAN + 3 * S,
        rtt_smoothed_ns=7,
    )
    return replace(base, **changes)


def test_a_run_without_captures_stays_as_it_is() -> None:
    seen = run()
    assert with_captures(seen, Files()) is seen


def test_a_near_capture_tells_of_the_runs_connections(tmp_path: Path) -> None:
    found = with_captures(run(), Files(near=near(tmp_path)))
    (one,) = found.connections
    assert (one.seen_by, one.client, one.sent_bytes, one.received_bytes) == (
        "capture",
        CLIENT,
        200,
        1000,
    )
    assert one.rtt_smoothed_ns == 7
    assert [each.length_ns // (S // 10) for each in one.pauses] == [20]
    assert [each.name for each in found.captures] == ["near.pcap"]
    (look,) = (each for each in found.looks if each.observer == "capture")
    assert look.state == "looked"
    assert look.how.startswith("near.pcap, 9 packets")


def test_what_outlasts_the_command_was_never_over_for_it(tmp_path: Path) -> None:
    short = run(run=Run(start_ns=BEGAN, end_ns=BEGAN + S, exit_code=0))
    (one,) = with_captures(short, Files(near=near(tmp_path))).connections
    assert [(each.end_ns, each.is_over) for each in one.pauses] == [(BEGAN + S, False)]


def test_what_our_own_capture_and_the_balancer_had_told_is_kept(tmp_path: Path) -> None:
    """A bundle's connections were seen by our own capture: they are the command's all the same."""
    own = known(seen_by="capture", backend="master2", pauses=(pause(0, S),))
    (one,) = with_captures(run(connections=(own,)), Files(near=near(tmp_path))).connections
    assert (one.backend, one.sent_bytes) == ("master2", 200)
    assert [each.length_ns // (S // 10) for each in one.pauses] == [20]


def test_a_capture_of_another_programs_connection_is_refused(tmp_path: Path) -> None:
    stranger = known(client="10.0.0.1:5555")
    seen = run(connections=(stranger,))
    with pytest.raises(CaptureError, match="no connection of this run"):
        with_captures(seen, Files(near=near(tmp_path)))


def test_where_nobody_watched_the_sockets_all_that_went_there_counts(tmp_path: Path) -> None:
    seen = run(connections=(), looks=without("sockets"))
    (one,) = with_captures(seen, Files(near=near(tmp_path))).connections
    assert one.client == CLIENT


def test_a_capture_of_another_time_is_refused(tmp_path: Path) -> None:
    hour_ns = 3600 * S
    later = Run(start_ns=BEGAN + hour_ns, end_ns=BEGAN + hour_ns + S, exit_code=0)
    seen = run(run=later, connections=(), looks=without("sockets"))
    with pytest.raises(CaptureError, match="no connection of this run"):
        with_captures(seen, Files(near=near(tmp_path)))


def test_questions_of_the_run_stay(tmp_path: Path) -> None:
    own = replace(lookup(0, 5, seen_by="sockets"), asked_ns=BEGAN, answered_ns=BEGAN + 5)
    assert with_captures(run(lookups=(own,)), Files(near=near(tmp_path))).lookups == (own,)


def test_two_captures_are_compared(tmp_path: Path) -> None:
    found = with_captures(run(), Files(near=near(tmp_path), far=far(tmp_path, 3600.0)))
    assert found.comparison is not None
    assert "the client was silent for 2.10 s" in found.comparison.sentence
    assert found.comparison.sentence.endswith(", in the 2.10 s of 3.00 s that both captures cover")
    assert found.comparison.offset_ns == pytest.approx(-3600 * S, abs=S // 1000)
    assert [one.name for one in found.captures] == ["near.pcap", "far.pcap"]


def test_our_own_capture_is_the_near_one_where_no_other_is_given(tmp_path: Path) -> None:
    live = read_capture(near(tmp_path), Wanted(), name="live")
    seen = run(captures=(live.file,))
    found = with_captures(seen, Files(far=far(tmp_path)), live)
    assert found.comparison is not None
    assert [one.name for one in found.captures] == ["live", "far.pcap"]
    assert found.connections == seen.connections


def test_a_far_capture_alone_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    with pytest.raises(CaptureError) as caught:
        with_captures(run(), Files(far=far(tmp_path)))
    assert caught.value.message.endswith("has nothing to be compared with")
    assert caught.value.next_step == "give the near one too with --pcap"


def test_a_capture_of_another_incident_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.pcap"
    talk = packets(BEGIN + "0.003 c say 77\n0.004 s say 11")
    moved = [(at, data[:4] + b"\x77\x77" + data[6:24] + b"\x55" + data[25:]) for at, data in talk]
    other.write_bytes(pcap(moved))
    with pytest.raises(CaptureError, match=r"other\.pcap"):
        with_captures(run(), Files(near=near(tmp_path), far=other))


# Alone.


def test_a_capture_alone_is_told_as_what_it_is(tmp_path: Path) -> None:
    found = evidence_of(Files(near=near(tmp_path)))
    assert found.command == ("near.pcap",)
    assert (found.run.start_ns, found.run.wall_ns // (S // 10)) == (BEGAN, 21)
    assert found.requests == ()
    assert found.cache is None
    assert [one.client for one in found.connections] == [CLIENT]
    assert found.has_looked("capture")


def test_nobody_else_has_looked_and_nobody_was_asked_to(tmp_path: Path) -> None:
    found = evidence_of(Files(near=near(tmp_path)))
    others = [look for look in found.looks if look.observer != "capture"]
    assert {(look.state, look.how) for look in others} == {
        ("not_asked", "a capture alone was given")
    }
    assert {"syscalls", "host", "path", "kubeconfig", "cache_directory"} <= {
        look.observer for look in others
    }


def test_two_captures_alone_are_compared(tmp_path: Path) -> None:
    found = evidence_of(Files(near=near(tmp_path), far=far(tmp_path)))
    assert found.comparison is not None
    assert len(found.captures) == 2


def test_a_capture_without_a_connection_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.pcap").write_bytes(pcap([]))
    with pytest.raises(CaptureError, match="holds no TCP connection"):
        evidence_of(Files(near=tmp_path / "none.pcap"))


def test_a_near_capture_is_needed(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="no capture to read"):
        evidence_of(Files(far=far(tmp_path)))


def test_routers_words_on_other_servers_are_not_the_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kubelag.observe.capture import reading  # noqa: PLC0415 - the module that is changed

    seen = read_capture(near(tmp_path), Wanted())
    said = [
        PathMessage(at_ns=BEGAN, sender="10.0.0.9", kind="unreachable", about=about)
        for about in (SERVER, "10.7.7.7:443")
    ]
    values = {name: getattr(seen, name) for name in type(seen).__slots__}
    told = type(seen)(**(values | {"messages": tuple(said)}))
    monkeypatch.setattr(reading, "read_capture", lambda *_, **__: told)
    found = with_captures(run(), Files(near=tmp_path / "near.pcap"))
    assert [one.about for one in found.messages] == [SERVER]


def test_a_look_is_there_once(tmp_path: Path) -> None:
    found = with_captures(run(), Files(near=near(tmp_path)))
    names = [look.observer for look in found.looks]
    assert len(names) == len(set(names))
    assert isinstance(found.looks[0], Look)


@pytest.fixture
def ordinary() -> Iterator[None]:
    """Root may read everything, so for once we are not."""
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(65534)
    yield
    if was_root:
        os.seteuid(0)


@pytest.mark.parametrize("name", ["near.pcap", "closed/near.pcap"])
def test_what_an_ordinary_user_may_not_read_is_one_sentence(
    tmp_path: Path, name: str, request: pytest.FixtureRequest
) -> None:
    source = tmp_path / name
    source.parent.mkdir(exist_ok=True)
    source.write_bytes(b"")
    source.chmod(0)
    if source.parent != tmp_path:
        source.parent.chmod(0)
        request.addfinalizer(lambda: source.parent.chmod(0o700))
    request.getfixturevalue("ordinary")
    with pytest.raises(CaptureError, match=rf"You may not read the capture .*{name}"):
        evidence_of(Files(near=source))
