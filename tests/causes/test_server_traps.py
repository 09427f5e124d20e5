"""Runs that look like a slow or broken server and are not: nothing may be accused wrongly."""

from dataclasses import replace

import pytest

from evidence import MS, START, S, connection, evidence, path, pause, probe, request, silent
from judging import judged, suspects
from kubelag.causes.api_server_slow import ApiServerSlow
from kubelag.causes.api_service_broken import ApiServiceBroken
from kubelag.causes.authentication_slow import AuthenticationSlow
from kubelag.causes.backend_unwell import BackendUnwell
from kubelag.causes.connection_died import ConnectionDied
from kubelag.causes.requests_queued import RequestsQueued
from kubelag.causes.server_pushback import ServerPushback
from kubelag.causes.virtual_address_moved import VirtualAddressMoved
from kubelag.model.evidence import ClientNote, Evidence, OwnPhase, OwnRequest
from kubelag.model.network import Connection
from kubelag.model.path import AddressProbe, Neighbour

NODES = "/api/v1/nodes?limit=500"
OLD, NEW = "02:00:00:00:00:01", "02:00:00:00:00:02"


@pytest.mark.parametrize(
    "url",
    [
        "/api/v1/pods?watch=true",
        "/api/v1/watch/pods",
        "/api/v1/namespaces/a/pods/b/log?follow=true",
    ],
)
def test_an_answer_that_is_meant_to_last_is_no_slow_server(url: str) -> None:
    seen = evidence(60 * S, requests=(request(NODES, 0, 5 * MS), request(url, 10 * MS, 59 * S)))
    assert suspects(seen) == {}


def test_a_client_that_does_not_read_is_no_slow_server() -> None:
    unread = pause(20 * MS, 2 * S, awaited="client", why="the client's window was closed")
    seen = evidence(
        2_100 * MS,
        requests=(request(NODES, 5 * MS, 2_050 * MS),),
        connections=(connection(0, 2_090 * MS, zero_windows=3, pauses=(unread,)),),
    )
    judgement = judged(ApiServerSlow(), seen)
    assert judgement.standing == "ruled_out"
    assert "a matter of the client" in judgement.sentence


def slow_user(level: str) -> Evidence:
    """Slow with credentials, quick without; the health check went through that queue."""
    took = {"health": 2, "health_as_user": 400, "again": 402, "from_memory": 401}
    probes = tuple(
        OwnRequest(
            purpose=purpose,
            verb="GET",
            url="x",
            status=200,
            took_ns=ms * MS,
            phases=(OwnPhase(kind="server", took_ns=ms * MS),),
            priority_level="" if purpose == "health" else level,
        )
        for purpose, ms in took.items()
    )
    probes = tuple(
        replace(one, priority_level="workloads") if one.purpose == "again" else one
        for one in probes
    )
    return evidence(420 * MS, requests=(request(NODES, 5 * MS, 400 * MS),), server_probes=probes)


def test_where_health_checks_wait_in_queues_too_authentication_is_not_accused() -> None:
    """Servers before 1.22 exempt no health check."""
    seen = slow_user("workloads")
    assert list(suspects(seen)) == ["api_server_slow"]
    assert judged(AuthenticationSlow(), seen).standing == "unknown"
    assert judged(RequestsQueued(), seen).standing == "unknown"


@pytest.mark.parametrize("level", ["exempt", ""])
def test_where_they_do_not_or_nothing_is_said_of_queues_it_is(level: str) -> None:
    assert list(suspects(slow_user(level))) == ["authentication_slow"]


def test_a_health_check_that_waits_for_a_slow_store_is_not_authentication() -> None:
    """As nobody it is refused before it looks at the store."""
    seen = slow_user("exempt")
    quick = OwnPhase(kind="server", took_ns=4 * MS)
    probes = tuple(
        replace(one, phases=(quick,)) if one.purpose == "from_memory" else one
        for one in seen.server_probes
    )
    assert list(suspects(replace(seen, server_probes=probes))) == ["storage_slow"]


def unwell(bad: AddressProbe, connections: tuple[Connection, ...], took_ns: int) -> Evidence:
    """The second of three API servers is not as the others are, also through the balancer."""
    usual = path()
    behind = (usual.behind[0], replace(bad, hop="backend", backend="master2"), usual.behind[2])
    front = (usual.front[0], replace(bad, backend=""), usual.front[2])
    return evidence(
        took_ns + 50 * MS,
        requests=(request(NODES, 0, took_ns),),
        connections=connections,
        path=path(front=front, behind=behind),
    )


