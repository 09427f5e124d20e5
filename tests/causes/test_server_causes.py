"""Causes within the API server, with evidence for each thing that they can say."""

from dataclasses import replace

import pytest

from evidence import MS, START, S, cache, connection, evidence, path, probe, request, without
from judging import judged, suspects
from kubelag.causes.api_server_slow import ApiServerSlow
from kubelag.causes.api_service_broken import ApiServiceBroken
from kubelag.causes.api_service_empty import ApiServiceEmpty
from kubelag.causes.authentication_slow import AuthenticationSlow
from kubelag.causes.contract import Cause
from kubelag.causes.requests_queued import RequestsQueued
from kubelag.causes.server_pushback import ServerPushback
from kubelag.causes.storage_slow import StorageSlow
from kubelag.causes.websocket_fallback import WebsocketFallback
from kubelag.model.evidence import ClientNote, Evidence, OwnPhase, OwnRequest, Request

NODES = "/api/v1/nodes?limit=500"
SERVER_CAUSES = (AuthenticationSlow(), RequestsQueued(), StorageSlow())


def own(purpose: str, took_ns: int, status: int = 200) -> OwnRequest:
    """By a user whose requests go through a queue, and whose health checks do not."""
    server = OwnPhase(kind="server", took_ns=took_ns)
    return OwnRequest(
        purpose=purpose,
        verb="GET",
        url="x",
        status=status,
        took_ns=took_ns,
        phases=(server,),
        priority_level="workloads" if purpose in {"again", "from_memory"} else "exempt",
    )


def probes(health: int, as_user: int, again: int, memory: int) -> tuple[OwnRequest, ...]:
    """What each took, in milliseconds."""
    told = {"health": health, "health_as_user": as_user, "again": again, "from_memory": memory}
    return tuple(
        own(purpose, took * MS, 401 if purpose == "health" else 200)
        for purpose, took in told.items()
    )


def slow_discovery(took_ns: int, **changes: object) -> Evidence:
    """A cold run in which every answer took so long."""
    begins = (0, 1, *([2] * 20), 3)
    paths = ("/api", "/apis", *(f"/apis/g{n}/v1" for n in range(20)), NODES)
    asked = tuple(
        request(place, begin * took_ns, took_ns) for place, begin in zip(paths, begins, strict=True)
    )
    return evidence(4 * took_ns, requests=asked, **changes)


def slow_list(took_ns: int, **changes: object) -> Evidence:
    """A warm run with one slow answer."""
    return evidence(took_ns + 20 * MS, requests=(request(NODES, 10 * MS, took_ns),), **changes)


@pytest.mark.parametrize(
    ("seen", "cause", "words"),
    [
        (
            slow_discovery(400 * MS, server_probes=probes(2, 400, 402, 401)),
            AuthenticationSlow(),
            "to find out who kubectl 1.20.2's user is, or what they may do (the same request as",
        ),
        (
            slow_discovery(400 * MS, server_probes=probes(2, 3, 402, 401)),
            RequestsQueued(),
            "400 ms (median) for each of kubectl 1.20.2's, 3.00 ms for a health check",
        ),
        (
            slow_list(900 * MS, server_probes=probes(2, 3, 900, 4)),
            StorageSlow(),
            "kubectl 1.20.2's request takes 900 ms, and from the server's memory 4.00 ms",
        ),
        (
            slow_discovery(400 * MS, server_probes=probes(400, 401, 402, 401)),
            ApiServerSlow(),
            "takes 400 ms (median)",
        ),
        (
            slow_list(900 * MS, server_probes=probes(2, 3, 900, 880)),
            ApiServerSlow(),
            "takes 900 ms (median) for each of 1 request",
        ),
    ],
    ids=lambda value: getattr(value, "id", None),
)
def test_only_the_part_of_the_server_that_is_slow_is_suspected(
    seen: Evidence, cause: Cause, words: str
) -> None:
    assert list(suspects(seen)) == [cause.id]
    assert words in judged(cause, seen).sentence


