"""Which connection carried which request."""

from evidence import MS, S, burst, connection, evidence, request, unanswered
from kubelag.model.path import PathMap
from kubelag.timeline.journeys import journeys, server_connections


def test_a_connection_was_dialled_for_the_request_that_had_just_begun() -> None:
    first, second = request("/api", 0, 20 * MS), request("/apis", 100 * MS, 20 * MS)
    one, other = connection(MS, S), connection(101 * MS, S, number=2)
    found = journeys(evidence(S, requests=(first, second), connections=(one, other)))
    assert [(each.connection, each.is_dialled) for each in found] == [(one, True), (other, True)]


def test_parallel_requests_without_http2_have_a_connection_each() -> None:
    asked = tuple(request(f"/apis/g{n}/v1", n * MS, 50 * MS) for n in range(5))
    made = tuple(connection(n * MS + MS // 2, S, number=n) for n in range(5))
    found = journeys(evidence(S, requests=asked, connections=made))
    assert len({each.connection for each in found}) == 5
    assert all(each.is_dialled for each in found)


def test_a_request_goes_over_the_connection_on_which_the_server_spoke_when_it_was_answered() -> (
    None
):
    busy = connection(0, S, number=1, bursts=(burst("client", 5 * MS), burst("server", 300 * MS)))
    idle = connection(0, S, number=2, bursts=(burst("client", 5 * MS), burst("server", 20 * MS)))
    asked = (
        request("/api", 0, 20 * MS),
        request("/apis", 0, 20 * MS),
        request("/api/v1/nodes", 200 * MS, 100 * MS),
    )
    found = journeys(evidence(S, requests=asked, connections=(idle, busy)))
    assert found[2].connection == busy
    assert not found[2].is_dialled


def test_attempts_in_vain_belong_to_the_request_that_waited_for_them() -> None:
    dead = unanswered(MS, 7 * S, server="192.0.2.1:6443")
    alive = connection(10 * S, S, number=2)
    found = journeys(
        evidence(12 * S, requests=(request("/api", 0, 11 * S),), connections=(dead, alive))
    )
    assert found[0].attempts == (dead,)
    assert found[0].connection == alive


def test_a_request_whose_connection_was_not_seen_has_none() -> None:
    assert journeys(evidence(S, requests=(request("/api", 0, MS),)))[0].connection is None


def test_a_plugins_connections_are_not_the_clients() -> None:
    plugins = connection(0, S, server="192.0.2.7:443")
    found = evidence(S, requests=(request("/api", 0, MS),), connections=(plugins,))
    assert server_connections(found) == ()


def test_behind_a_proxy_the_connections_go_to_the_proxy() -> None:
    path = PathMap(
        server="https://api:6443",
        host="api",
        port=6443,
        tls_name="api",
        is_literal=False,
        proxy="proxy.example.com:3128",
    )
    one = connection(0, S, server="192.0.2.8:3128")
    found = evidence(S, requests=(request("/api", 0, MS),), connections=(one,), path=path)
    assert server_connections(found) == (one,)


def test_no_connection_carries_what_began_before_it() -> None:
    late = connection(500 * MS, S, syn_ns=None)
    found = journeys(evidence(S, requests=(request("/api", 0, 600 * MS),), connections=(late,)))
    assert found[0].connection is None
