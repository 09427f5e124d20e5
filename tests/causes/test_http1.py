"""A server's side without HTTP/2: what its many connections cost, and what they do not."""

from dataclasses import replace

import pytest

from asking import asked
from evidence import MS, START, S, connection, evidence, path, probe, request, without
from judging import judged, suspects
from kubelag.causes.api_server_slow import ApiServerSlow
from kubelag.causes.http1_only import Http1Only
from kubelag.causes.tls_slow import TlsSlow
from kubelag.model.evidence import Evidence, OwnPhase, OwnRequest
from kubelag.model.network import Connection

MANY = 40
BY_BOX = path(front=(probe(protocol="http/1.1"),))
BUSY = evidence(
    S,
    requests=tuple(request(f"/apis/g{n}/v1", 0, 700 * MS) for n in range(MANY)),
    connections=tuple(
        connection(n * MS, 700 * MS, n, secured_ns=START + (400 + n) * MS) for n in range(MANY)
    ),
    path=BY_BOX,
)
"""One thing at a time: forty handshakes first, then the answers."""


def far_off(begin_ns: int, ready_ns: int, number: int) -> Connection:
    """A connection at a distance of 40 ms that takes so long until it is secured."""
    start_ns = START + begin_ns
    return connection(
        begin_ns,
        S - begin_ns,
        number,
        established_ns=start_ns + 40 * MS,
        hello_ns=start_ns + 40 * MS,
        secured_ns=start_ns + ready_ns,
        rtt_ns=40 * MS,
    )


FAR_BOX = path(front=(probe(protocol="http/1.1", connect_ns=40 * MS, tls_ns=40 * MS),))


def test_it_is_suspected_only_where_the_server_offers_nothing_better() -> None:
    judgement = judged(Http1Only(), BUSY)
    assert judgement.standing == "suspected"
    assert "40 connections" in judgement.sentence
    assert judgement.experiments == ("direct_backend:master1",)
    by_choice = judged(Http1Only(), replace(BUSY, path=path()))
    assert by_choice.standing == "ruled_out"


def test_handshakes_cost_what_they_take_longer_than_the_one_that_http2_needs_too() -> None:
    seen = replace(
        BUSY,
        requests=(
            request("/apis", 0, 200 * MS),
            *(request(f"/apis/g{n}/v1", 200 * MS, 200 * MS) for n in range(MANY)),
        ),
        connections=(
            far_off(0, 80 * MS, 0),
            *(far_off(200 * MS, 150 * MS, n) for n in range(MANY)),
        ),
        path=FAR_BOX,
    )
    assert judged(Http1Only(), seen).waited_ns == 150 * MS


def test_handshakes_all_at_once_are_as_quick_as_one() -> None:
    seen = replace(
        BUSY,
        requests=tuple(request(f"/apis/g{n}/v1", 0, 150 * MS) for n in range(MANY)),
        connections=tuple(far_off(0, 80 * MS, n) for n in range(MANY)),
        path=FAR_BOX,
    )
    judgement = judged(Http1Only(), seen)
    assert judgement.standing == "ruled_out"
    assert judgement.sentence == "40 connections, which cost 0 ms"


def test_answers_that_wait_behind_handshakes_are_not_the_servers() -> None:
    """One connection alone is quick, so neither TLS nor the server is slow by itself."""
    assert sorted(suspects(BUSY)) == ["http1_only"]
    judgement = judged(Http1Only(), BUSY)
    assert "and 301 ms for answers behind them" in judgement.sentence
    assert judgement.waited_ns == pytest.approx(700 * MS, abs=50 * MS)
    assert judged(TlsSlow(), BUSY).standing == "ruled_out"
    server = judged(ApiServerSlow(), BUSY)
    assert server.standing == "unknown"
    assert server.missing[0].startswith("own_request: one request alone")


def test_a_server_that_is_slow_alone_stays_slow_behind_many_connections() -> None:
    slow = OwnRequest(
        verb="GET",
        url="x",
        status=200,
        took_ns=310 * MS,
        phases=(OwnPhase(kind="server", took_ns=310 * MS),),
    )
    found = suspects(replace(BUSY, own_request=slow))
    assert "api_server_slow" in found
    assert "answers" not in found["http1_only"].sentence


def test_a_terminator_that_is_slow_alone_is_slow() -> None:
    slow = path(front=(probe(protocol="http/1.1", tls_ns=300 * MS),))
    assert judged(TlsSlow(), replace(BUSY, path=slow)).standing == "suspected"


def test_a_handshake_that_never_ended_is_no_crowds() -> None:
    late = tuple(connection(0, S, n, secured_ns=START + 650 * MS) for n in range(MANY))
    assert judged(TlsSlow(), replace(BUSY, connections=late)).standing == "ruled_out"
    stuck = replace(late[0], client="127.0.0.1:50000", secured_ns=None)
    assert judged(TlsSlow(), replace(BUSY, connections=(*late, stuck))).standing == "unknown"


def by_many(**changes: object) -> Evidence:
    many = tuple(connection(n * MS, S, n, secured_ns=START + 900 * MS) for n in range(MANY))
    return asked(S, connections=many, **changes)


def test_many_connections_by_the_users_choice_are_not_the_servers() -> None:
    assert judged(Http1Only(), by_many()).standing == "ruled_out"


def test_without_probes_nobody_says_who_chose_http1() -> None:
    seen = by_many(path=None, looks=without("path", why="crashed"))
    assert judged(Http1Only(), seen).standing == "unknown"
