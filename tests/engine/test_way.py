"""What is said of each hop, healthy and not."""

from dataclasses import replace
from typing import Any

import pytest

from evidence import (
    MS,
    SERVER,
    START,
    S,
    connection,
    evidence,
    lookup,
    name_probe,
    path,
    probe,
    request,
    silent,
    unanswered,
)
from kubelag.engine.way import way
from kubelag.model.network import Lookup
from kubelag.model.path import Backend, BalancerCount, Certificate, Neighbour, PathMap, Resolver
from kubelag.model.report import WayLine

PROXY = "10.0.0.9:3128"
HOP = f"VIP/balancer {SERVER}"


def lines(found: PathMap | None = None, **changes: Any) -> dict[str, WayLine]:
    """By hop; each hop has one line."""
    told = list(way(evidence(path=found, **changes)))
    assert len(told) == len({one.hop for one in told})
    return {one.hop: one for one in told}


def test_nothing_is_said_where_nobody_looked() -> None:
    assert lines(None) == {}


def test_a_healthy_way_is_told_from_the_name_to_the_servers() -> None:
    found = lines(path(), connections=(connection(0, S),), requests=(request("/api", 0, S),))
    assert list(found) == [
        "DNS 10.0.0.2:53",
        HOP,
        "API server master1",
        "API server master2",
        "API server master3",
        "this run",
    ]
    assert all(one.is_well for one in found.values())
    assert found["DNS 10.0.0.2:53"].sentence == (
        "A 127.0.0.1 in 1.00 ms, AAAA has no address in 1.00 ms"
    )
    assert found[HOP].sentence == (
        "connect 1.00 ms, TLS 3.00 ms, answer 2.00 ms, round trip 1.00 ms, h2"
    )
    assert found["API server master2"].sentence == (
        "10.0.1.2:6443: connect 1.00 ms, TLS 3.00 ms, answer 2.00 ms, round trip 1.00 ms, h2"
    )


@pytest.mark.parametrize(
    ("code", "words"),
    [("timeout", "no answer"), ("refused", "refused to answer"), ("SERVFAIL", "SERVFAIL")],
)
def test_a_name_server_that_does_not_answer_is_not_well(code: str, words: str) -> None:
    bad = name_probe("A", code=code, took_ns=5 * S, server="10.0.0.3:53")
    found = lines(path(names=(name_probe("A", addresses=("127.0.0.1",)), bad)))
    assert found["DNS 10.0.0.2:53"].is_well
    line = found["DNS 10.0.0.3:53"]
    assert (line.is_well, line.sentence) == (False, f"A {words} in 5.00 s")


def test_a_searched_name_is_told_by_its_name() -> None:
    searched = name_probe("A", name="api.corp.example.com", code="NXDOMAIN", is_searched=True)
    line = lines(path(names=(searched,)))["DNS 10.0.0.2:53"]
    assert (line.is_well, line.sentence) == (True, "A api.corp.example.com NXDOMAIN in 1.00 ms")


def test_a_name_of_the_hosts_file_asks_nobody() -> None:
    resolver = Resolver(servers=("10.0.0.2:53",), hosts_file=("127.0.0.1",))
    found = lines(path(names=(), resolver=resolver))
    assert found["name"].sentence == "api.example.com is 127.0.0.1 by the hosts file"


def test_an_address_that_is_silent_is_not_well() -> None:
    line = lines(path(front=(probe(), silent(), silent())))[HOP]
    assert not line.is_well
    assert line.sentence.endswith("2 of 3 tries failed: no answer within 3 s")


def test_an_address_that_is_slow_is_not_well() -> None:
    line = lines(path(front=(probe(), probe(tls_ns=2 * S))))[HOP]
    assert not line.is_well
    assert "TLS 3.00 ms to 2.00 s" in line.sentence


def test_what_was_sent_again_and_how_large_packets_may_be_is_told() -> None:
    again = probe(retransmissions=2, path_mtu_bytes=1400)
    sentence = lines(path(front=(again,)))[HOP].sentence
    assert "2 segments sent again, path MTU 1,400 bytes" in sentence


