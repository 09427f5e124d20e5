"""A long wire: real TCP over it comes later and unharmed, and the cable is as before without it."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator, Mapping

import pytest

from impaired_cable import (
    FAMILIES,
    PORT,
    TIMEOUT_S,
    Place,
    connect_s,
    connected,
    disturbed,
    two_hosts,
    untouched,
)
from kubelag.errors import LabError
from kubelag.lab.network.impair.cable import send_plain_frames
from kubelag.lab.network.impair.delay import Delay
from kubelag.lab.network.impair.loss import Loss
from kubelag.lab.network.impair.probes import send_segments, try_connect
from kubelag.lab.processes import find_marked
from kubelag.lab.waiting import wait_until

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Place]]:
    with two_hosts(tmp_path_factory.mktemp("impair")) as made:
        yield made


@pytest.fixture(params=FAMILIES.values(), ids=FAMILIES)
def place(request: pytest.FixtureRequest, hosts: Mapping[str, Place]) -> Iterator[Place]:
    with untouched(hosts[request.param]) as found:
        yield found


def test_a_long_wire_delays_every_round_trip(place: Place) -> None:
    delay = place.delay(0.04)
    with disturbed(delay):
        assert " ms to host and " in delay.see(place.near, place.far)
        assert connect_s(place) >= 0.08
        arrivals = send_segments(place.far, place.near, count=100)
        assert arrivals.lost_ratio == 0
        assert min(arrivals.times_s) >= 0.04
    with pytest.raises(LabError, match="instead of 40 ms"):
        delay.see(place.near, place.far)
    assert connect_s(place) < 0.08


@pytest.mark.parametrize("is_plain", [True, False], ids=["plain frames", "long frames"])
def test_a_wire_brings_what_was_sent(place: Place, *, is_plain: bool) -> None:
    word = "off" if is_plain else "on"
    sent = os.urandom(4 << 20)
    try:
        for spot in (place.near, place.far):
            offloads = ("tso", word, "gso", word)
            spot.host.tool("ethtool", "-K", "eth0", *offloads, problem="no ethtool")
        with disturbed(place.delay(0.005)), connected(place) as (client, server):
            sender = threading.Thread(target=client.sendall, args=(sent,))
            sender.start()
            arrived = server.makefile("rb").read(len(sent))
            sender.join()
        assert arrived == sent
    finally:
        for spot in (place.near, place.far):
            send_plain_frames(spot.host, "eth0")


def test_what_else_is_done_to_the_cable_acts_behind_a_wire_too(place: Place) -> None:
    loss = Loss(cable=place.cable, ratio=0.5)
    with disturbed(loss), disturbed(place.delay(0.01)):
        assert "got lost" in loss.see(place.near, place.far)


def test_a_connection_outlives_the_wire(place: Place) -> None:
    with connected(place) as (client, server):
        for context in (disturbed(place.delay(0.01)), contextlib.nullcontext()):
            with context:
                client.sendall(b"x")
                assert server.recv(1) == b"x"


def test_a_wire_that_was_killed_is_found_and_the_cable_restored(place: Place) -> None:
    delay = place.delay(0.01)
    delay.on()
    (wire,) = find_marked(place.ledger.token)
    os.kill(wire.pid, signal.SIGKILL)
    wait_until(lambda: not delay.is_on(), timeout_s=TIMEOUT_S, problem="it lives")
    ended = try_connect(place.near.host, place.far.address, PORT, 0.2)
    delay.off()
    assert ended in {"timeout", "EHOSTUNREACH"}
    assert send_segments(place.near, place.far, count=5).lost_ratio == 0


def test_a_wire_that_cannot_be_laid_leaves_the_cable_as_it_was(place: Place) -> None:
    (place.directory / "open").mkdir(mode=0o755, exist_ok=True)
    open_to_others = Delay(
        cable=place.cable, one_way_s=0.01, directory=place.directory / "open", marks={}
    )
    with pytest.raises(LabError, match="not private"):
        open_to_others.on()
    assert send_segments(place.near, place.far, count=5).lost_ratio == 0
