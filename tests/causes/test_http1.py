"""A server's side without HTTP/2: what its many connections cost, and what they do not."""

from dataclasses import replace

from asking import asked
from evidence import MS, START, S, connection, evidence, path, probe, request, without
from judging import judged, suspects
from kubelag.causes.api_server_slow import ApiServerSlow
from kubelag.causes.authentication_slow import AuthenticationSlow
from kubelag.causes.http1_only import Http1Only
from kubelag.causes.storage_slow import StorageSlow
from kubelag.causes.tls_slow import TlsSlow
from kubelag.model.evidence import Evidence, OwnPhase, OwnRequest
from kubelag.model.network import Connection

MANY = 40
BY_BOX = path(front=(probe(protocol="http/1.1"),))
BUSY = evidence(
    500 * MS,
    requests=tuple(request(f"/apis/g{n}/v1", 0, 400 * MS) for n in range(MANY)),
    connections=tuple(
        connection(n * MS, 400 * MS, n, secured_ns=START + (200 + n) * MS) for n in range(MANY)
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


def test_answers_that_wait_behind_handshakes_are_nobodys() -> None:
    """One connection alone is quick; whether the server would have been is not known."""
    assert sorted(suspects(BUSY)) == ["http1_only"]
    judgement = judged(Http1Only(), BUSY)
    assert judgement.waited_ns == 235 * MS
    assert "answers" not in judgement.sentence
    assert judgement.factors == ("connect", "tls", "round_trips")
    assert judged(TlsSlow(), BUSY).standing == "ruled_out"
    unasked = replace(BUSY, looks=without("server_probes", why="there was no time"))
    for cause in (ApiServerSlow(), StorageSlow(), AuthenticationSlow()):
        assert judged(cause, unasked).standing == "unknown"


def own(took_ns: int) -> OwnRequest:
    server = OwnPhase(kind="server", took_ns=took_ns)
    return OwnRequest(verb="GET", url="x", status=200, took_ns=took_ns, phases=(server,))


def test_a_server_that_is_slow_alone_stays_slow_behind_many_connections() -> None:
    found = suspects(replace(BUSY, own_request=own(310 * MS)))
    assert "api_server_slow" in found
    far = tuple(replace(one, rtt_ns=250 * MS) for one in BUSY.connections)
    seen = replace(BUSY, connections=far, own_request=own(310 * MS))
    assert "api_server_slow" not in suspects(seen)


def test_one_answer_that_takes_longer_than_the_handshakes_is_not_for_them() -> None:
    late = replace(BUSY.requests[0], end_ns=START + 3 * S)
    run = replace(BUSY.run, end_ns=START + 3 * S)
    found = suspects(replace(BUSY, run=run, requests=(late, *BUSY.requests[1:])))
    assert "api_server_slow" in found


def test_quick_handshakes_are_nobodys_reason_for_slow_answers() -> None:
    """A filter that takes one request at a time would be as slow with HTTP/2."""
    seen = replace(BUSY, connections=tuple(connection(0, S, n) for n in range(MANY)))
    assert sorted(suspects(seen)) == ["api_server_slow"]


def test_commands_one_after_another_make_no_crowd() -> None:
    seen = evidence(
        6 * S,
        requests=tuple(request("/api/v1/nodes", n * 600 * MS, 600 * MS) for n in range(10)),
        connections=tuple(connection(n * 600 * MS, 600 * MS, n) for n in range(10)),
        path=BY_BOX,
    )
    assert sorted(suspects(seen)) == ["api_server_slow"]


def test_a_terminator_that_is_slow_alone_is_slow() -> None:
    slow = path(front=(probe(protocol="http/1.1", tls_ns=300 * MS),))
    assert judged(TlsSlow(), replace(BUSY, path=slow)).standing == "suspected"
    assert judged(Http1Only(), replace(BUSY, path=slow)).standing == "unknown"


def late_by(took_ns: int, **changes: object) -> Evidence:
    """The crowd, and one handshake that was not as the others."""
    usual = tuple(connection(0, S, n, secured_ns=START + 150 * MS) for n in range(MANY))
    odd = connection(10 * MS, 2_990 * MS, MANY, secured_ns=START + took_ns)
    asked_for = tuple(request(f"/apis/g{n}/v1", 0, 200 * MS) for n in range(MANY))
    return evidence(
        3 * S,
        requests=(*asked_for, request("/api/v1/nodes", 10 * MS, 2_990 * MS)),
        connections=(*usual, replace(odd, **changes)),
        path=BY_BOX,
    )


def test_a_handshake_that_took_longer_than_all_of_them_can_is_not_the_crowds() -> None:
    assert judged(TlsSlow(), late_by(300 * MS)).standing == "ruled_out"
    assert judged(TlsSlow(), late_by(2_900 * MS)).standing == "unknown"
    waited_ns = judged(Http1Only(), late_by(2_900 * MS)).waited_ns
    assert waited_ns is not None
    assert waited_ns < 400 * MS
    never = late_by(0, secured_ns=None, server_hello_ns=None)
    assert judged(TlsSlow(), never).standing == "unknown"


def test_where_only_some_servers_offer_http2_nobody_has_chosen() -> None:
    mixed = path(front=(probe(), probe(protocol="http/1.1")))
    assert judged(Http1Only(), replace(BUSY, path=mixed)).standing == "unknown"


def by_many(**changes: object) -> Evidence:
    many = tuple(connection(n * MS, S, n, secured_ns=START + 900 * MS) for n in range(MANY))
    return asked(S, connections=many, **changes)


def test_many_connections_by_the_users_choice_are_not_the_servers() -> None:
    assert judged(Http1Only(), by_many()).standing == "ruled_out"


def test_without_probes_nobody_says_who_chose_http1() -> None:
    seen = by_many(path=None, looks=without("path", why="crashed"))
    assert judged(Http1Only(), seen).standing == "unknown"