@pytest.mark.parametrize(
    ("protocol", "words"), [("h2", "h2 over TLSv1.3"), ("", "no ALPN over TLSv1.3")]
)
def test_what_is_spoken_is_told(protocol: str, words: str) -> None:
    shown = probe(protocol=protocol, tls_version="TLSv1.3")
    assert lines(path(front=(shown,)))[f"VIP/balancer {SERVER}"].sentence.endswith(f", {words}")


def test_equal_figures_are_no_range() -> None:
    found = lines(path(front=(probe(tls_ns=3 * MS), probe(tls_ns=3 * MS + 1))))
    assert "TLS 3.00 ms, " in found[HOP].sentence


def shown(digest: str, ends_at: str, *names: str) -> Any:
    given = Certificate(sha256=digest, ends_at=f"{ends_at}T00:00:00+00:00", names=names)
    return probe(certificate=given)


def test_the_certificate_that_ends_first_is_told() -> None:
    both = (shown("a", "2030-01-02"), shown("b", "2029-01-02"))
    assert lines(path(front=both))["2 certificates"].sentence == "the first ends 2029-01-02"
    assert lines(path(front=both[:1]))["certificate"].sentence == "ends 2030-01-02"


def test_when_a_damaged_certificate_ends_is_not_known() -> None:
    damaged = probe(certificate=Certificate(sha256="a"))
    assert lines(path(front=(damaged,)))["certificate"].sentence == "ends at an unknown time"


def test_the_names_of_a_certificate_are_told_the_one_that_counts_first() -> None:
    names = ("kubernetes", "kubernetes.default", "10.0.0.1", "api.example.com")
    line = lines(path(front=(shown("a", "2030-01-02", *names),)))["certificate"]
    assert line.sentence == (
        "for api.example.com, kubernetes, kubernetes.default and 1 more, ends 2030-01-02"
    )


def card(address: str, mac: str, at_ns: int = 0) -> Neighbour:
    return Neighbour(at_ns=START + at_ns, address=address, mac=mac)


def test_an_address_that_moved_says_from_where_to_where() -> None:
    cards = (card("127.0.0.1", "02:00:00:00:00:02", S),)
    before = (card("127.0.0.1", "02:00:00:00:00:01"),)
    line = lines(path(neighbours=before), neighbours=cards)[HOP]
    assert not line.is_well
    assert line.sentence.endswith("it moved: 02:00:00:00:00:01 to 02:00:00:00:00:02")


def test_a_neighbour_whose_address_begins_alike_is_another() -> None:
    front = (probe(address="10.0.0.10:6443"),)
    cards = (card("10.0.0.10", "02:00:00:00:00:01"), card("10.0.0.1", "02:00:00:00:00:02", S))
    line = lines(path(front=front, neighbours=cards, backends=()))["address 10.0.0.10:6443"]
    assert line.is_well
    assert "moved" not in line.sentence


def test_an_address_of_ipv6_that_moved_is_known_without_its_brackets() -> None:
    front = (probe(address="[2001:db8::1]:6443"),)
    cards = (card("2001:db8::1", "02:00:00:00:00:01"), card("2001:db8::1", "02:00:00:00:00:02", S))
    line = lines(path(front=front, neighbours=cards))["VIP/balancer [2001:db8::1]:6443"]
    assert "it moved" in line.sentence


def proxied(*front: Any) -> dict[str, WayLine]:
    return lines(path(proxy=PROXY, proxy_source="HTTPS_PROXY", front=front, backends=()))


def test_a_proxy_says_how_fast_it_answers() -> None:
    found = proxied(probe(address=PROXY, hop="proxy", tunnel_ns=MS))
    assert found[f"proxy {PROXY}"].is_well
    assert found[f"proxy {PROXY}"].sentence == "answers CONNECT in 1.00 ms (from HTTPS_PROXY)"
    assert f"through {PROXY}" in found


@pytest.mark.parametrize("tunnel_ns", [None, 3 * S])
def test_a_proxy_that_is_dead_or_slow_is_not_well(tunnel_ns: int | None) -> None:
    found = proxied(probe(address=PROXY, hop="proxy", tunnel_ns=tunnel_ns))
    assert not found[f"proxy {PROXY}"].is_well