def test_a_bad_backend_that_the_run_did_not_meet_is_not_accused() -> None:
    elsewhere = (connection(0, 2 * S, backend="master1"),)
    for bad in (probe(answer_ns=2 * S), silent()):
        judgement = judged(BackendUnwell(), unwell(bad, elsewhere, 2 * S))
        assert judgement.standing == "ruled_out"
        assert "this run did not meet it" in judgement.sentence


def test_a_backend_that_is_far_slower_than_the_run_was_not_met() -> None:
    seen = unwell(probe(answer_ns=5 * S), (), 400 * MS)
    assert list(suspects(seen)) == ["api_server_slow"]


@pytest.mark.parametrize("bad", [probe(answer_ns=2 * S), silent()], ids=["slow", "silent"])
def test_a_bad_backend_to_which_the_balancer_sends_nobody_is_not_accused(bad: AddressProbe) -> None:
    """Health checks work: through the balancer every connection is quick."""
    seen = unwell(bad, (), 2 * S)
    assert seen.path is not None
    for front in (path().front, (*path().front[:1], *path().front[2:])):
        healthy = replace(seen, path=replace(seen.path, front=front))
        judgement = judged(BackendUnwell(), healthy)
        assert judgement.standing == "ruled_out"
        assert "this run did not meet it" in judgement.sentence
        assert "api_server_slow" in suspects(healthy)


def test_a_server_that_fails_altogether_is_no_broken_aggregated_api() -> None:
    """A balancer without a server says 503 to everything."""
    places = ("/apis/apps/v1", "/apis/metrics.example.com/v1")
    failing = [replace(request(place, 0, 400 * MS), status=503) for place in places]
    seen = evidence(900 * MS, requests=(*failing, request(NODES, 410 * MS, 400 * MS)))
    assert list(suspects(seen)) == ["api_server_slow"]
    object_too = replace(request(NODES, 410 * MS, 400 * MS), status=503)
    assert list(suspects(evidence(900 * MS, requests=(failing[1], object_too)))) == [
        "api_server_slow"
    ]


def test_a_client_that_is_told_to_come_back_is_shown_what_it_had_asked() -> None:
    url = f"https://127.0.0.1:6443{NODES}"
    told = ClientNote(kind="retry_after", at_ns=START + 1_100 * MS, wait_ns=S, subject=url)
    asked = tuple(request(f"/apis/g{n}.x/v1", 0, 150 * MS) for n in range(80))
    refused = replace(request(NODES, 20 * MS, 80 * MS), status=429)
    again = request(NODES, 1_100 * MS, 5 * MS)
    seen = evidence(1_150 * MS, notes=(told,), requests=(*asked, refused, again))
    facts = judged(ServerPushback(), seen).facts
    assert [fact.text for fact in facts] == [
        "81 requests of its own were in flight when it was first told so"
    ]


def test_handshakes_that_are_slow_everywhere_are_not_a_silent_backends() -> None:
    took = {"tls_ns": 300 * MS}
    slow = connection(0, 500 * MS, secured_ns=START + 301 * MS)
    seen = unwell(silent(), (slow,), 400 * MS)
    assert seen.path is not None
    everywhere = replace(
        seen.path,
        front=tuple(replace(one, **took) for one in seen.path.front),
        behind=tuple(
            one if one.tls_ns is None else replace(one, **took) for one in seen.path.behind
        ),
    )
    assert judged(BackendUnwell(), replace(seen, path=everywhere)).standing == "ruled_out"


def test_a_hanging_api_that_nothing_waited_for_is_not_accused() -> None:
    """Another list took longer beside it."""
    hanging = replace(request("/apis/metrics.example.com/v1", 0, 300 * MS), status=503)
    others = tuple(request(f"/apis/g{n}/v1", 0, 900 * MS) for n in range(20))
    seen = evidence(950 * MS, requests=(hanging, *others, request(NODES, 910 * MS, MS)))
    judgement = judged(ApiServiceBroken(), seen)
    assert judgement.standing == "ruled_out"
    assert "did not wait for it" in judgement.sentence


