"""Real TCP over real cables that are disturbed: the effect is measured, and gone when it is off."""

import contextlib
import pickle
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping

import pytest

from impaired_cable import (
    FAMILIES,
    PORT,
    TIMEOUT_S,
    Place,
    Switch,
    connected,
    disturbed,
    listening,
    open_socket,
    retransmitted,
    two_hosts,
    untouched,
)
from kubelag.errors import LabError
from kubelag.lab.network.impair.black_hole import BlackHole
from kubelag.lab.network.impair.cable import BOTH_WAYS, Spot
from kubelag.lab.network.impair.forgotten import ForgottenConnections
from kubelag.lab.network.impair.loss import Loss
from kubelag.lab.network.impair.mtu_black_hole import MtuBlackHole
from kubelag.lab.network.impair.nobody import NobodyThere
from kubelag.lab.network.impair.probes import send_segments, transfer_s, try_connect
from kubelag.lab.network.impair.rate import Rate
from kubelag.lab.waiting import wait_until

pytestmark = pytest.mark.real
TRANSFER_BYTES = 200_000


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Place]]:
    with two_hosts(tmp_path_factory.mktemp("impair")) as made:
        yield made


@pytest.fixture(params=FAMILIES.values(), ids=FAMILIES)
def place(request: pytest.FixtureRequest, hosts: Mapping[str, Place]) -> Iterator[Place]:
    with untouched(hosts[request.param]) as found:
        yield found


def test_a_lossy_cable_makes_tcp_send_again(place: Place) -> None:
    loss = Loss(cable=place.cable, ratio=0.2)
    with disturbed(loss):
        assert "got lost" in loss.see(place.near, place.far)
        with connected(place) as (client, _):
            client.sendall(bytes(120_000))
            wait_until(
                lambda: retransmitted(client) > 0, timeout_s=TIMEOUT_S, problem="nothing sent again"
            )
    with pytest.raises(LabError, match=r"0\.0% instead of 20\.0%"):
        loss.see(place.near, place.far)


def test_a_cable_that_loses_every_syn_is_tried_again_and_again(place: Place) -> None:
    with disturbed(Loss(cable=place.cable, ratio=1.0, directions=("from_host",))):
        ended = try_connect(place.near.host, place.far.address, PORT, 1.5)
        assert ended == "timeout"
        back = send_segments(place.far, place.near, count=20)
        assert back.lost_ratio == 0


def test_loss_of_one_port_spares_the_others(place: Place) -> None:
    loss = Loss(cable=place.cable, ratio=0.5, tcp_ports=(6443, PORT))
    with disturbed(loss):
        assert "got lost" in loss.see(place.near, place.far)
        for port, is_spared in ((PORT, False), (53, True)):
            arrivals = send_segments(place.near, place.far, count=50, port=port)
            assert (arrivals.lost_ratio == 0) is is_spared


@pytest.mark.parametrize("direction", BOTH_WAYS)
def test_a_narrow_link_takes_its_time(place: Place, direction: str) -> None:
    rate = Rate(cable=place.cable, bits_per_s=2_000_000)
    ends = (place.near, place.far) if direction == "from_host" else (place.far, place.near)
    with disturbed(rate):
        took_s = transfer_s(*ends, TRANSFER_BYTES, TIMEOUT_S)
        assert took_s is not None
        assert took_s >= 0.8 * TRANSFER_BYTES * 8 / rate.bits_per_s
    wide_s = transfer_s(*ends, TRANSFER_BYTES, TIMEOUT_S)
    assert wide_s is not None
    assert wide_s < took_s / 2


def test_a_narrow_link_says_what_it_takes(place: Place) -> None:
    rate = Rate(cable=place.cable, bits_per_s=1_000_000, directions=("to_host",))
    with disturbed(rate):
        assert rate.see(place.near, place.far).startswith("125000 bytes on ")
    with pytest.raises(LabError, match=r"instead of 1\.00 s"):
        rate.see(place.near, place.far)


def test_long_packets_vanish_and_short_ones_pass(place: Place) -> None:
    hole = MtuBlackHole(cable=place.cable, mtu_bytes=1400)
    with disturbed(hole):
        assert "none of 1401" in hole.see(place.near, place.far)
        with connected(place) as (client, server):
            server.sendall(b"short")
            assert client.recv(100) == b"short"
            server.sendall(bytes(10_000))
            client.settimeout(0.5)
            with pytest.raises(TimeoutError):
                client.recv(1)
            assert retransmitted(server) > 0
        assert transfer_s(place.near, place.far, TRANSFER_BYTES, TIMEOUT_S) is not None
    with pytest.raises(LabError, match="10 of a byte more"):
        hole.see(place.near, place.far)
    assert transfer_s(place.far, place.near, TRANSFER_BYTES, TIMEOUT_S) is not None