def test_what_lies_past_the_proxy_is_no_hop_that_could_be_unwell() -> None:
    tunnelled = probe(address=PROXY, hop="proxy", tunnel_ns=MS)
    found = proxied(tunnelled, silent(address="10.0.0.1:6443"))
    assert found["past the proxy, 10.0.0.1:6443"].is_well


def test_a_backend_that_refuses_is_not_well() -> None:
    behind = (probe(backend="master1"), silent(backend="master2", error="connection refused"))
    found = lines(path(behind=behind))
    assert [found[f"API server master{n}"].is_well for n in (1, 2, 3)] == [True, False, False]
    assert "1 of 1 try failed: connection refused" in found["API server master2"].sentence
    assert "not tried" in found["API server master3"].sentence


def test_a_backend_without_a_name_of_its_own_is_told_once() -> None:
    backends = tuple(
        Backend(name=place, address=place, source="endpoints")
        for place in ("10.0.1.1:6443", "10.0.1.2:6443")
    )
    line = lines(path(backends=backends, behind=()))["API server 10.0.1.1:6443"]
    assert line.sentence == "not tried"


def test_how_the_api_servers_were_found_and_which_was_met_in_turn_is_told() -> None:
    front = (*(probe(backend=name) for name in ("master2", "master1", "", "master2")), silent())
    found = lines(path(front=front, backends_why="given with --backend"))
    assert found["API servers"].sentence == (
        "3, given with --backend; met through the address in turn: 2 1 ? 2 x "
        "(numbered as listed, x failed, ? not known)"
    )


def test_api_servers_that_nobody_told_of_are_not_known() -> None:
    found = lines(path(backends=(), behind=(), backends_why="the cluster did not tell them"))
    assert found["API servers"].sentence == "not known: the cluster did not tell them"
    assert f"address {SERVER}" in found


def test_a_single_server_that_is_dialled_itself_stands_behind_nothing() -> None:
    alone = Backend(name=SERVER, address=SERVER, source="endpoints")
    found = lines(path(backends=(alone,), front=(probe(), probe())))
    assert not [hop for hop in found if hop.startswith("API server")]


def count(at_ns: int = 0, **changes: Any) -> BalancerCount:
    base = BalancerCount(
        at_ns=START + at_ns,
        frontend="api",
        server="master1",
        status="UP",
        sessions=10,
        connect_errors=1,
        retries=2,
    )
    return replace(base, **changes)


@pytest.mark.parametrize(
    ("later", "is_well", "words"),
    [
        (count(S, sessions=14), True, "UP, 4 sessions meanwhile"),
        (count(S, connect_errors=3), False, "2 failed connects"),
        (count(S, retries=3), False, "1 retry"),
        (count(S, downs=1), False, "went down 1 time"),
        (count(S, status="DOWN"), False, "DOWN, "),
        (count(S, status="MAINT (via x)"), False, "MAINT (via x), "),
        (count(S, status="no check"), True, "no check, "),
        (count(S, sessions=3, connect_errors=0, retries=0), True, "UP, 3 sessions meanwhile"),
    ],
    ids=["well", "errors", "retries", "downs", "down", "maintained", "unchecked", "restarted"],
)
def test_the_balancers_counters_say_what_happened_meanwhile(
    later: BalancerCount, words: str, *, is_well: bool
) -> None:
    line = lines(path(balancer=(count(), later)))["balancer's master1"]
    assert line.is_well == is_well
    assert words in line.sentence


def test_a_server_of_several_sections_is_told_with_its_section() -> None:
    found = lines(path(balancer=(count(), count(frontend="web"))))
    assert [hop for hop in found if hop.startswith("balancer")] == [
        "balancer's api/master1",
        "balancer's web/master1",
    ]


def test_counters_that_were_read_once_say_nothing_of_meanwhile() -> None:
    line = lines(path(balancer=(count(),)))["balancer's master1"]
    assert "what it did meanwhile is not known" in line.sentence
    assert "session" not in line.sentence


def this_run(*connections: Any) -> WayLine:
    found = path(port=6443)
    return lines(found, connections=connections, requests=(request("/api", 0, S),))["this run"]


