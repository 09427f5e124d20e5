"""Causes on the way to the server, with evidence for each thing that they can say."""

from dataclasses import replace

import pytest

from asking import NODES, asked
from evidence import (
    MS,
    SERVER,
    START,
    S,
    burst,
    connection,
    evidence,
    path,
    pause,
    probe,
    request,
    silent,
    unanswered,
    without,
)
from judging import judged, suspects
from kubelag.causes.address_dead import AddressDead
from kubelag.causes.backend_unwell import BackendUnwell
from kubelag.causes.bandwidth_narrow import BandwidthNarrow
from kubelag.causes.connection_died import ConnectionDied
from kubelag.causes.contract import Cause
from kubelag.causes.http1_only import Http1Only
from kubelag.causes.ipv6_unreachable import Ipv6Unreachable
from kubelag.causes.large_packets_vanish import LargePacketsVanish
from kubelag.causes.packet_loss import PacketLoss
from kubelag.causes.proxy_slow import ProxySlow
from kubelag.causes.round_trips_long import RoundTripsLong
from kubelag.causes.server_unreachable import ServerUnreachable
from kubelag.causes.tls_slow import TlsSlow
from kubelag.causes.virtual_address_moved import VirtualAddressMoved
from kubelag.model.evidence import Evidence
from kubelag.model.path import Neighbour

DEAD, ALIVE = "192.0.2.1:6443", SERVER
DEAD_ADDRESS = asked(
    10_030 * MS,
    connections=(unanswered(0, 7 * S, server=DEAD), connection(10 * S, 40 * MS, 2, server=ALIVE)),
    path=path(addresses=(DEAD, ALIVE), front=(silent(address=DEAD), probe())),
)
NO_IPV6 = asked(
    330 * MS,
    connections=(
        unanswered(0, 300 * MS, server="[2001:db8::1]:6443"),
        connection(300 * MS, 40 * MS, 2),
    ),
    path=path(front=(silent(address="[2001:db8::1]:6443"), probe())),
)
UNREACHABLE = replace(
    asked(
        30 * S,
        connections=(unanswered(0, 15 * S), unanswered(15 * S, 15 * S, number=2)),
        path=path(front=(silent(),), behind=(), backends=()),
    )
)
LOSSY = asked(
    1_500 * MS,
    connections=(
        connection(
            0,
            1_500 * MS,
            sent_again=3,
            received_again=4,
            pauses=(
                pause(10 * MS, 600 * MS, retransmissions=2, awaited="unclear"),
                pause(700 * MS, 700 * MS, retransmissions=2, awaited="unclear"),
            ),
        ),
    ),
)
BLACK_HOLE = asked(
    10 * S,
    connections=(
        connection(
            0, 10 * S, secured_ns=None, server_hello_ns=None, ending="client_reset", rtt_ns=None
        ),
    ),
    path=path(
        front=(silent(connect_ns=MS, error="no TLS answer within 3 s"),),
        small_front=(probe(segment_limit_bytes=1000),),
        behind=(),
        backends=(),
    ),
)
SLOW_TLS = asked(
    2_030 * MS,
    connections=(connection(0, 2_030 * MS, secured_ns=START + 2_010 * MS),),
    path=path(front=(probe(tls_ns=2 * S),) * 3),
)
BY_PROXY = path(proxy="proxy.test:6443", proxy_source="HTTPS_PROXY")
SLOW_PROXY = asked(
    3_030 * MS,
    connections=(
        connection(
            0,
            3_030 * MS,
            proxy_asked_ns=START + MS,
            proxy_answered_ns=START + 3_001 * MS,
            hello_ns=START + 3_002 * MS,
            secured_ns=START + 3_004 * MS,
        ),
    ),
    path=BY_PROXY,
)
DEAD_PROXY = asked(30 * S, connections=(unanswered(0, 30 * S),), path=BY_PROXY)
FAR = asked(
    600 * MS,
    connections=(
        connection(
            0,
            600 * MS,
            established_ns=START + 100 * MS,
            hello_ns=START + 100 * MS,
            server_hello_ns=START + 200 * MS,
            secured_ns=START + 203 * MS,
            rtt_ns=100 * MS,
            bursts=(
                burst("client", 100 * MS),
                burst("server", 200 * MS),
                burst("client", 203 * MS),
                burst("server", 590 * MS),
            ),
        ),
    ),
    path=path(front=(probe(connect_ns=100 * MS),)),
)
NARROW = evidence(
    3_100 * MS,
    requests=(request(NODES, 0, 60 * MS),),
    connections=(
        connection(
            0,
            3_100 * MS,
            rtt_ns=MS,
            rtt_smoothed_ns=300 * MS,
            received_bytes=250 * 1448,
            bursts=(
                burst("client", 4 * MS),
                *(burst("server", (50 + 12 * n) * MS, 1448) for n in range(250)),
            ),
        ),
    ),
)
MOVED = asked(
    3_500 * MS,
    connections=(
        connection(
            0,
            3 * S,
            macs=("02:00:00:00:00:01",),
            ending="server_reset",
            pauses=(pause(100 * MS, 2_900 * MS, retransmissions=4, awaited="unclear"),),
        ),
        connection(3_100 * MS, 300 * MS, 2, macs=("02:00:00:00:00:02",)),
    ),
)
DIED = asked(
    45 * S,
    connections=(
        connection(
            0,
            45 * S,
            pauses=(pause(S, 44 * S, retransmissions=9, awaited="unclear", is_over=False),),
        ),
    ),
)