@pytest.mark.parametrize("level", ["exempt", ""])
def test_who_is_exempt_from_queues_is_not_queued(level: str) -> None:
    told = tuple(
        replace(one, priority_level=level if one.purpose == "again" else one.priority_level)
        for one in probes(2, 3, 402, 401)
    )
    assert list(suspects(slow_discovery(400 * MS, server_probes=told))) == ["api_server_slow"]


@pytest.mark.parametrize("cause", SERVER_CAUSES, ids=lambda cause: cause.id)
def test_without_probes_the_part_is_unknown_and_the_server_in_general_suspected(
    cause: Cause,
) -> None:
    seen = slow_discovery(400 * MS, looks=without("server_probes", why="refused"))
    assert judged(cause, seen).standing == "unknown"
    assert list(suspects(seen)) == ["api_server_slow"]


@pytest.mark.parametrize("cause", SERVER_CAUSES, ids=lambda cause: cause.id)
def test_a_quick_server_is_ruled_out_with_the_figures_of_the_probes(cause: Cause) -> None:
    seen = slow_list(5 * MS, server_probes=probes(2, 3, 4, 4))
    judgement = judged(cause, seen)
    assert judgement.standing == "ruled_out"
    assert "the slowest waited 5.00 ms" in judgement.sentence
    assert "/livez as nobody 2.00 ms" in judgement.sentence


def test_the_way_to_a_far_server_is_not_its_authenticators_time() -> None:
    """Kubelag's own requests go the same way, there and back."""
    far = evidence(
        3 * S,
        requests=(request(NODES, 0, 2_900 * MS),),
        connections=(connection(0, 2_950 * MS, established_ns=START + 150 * MS, rtt_ns=150 * MS),),
        server_probes=probes(150, 151, 152, 152),
    )
    assert judged(AuthenticationSlow(), far).standing == "ruled_out"


def test_one_slow_backend_is_not_the_server_in_general() -> None:
    healthy = path()
    slow = probe(hop="backend", backend="master2", answer_ns=1 * S)
    behind = (healthy.behind[0], slow, healthy.behind[2])
    front = (healthy.front[0], probe(answer_ns=1 * S), healthy.front[2])
    seen = slow_list(S, path=path(front=front, behind=behind))
    assert list(suspects(seen)) == ["backend_unwell"]


BROKEN = "/apis/metrics.example.com/v1"


def failing(took_ns: int) -> Request:
    return Request(
        verb="GET",
        url=f"https://127.0.0.1:6443{BROKEN}",
        status=503,
        start_ns=START,
        end_ns=START + took_ns,
    )


def test_a_hanging_api_service_is_named() -> None:
    seen = evidence(
        5_100 * MS,
        requests=(
            request("/api", 0, 10 * MS),
            failing(5 * S),
            request(NODES, 5_010 * MS, 20 * MS),
        ),
    )
    assert list(suspects(seen)) == ["api_service_broken"]
    judgement = judged(ApiServiceBroken(), seen)
    assert "metrics.example.com/v1 fails after 5.00 s" in judgement.sentence
    assert judgement.experiments == ("discovery_stubbed",)
    assert judgement.advice[0].commands[0] == "kubectl get apiservice v1.metrics.example.com"


def rediscovery(**changes: object) -> Evidence:
    """A warm run that discovers everything all the same."""
    asked = tuple(request(f"/apis/g{n}/v1", 0, 300 * MS) for n in range(60))
    warm = {"requests": asked, "cold": False, "cache": cache(state="warm")}
    return evidence(400 * MS, **(warm | changes))


def test_a_failing_api_service_makes_a_warm_run_discover_everything() -> None:
    seen = rediscovery()
    seen = rediscovery(requests=(*seen.requests, failing(MS)))
    judgement = judged(ApiServiceBroken(), seen)
    assert judgement.standing == "suspected"
    assert "so it is never cached and discovered again each time" in judgement.sentence


def test_a_failing_api_service_costs_a_cold_run_nothing() -> None:
    seen = evidence(400 * MS, requests=(*rediscovery().requests, failing(MS)))
    judgement = judged(ApiServiceBroken(), seen)
    assert judgement.standing == "ruled_out"
    assert "this run did not wait for it" in judgement.sentence