@pytest.mark.parametrize("names", [1, 200], ids=["small certificate", "big certificate"])
def test_a_tls_handshake_stalls_at_a_big_certificate(place: Place, names: int) -> None:
    trustme = pytest.importorskip("trustme")
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    sites = [f"{number}.example" for number in range(names)]
    authority.issue_cert(*sites, key_type=trustme.KeyType.ECDSA).configure_cert(served)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    hole = MtuBlackHole(cable=place.cable, mtu_bytes=1300, directions=BOTH_WAYS)
    with disturbed(hole), connected(place) as (client, server):
        server.settimeout(2.0)

        def serve() -> None:
            with contextlib.suppress(OSError), served.wrap_socket(server, server_side=True):
                pass

        serving = threading.Thread(target=serve)
        serving.start()
        client.settimeout(1.0)
        try:
            trusting.wrap_socket(client, server_hostname="0.example").close()
            is_through = True
        except TimeoutError:
            is_through = False
        serving.join()
    assert is_through is (names == 1)


def test_a_black_hole_is_silent_and_its_neighbours_are_not(place: Place) -> None:
    ours = BlackHole(cable=place.cable, address=place.far.address, port=PORT)
    with listening(place.far), disturbed(ours):
        assert "none of 10 segments arrives" in ours.see(place.near, place.far)
        assert try_connect(place.near.host, place.far.address, PORT, 0.5) == "timeout"
        other_port = try_connect(place.near.host, place.far.address, PORT + 1, 5)
        assert other_port == "ECONNREFUSED"
    assert try_connect(place.near.host, place.far.address, PORT + 1, 5) == "ECONNREFUSED"
    with pytest.raises(LabError, match="10 arrive"):
        ours.see(place.near, place.far)


def test_a_whole_address_may_be_a_black_hole_for_everybody(place: Place) -> None:
    theirs = BlackHole(cable=place.cable, address=place.near.address, direction="to_host")
    with disturbed(theirs):
        assert "none of 10 segments arrives" in theirs.see(place.near, place.far)
        assert try_connect(place.far.host, place.near.address, PORT, 0.5) == "timeout"
    assert try_connect(place.far.host, place.near.address, PORT, 5) == "ECONNREFUSED"


def test_an_address_that_is_not_there_is_no_place_to_measure_from(place: Place) -> None:
    nowhere = Spot(host=place.near.host, address=place.far.address)
    with pytest.raises(LabError, match=f"{place.far.address} cannot send"):
        send_segments(nowhere, place.far, count=1)


def test_two_black_holes_do_not_take_each_other_away(place: Place) -> None:
    one, other = (
        BlackHole(cable=place.cable, address=place.far.address, port=port) for port in (1, 2)
    )
    with disturbed(one):
        with disturbed(other):
            pass
        assert one.is_on()
        assert "none of 10" in one.see(place.near, place.far)


def test_nobody_has_the_address(place: Place) -> None:
    address = place.near.address.removesuffix("11") + "77"
    nobody = NobodyThere(host=place.near.host, interface="eth0", address=address)
    with disturbed(nobody):
        assert "no answer" in nobody.see()
    with pytest.raises(LabError, match=r"stands|ends with"):
        NobodyThere(host=place.near.host, interface="eth0", address=place.near.address).see()


def test_standing_connections_are_forgotten_and_new_ones_pass(place: Place) -> None:
    forgotten = ForgottenConnections(cable=place.cable, address=place.far.address, port=PORT)
    with pytest.raises(LabError, match="no connection"):
        forgotten.on()
    with listening(place.far) as listener, open_socket(place.near) as old:
        old.connect((place.far.address, PORT))
        old_server, _ = listener.accept()
        with old_server, open_socket(place.near) as new:
            with disturbed(forgotten):
                new.connect((place.far.address, PORT))
                new_server, _ = listener.accept()
                assert "1 are forgotten" in forgotten.see(place.near, place.far)
                old.sendall(b"old")
                new.sendall(b"new")
                assert new_server.recv(3) == b"new"
                old_server.settimeout(0.5)
                with pytest.raises(TimeoutError):
                    old_server.recv(1)
                new_server.close()
            old_server.settimeout(TIMEOUT_S)
            assert old_server.recv(3) == b"old"


OTHERS: tuple[Callable[[Place], Switch], ...] = (
    lambda place: Loss(cable=place.cable, ratio=0.2),
    lambda place: Rate(cable=place.cable, bits_per_s=1_000_000),
    lambda place: MtuBlackHole(cable=place.cable, mtu_bytes=1400),
    lambda place: BlackHole(cable=place.cable, address=place.far.address, port=PORT),
    lambda place: place.delay(0.01),
)


@pytest.mark.parametrize("make", OTHERS, ids=["loss", "rate", "mtu", "black hole", "delay"])
def test_another_process_can_switch_it_off(place: Place, make: Callable[[Place], Switch]) -> None:
    switch = make(place)
    switch.on()
    try:
        script = "import pickle, sys; pickle.load(sys.stdin.buffer).off()"
        subprocess.run(
            (sys.executable, "-c", script), input=pickle.dumps(switch), check=True, timeout=60
        )
        assert not switch.is_on()
    finally:
        switch.off()