@pytest.mark.parametrize(
    ("seen", "cause", "component", "experiment"),
    [
        (DEAD_ADDRESS, AddressDead(), DEAD, "address_literal"),
        (NO_IPV6, Ipv6Unreachable(), "[2001:db8::1]:6443", "ipv4_only"),
        (UNREACHABLE, ServerUnreachable(), SERVER, ""),
        (LOSSY, PacketLoss(), "7 of 20 segments", ""),
        (BLACK_HOLE, LargePacketsVanish(), SERVER, "small_segments"),
        (SLOW_PROXY, ProxySlow(), "proxy.test:6443 (from HTTPS_PROXY)", "bypass_proxy"),
        (DEAD_PROXY, ProxySlow(), "cannot be reached", "bypass_proxy"),
        (FAR, RoundTripsLong(), "100 ms", "delay_response"),
        (NARROW, BandwidthNarrow(), "Mbit/s", ""),
        (MOVED, VirtualAddressMoved(), "02:00:00:00:00:02", "bypass_vip"),
        (DIED, ConnectionDied(), SERVER, ""),
    ],
    ids=lambda value: getattr(value, "id", None),
)
def test_the_right_cause_is_suspected_first_with_its_component(
    seen: Evidence, cause: Cause, component: str, experiment: str
) -> None:
    found = suspects(seen)
    first = max(found.values(), key=lambda one: one.high_ns)
    assert first.cause == cause.id
    assert component in first.sentence
    assert first.experiments == ((experiment,) if experiment else ())
    assert 0 <= first.low_ns <= first.high_ns


def test_where_only_ipv6_is_answered_ipv4_may_be_left_out() -> None:
    answered = replace(DEAD_ADDRESS.connections[-1], server="[2001:db8::1]:6443")
    seen = replace(DEAD_ADDRESS, connections=(*DEAD_ADDRESS.connections[:-1], answered))
    assert judged(AddressDead(), seen).experiments == ("address_literal", "ipv6_only")


def test_a_slow_terminator_is_told_from_slow_servers() -> None:
    judgement = judged(TlsSlow(), SLOW_TLS)
    assert judgement.standing == "suspected"
    assert judgement.sentence.startswith("what stands before the API servers takes 2.00 s")
    assert judgement.experiments == ("direct_backend",)
    both = replace(SLOW_TLS, path=path(front=(probe(tls_ns=2 * S),), behind=(probe(tls_ns=2 * S),)))
    assert judged(TlsSlow(), both).sentence.startswith("the server takes 2.00 s")