EMPTY = ClientNote(
    kind="cache_skipped", at_ns=START + S, subject="received empty response for: a.example.com/v1"
)


def test_an_empty_api_service_that_makes_a_warm_run_discover_everything_is_named() -> None:
    seen = rediscovery(notes=(EMPTY, EMPTY))
    assert list(suspects(seen)) == ["api_service_empty"]
    judgement = judged(ApiServiceEmpty(), seen)
    assert "the aggregated API a.example.com/v1 holds no resource" in judgement.sentence
    assert "60 requests" in judgement.sentence
    assert judgement.advice[0].commands[0] == "kubectl get apiservice v1.a.example.com"
    meant = rediscovery(notes=(EMPTY,), command=("kubectl", "api-resources"))
    assert judged(ApiServiceEmpty(), meant).standing == "ruled_out"
    cold = rediscovery(notes=(EMPTY,), cold=True)
    assert judged(ApiServiceEmpty(), cold).standing == "ruled_out"


def test_an_old_client_that_asks_for_one_list_again_names_it_by_what_it_asked_last() -> None:
    """Up to 1.25 the line has no name, and a warm run asks for nothing else."""
    note = ClientNote(kind="cache_skipped", at_ns=START + 501 * MS, subject="no resources found")
    seen = rediscovery(
        requests=(request("/apis/a.example.com/v1", 0, 500 * MS), request(NODES, 510 * MS, MS)),
        notes=(note,),
        cold=False,
    )
    assert "API a.example.com/v1 holds" in judged(ApiServiceEmpty(), seen).sentence


def test_discovery_of_what_the_cache_had_accuses_no_api_without_a_word_of_the_client() -> None:
    judgement = judged(ApiServiceEmpty(), rediscovery())
    assert judgement.standing == "unknown"
    assert "60 discovery requests were sent although" in judgement.sentence


def test_pauses_that_the_server_asked_for_are_added_up() -> None:
    notes = tuple(
        ClientNote(kind="retry_after", at_ns=START + at * S, wait_ns=S, subject="x")
        for at in (1, 2)
    )
    seen = evidence(2_100 * MS, notes=notes, requests=(request(NODES, 2 * S, 20 * MS),))
    assert list(suspects(seen)) == ["server_pushback"]
    judgement = judged(ServerPushback(), seen)
    assert "2 times to come back later" in judgement.sentence
    assert judgement.low_ns == judgement.high_ns == 2 * S


def test_a_fallback_from_websockets_costs_the_refused_request() -> None:
    note = ClientNote(kind="websocket_fallback", at_ns=START + 500 * MS, subject="bad handshake")
    seen = evidence(
        900 * MS,
        notes=(note,),
        requests=(
            request("/api/v1/namespaces/default/pods/a/exec", 0, 500 * MS),
            request("/api/v1/namespaces/default/pods/a/exec", 500 * MS, 300 * MS),
        ),
    )
    assert sorted(suspects(seen)) == ["api_server_slow", "websocket_fallback"]
    judgement = judged(WebsocketFallback(), seen)
    assert judgement.low_ns == judgement.high_ns == 500 * MS


def test_a_websocket_that_is_refused_late_is_not_a_slow_server() -> None:
    note = ClientNote(kind="websocket_fallback", at_ns=START + 500 * MS, subject="bad handshake")
    stream = "/api/v1/namespaces/default/pods/a/exec"
    asked = (request(stream, 0, 500 * MS), request(stream, 500 * MS, 20 * MS))
    assert list(suspects(evidence(550 * MS, notes=(note,), requests=asked))) == [
        "websocket_fallback"
    ]


@pytest.mark.parametrize(
    "cause",
    [*SERVER_CAUSES, ServerPushback(), ApiServiceBroken(), ApiServiceEmpty(), WebsocketFallback()],
    ids=lambda cause: cause.id,
)
def test_without_the_clients_log_nothing_is_known(cause: Cause) -> None:
    judgement = judged(cause, evidence(looks=without("debug_log", why="no kubectl")))
    assert judgement.standing == "unknown"
    assert judgement.missing == ("debug_log: no kubectl",)