def test_the_runs_own_connections_are_told_last() -> None:
    line = this_run(connection(0, S, backend="master1"), connection(0, S, 2, backend="master3"))
    assert line.is_well
    assert line.sentence == (
        "2 connections, connect 1.00 ms, TLS 2.00 ms, round trip 1.00 ms, 0 of 40 segments sent "
        "again, served by master1, master3"
    )


def test_a_handshake_that_was_too_short_to_be_seen_took_not_zero() -> None:
    short = connection(0, S, seen_by="sockets", hello_ns=None)
    assert "TLS too short to be seen, " in this_run(short).sentence


def test_a_handshake_of_the_run_that_never_finished_is_told() -> None:
    line = this_run(connection(0, S), connection(0, S, 2, secured_ns=None))
    assert not line.is_well
    assert "TLS 2.00 ms, 1 TLS handshake never finished, " in line.sentence


@pytest.mark.parametrize("stage", ["syn_ns", "hello_ns"])
def test_a_connection_of_the_run_that_took_long_to_make_is_not_well(stage: str) -> None:
    assert not this_run(connection(0, S, **{stage: START - S})).is_well


def test_what_the_kernel_told_of_the_runs_connections_is_told() -> None:
    line = this_run(connection(0, S, rtt_smoothed_ns=2 * MS, congestion_window=7))
    assert "round trip 1.00 ms (smoothed 2.00 ms), cwnd 7 segments, " in line.sentence


def question(took_ns: int | None) -> Lookup:
    answered_ns = None if took_ns is None else START + took_ns
    return Lookup(server="10.0.0.2:53", asked_ns=START, answered_ns=answered_ns, seen_by="capture")


@pytest.mark.parametrize(
    ("took_ns", "is_well", "words"),
    [
        ((MS, MS), True, "2 DNS questions answered in 1.00 ms, 1 connection, "),
        ((2 * S,), False, "1 DNS question answered in 2.00 s, "),
        ((MS, None), False, "2 DNS questions answered in 1.00 ms, 1 without an answer, "),
        ((None,), False, "1 DNS question without an answer, "),
    ],
    ids=["well", "slow", "one silent", "silent"],
)
def test_what_the_run_asked_name_servers_is_told(
    took_ns: tuple[int | None, ...], words: str, *, is_well: bool
) -> None:
    asked = tuple(question(one) for one in took_ns)
    made = {"connections": (connection(0, S),), "requests": (request("/api", 0, S),)}
    line = lines(path(port=6443), lookups=asked, **made)["this run"]
    assert line.is_well == is_well
    assert line.sentence.startswith(words)


def test_connections_that_never_came_about_are_told() -> None:
    line = this_run(unanswered(0, 3 * S), unanswered(0, 3 * S, number=2), connection(0, S, 3))
    assert not line.is_well
    assert line.sentence.startswith(f"3 connections, 2 of them never came about ({SERVER})")


def test_a_proxy_that_let_this_run_wait_is_told() -> None:
    asked_ns, answered_ns = START + MS, START + MS + 2 * S
    run = connection(0, 3 * S, proxy_asked_ns=asked_ns, proxy_answered_ns=answered_ns)
    line = this_run(run)
    assert not line.is_well
    assert ", the proxy's answer 2.00 s, " in line.sentence


def test_connections_that_the_server_cut_are_told() -> None:
    line = this_run(connection(0, S, ending="server_reset"), connection(0, S, 2))
    assert not line.is_well
    assert ", 1 reset from the server's side, " in line.sentence


def test_segments_that_were_sent_again_are_told() -> None:
    line = this_run(connection(0, S, sent_again=2))
    assert not line.is_well
    assert "2 of 20 segments sent again" in line.sentence
    assert this_run(connection(0, S, sent_again=2, received_segments=400)).is_well


def test_a_run_that_never_got_further_than_the_name_tells_that() -> None:
    line = lines(path(), lookups=(lookup(0, None), lookup(0, None)))["this run"]
    assert not line.is_well
    assert line.sentence == "2 DNS questions without an answer, no connection to the server"


def test_an_answer_that_was_too_quick_to_be_timed_took_not_zero() -> None:
    run = connection(0, S)
    found = lines(path(port=6443), connections=(run,), lookups=(lookup(0, 0),))
    assert "1 DNS question answered too soon to be timed" in found["this run"].sentence