def lost_run(**changes: object) -> Evidence:
    """A request that waited a second on a connection that was reset, and was asked again."""
    first = connection(0, S, ending="server_reset", pauses=(pause(10 * MS, 990 * MS),))
    pausing = ClientNote(
        kind="retry_after",
        at_ns=START + 2 * S,
        wait_ns=S,
        subject=f"https://127.0.0.1:6443{NODES}",
    )
    usual = {
        "requests": (
            replace(request(NODES, 0, S), status=None),
            request(NODES, 2 * S, 300 * MS),
        ),
        "connections": (first, connection(2 * S, 300 * MS, 2)),
        "notes": (pausing,),
    }
    return evidence(2_350 * MS, **(usual | changes))


def cards(*seen: tuple[int, str]) -> tuple[Neighbour, ...]:
    return tuple(
        Neighbour(at_ns=START + at_ns, address="127.0.0.1", mac=mac) for at_ns, mac in seen
    )


def test_a_move_under_a_request_comes_before_the_server_that_is_slow_as_well() -> None:
    seen = lost_run(neighbours=cards((0, OLD), (S // 2, NEW)))
    found = suspects(seen)
    assert sorted(found) == ["api_server_slow", "virtual_address_moved"]
    moved = found["virtual_address_moved"]
    assert moved.low_ns == pytest.approx(2 * S, abs=10 * MS)
    assert found["api_server_slow"].high_ns == pytest.approx(300 * MS, abs=10 * MS)


def test_a_connection_that_was_reset_in_use_where_nothing_moved_has_died() -> None:
    seen = lost_run()
    assert sorted(suspects(seen)) == ["api_server_slow", "connection_died"]
    judgement = judged(ConnectionDied(), seen)
    assert "was reset while it was in use" in judgement.sentence
    assert judgement.low_ns == pytest.approx(2 * S, abs=10 * MS)


def test_an_address_that_had_moved_before_is_not_what_broke_the_connection() -> None:
    connections = tuple(replace(one, macs=(NEW,)) for one in lost_run().connections)
    seen = lost_run(connections=connections, neighbours=cards((-S, OLD)))
    judgement = judged(VirtualAddressMoved(), seen)
    assert judgement.standing == "ruled_out"


def test_a_command_that_failed_at_once_lost_no_time_and_is_told_what_was_reset() -> None:
    """Half of an answer had come: kubectl asks nothing again then."""
    seen = lost_run(
        requests=(request(NODES, 0, S),),
        connections=(connection(0, S, ending="server_reset"),),
        neighbours=cards((0, OLD), (S // 2, NEW)),
        notes=(),
    )
    judgement = judged(VirtualAddressMoved(), seen)
    assert judgement.standing == "ruled_out"
    assert judgement.sentence == (
        "127.0.0.1 moved and reset a connection, and this run did not wait for it"
    )


def test_another_address_that_moves_is_nobodys_cause() -> None:
    other = tuple(replace(one, address="127.0.0.9") for one in cards((0, OLD), (S // 2, NEW)))
    assert "virtual_address_moved" not in suspects(lost_run(neighbours=other))


def test_an_address_that_moves_under_a_watch_that_lives_on_is_not_accused() -> None:
    quiet = connection(0, 60 * S, pauses=(pause(S, 58 * S),))
    seen = evidence(
        60 * S,
        requests=(request("/api/v1/pods?watch=true", 0, 5 * MS),),
        connections=(quiet,),
        neighbours=cards((0, OLD), (30 * S, NEW)),
    )
    assert judged(VirtualAddressMoved(), seen).standing == "ruled_out"


def test_the_first_answer_alone_being_slow_is_told_of_as_one() -> None:
    asked = (request("/api", 0, 700 * MS), *(request(f"/apis/g{n}/v1", S, MS) for n in range(20)))
    judgement = judged(ApiServerSlow(), evidence(1_100 * MS, requests=asked))
    assert judgement.sentence.startswith("one answer of the API server, GET https://")
    assert judgement.experiments == ()


def test_where_packets_queued_and_nobody_saw_when_it_is_no_slow_server() -> None:
    narrow = connection(
        0,
        3 * S,
        seen_by="sockets",
        received_bytes=400_000,
        rtt_ns=MS,
        rtt_smoothed_ns=300 * MS,
    )
    seen = evidence(3 * S, requests=(request(NODES, 5 * MS, 2_900 * MS),), connections=(narrow,))
    judgement = judged(ApiServerSlow(), seen)
    assert (judgement.standing, suspects(seen)) == ("unknown", {})
    late = replace(narrow, received_bytes=40_000, rtt_smoothed_ns=41 * MS)
    assert list(suspects(replace(seen, connections=(late,)))) == ["api_server_slow"]