def test_a_stalled_handshake_that_did_not_come_again_accuses_nobody() -> None:
    stalled = replace(SLOW_TLS, path=path())
    judgement = judged(TlsSlow(), stalled)
    assert judgement.standing == "unknown"
    for candidate in ("dead server", "large packets", "proxy"):
        assert candidate in judgement.missing[0]
    assert "tls_slow" not in suspects(stalled)


TROUBLES = {
    "refuses connections": silent(hop="backend", backend="master2", took_ns=MS, error="refused"),
    "does not answer": silent(hop="backend", backend="master2"),
    "is slow": probe(hop="backend", backend="master2", answer_ns=1 * S),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_the_backend_that_is_not_as_the_others_is_named(trouble: str) -> None:
    healthy = path()
    behind = (healthy.behind[0], TROUBLES[trouble], healthy.behind[2])
    secured_ns = START + (10 * MS if trouble == "is slow" else 1_990 * MS)
    seen = asked(
        2 * S,
        connections=(connection(0, 2 * S, secured_ns=secured_ns, backend="master2"),),
        path=path(behind=behind),
    )
    found = suspects(seen)
    first = max(found.values(), key=lambda one: one.high_ns)
    assert first.cause == "backend_unwell"
    assert f"master2 (10.0.1.2:6443) {trouble}" in first.sentence
    assert first.experiments == ("direct_backend:master1",)
    assert first.supporting == ("direct_backend:master2",)
    assert (" against " in first.arithmetic) == (trouble != "refuses connections")
    assert "tls_slow" not in found
    assert "api_server_slow" not in found
    assert any("1 connection of this run went to master2" in fact.text for fact in first.facts)


def test_a_bad_backend_that_this_run_did_not_meet_is_only_told() -> None:
    healthy = path()
    bad = path(behind=(*healthy.behind[:2], silent(hop="backend", backend="master3")))
    judgement = judged(BackendUnwell(), asked(20 * MS, path=bad))
    assert judgement.standing == "ruled_out"
    assert "master3" in judgement.sentence
    assert "did not meet it" in judgement.sentence


FAILED = silent(tls_ns=None, connect_ns=MS, error="TLS failed: unexpected eof")


def test_a_server_that_only_the_balancer_knows_is_unwell() -> None:
    """The Endpoints forget an API server that has gone after some seconds."""
    stalled = connection(0, 3 * S, server_hello_ns=None, secured_ns=None)
    seen = asked(4 * S, connections=(stalled,), path=path(front=(probe(), FAILED, probe())))
    judgement = judged(BackendUnwell(), seen)
    assert judgement.standing == "suspected"
    assert "the balancer at api.example.com:6443, or a server that only it" in judgement.sentence
    assert "(the 3 API servers that are known answered directly): 1 of 3" in judgement.sentence
    assert not judgement.experiments  # a balancer with too much to do would be gone round, too
    assert judgement.supporting == ("direct_backend:master1",)


def test_known_servers_that_could_not_be_asked_are_not_acquitted() -> None:
    seen = path(front=(probe(), FAILED), behind=(silent(hop="backend", backend="master1"),))
    stalled = connection(0, 3 * S, server_hello_ns=None, secured_ns=None)
    judgement = judged(BackendUnwell(), asked(4 * S, connections=(stalled,), path=seen))
    assert judgement.sentence.startswith("one of the servers behind api.example.com:6443 is unwell")
    nobody = judged(BackendUnwell(), asked(2 * S, path=replace(seen, front=(probe(),))))
    assert nobody.standing == "unknown"


def test_a_connection_that_lost_packets_says_nothing_of_who_was_at_its_other_end() -> None:
    stalled = connection(0, 3 * S, server_hello_ns=None, secured_ns=None)
    lossy = replace(FAILED, retransmissions=3)
    seen = asked(4 * S, connections=(stalled,), path=path(front=(probe(), lossy, probe())))
    assert judged(BackendUnwell(), seen).standing == "unknown"
    moved = tuple(
        Neighbour(at_ns=START + n, address="127.0.0.1", mac=f"02:00:00:00:00:0{n}") for n in (1, 2)
    )
    seen = replace(seen, path=path(front=(probe(), FAILED, probe()), neighbours=moved))
    assert judged(BackendUnwell(), seen).standing == "unknown"


def test_healthy_backends_are_ruled_out_with_their_figures() -> None:
    judgement = judged(BackendUnwell(), asked(20 * MS))
    assert judgement.standing == "ruled_out"
    assert "3 API servers behind the address answered directly in 2.00 ms" in judgement.sentence


def test_without_backends_nobody_can_tell() -> None:
    alone = path(backends=(), behind=(), backends_why="the Endpoints object may not be read")
    judgement = judged(BackendUnwell(), asked(2 * S, path=alone))
    assert judgement.standing == "unknown"
    assert "may not be read" in judgement.missing[0]


def test_an_address_that_stayed_where_it_was_is_ruled_out_with_its_card() -> None:
    seen = path(
        neighbours=tuple(
            Neighbour(at_ns=START + at, address="127.0.0.1", mac="02:00:00:00:00:01")
            for at in (0, S)
        )
    )
    judgement = judged(VirtualAddressMoved(), asked(20 * MS, path=seen))
    assert judgement.standing == "ruled_out"
    assert judgement.sentence == "127.0.0.1 stayed at 02:00:00:00:00:01"


def test_losses_are_ruled_out_with_their_count() -> None:
    judgement = judged(PacketLoss(), asked(20 * MS, connections=(connection(0, 20 * MS),)))
    assert judgement.standing == "ruled_out"
    assert judgement.sentence == "0 of 20 segments on 1 connection sent again"


def test_the_round_trip_tells_how_many_are_waited_for() -> None:
    judgement = judged(RoundTripsLong(), FAR)
    assert judgement.dose_ns == 100 * MS
    assert judgement.arithmetic == "3.0 round trips x 100 ms = 300 ms"
    assert judgement.low_ns == 300 * MS


@pytest.mark.parametrize(
    "cause",
    [
        AddressDead(),
        Ipv6Unreachable(),
        ServerUnreachable(),
        PacketLoss(),
        TlsSlow(),
        Http1Only(),
        RoundTripsLong(),
        BandwidthNarrow(),
        VirtualAddressMoved(),
        ConnectionDied(),
    ],
    ids=lambda cause: cause.id,
)
def test_connections_that_nobody_watched_are_unknown(cause: Cause) -> None:
    blind = without("capture", "sockets", why="netlink is not permitted")
    judgement = judged(cause, asked(5 * S, looks=blind))
    assert judgement.standing == "unknown"
    assert "netlink is not permitted" in " ".join(judgement.missing)


@pytest.mark.parametrize(
    "cause", [BackendUnwell(), LargePacketsVanish()], ids=lambda cause: cause.id
)
def test_a_way_that_was_not_tried_is_unknown(cause: Cause) -> None:
    judgement = judged(cause, asked(5 * S, path=None, looks=without("path", why="crashed")))
    assert judgement.standing == "unknown"
    assert judgement.missing


@pytest.mark.parametrize(
    "cause", [BackendUnwell(), LargePacketsVanish(), ProxySlow()], ids=lambda cause: cause.id
)
def test_a_way_that_nobody_waited_for_needs_no_probe(cause: Cause) -> None:
    seen = asked(
        20 * MS, connections=(connection(0, 20 * MS),), path=None, looks=without("path", why="no")
    )
    assert judged(cause, seen).standing == "ruled_out"


def test_parallel_dials_in_vain_are_each_their_own_requests() -> None:
    seen = evidence(
        S,
        requests=tuple(request(f"/apis/g{n}/v1", n * MS, 330 * MS) for n in range(20)),
        connections=(
            *(unanswered(n * MS, 300 * MS, "[2001:db8::1]:6443", n) for n in range(20)),
            *(connection((300 + n) * MS, 40 * MS, 100 + n) for n in range(20)),
        ),
        path=path(front=(silent(address="[2001:db8::1]:6443"), probe())),
    )
    found = suspects(seen)
    assert "ipv6_unreachable" in found
    assert "api_server_slow" not in found
    assert "20 connections x 300 ms" in found["ipv6_unreachable"].arithmetic
