"""An answer that never came, since its connection broke, was nobody's work."""

from dataclasses import replace

import pytest

from evidence import MS, START, S, connection, evidence, pause, request
from kubelag.model.evidence import Evidence, Request
from kubelag.model.network import Connection
from kubelag.timeline.attribute import attribute
from kubelag.timeline.factors import BROKEN, TARGET
from kubelag.timeline.spans import answer_times_ns

NODES = "/api/v1/nodes?limit=500"
UNHEARD = pause(S, 5 * S, retransmissions=5, awaited="unclear", is_over=False)


def unanswered(begin_ns: int, took_ns: int) -> Request:
    return replace(request(NODES, begin_ns, took_ns), status=None)


def broken_run(first: Connection, *, again: Request | None = None) -> Evidence:
    """Two seconds in vain, a pause of one, and the same once more."""
    return evidence(
        3_500 * MS,
        requests=(unanswered(0, 2 * S), again or request(NODES, 3 * S, 400 * MS)),
        connections=(first, connection(3 * S, 500 * MS, 2)),
    )


@pytest.mark.parametrize(
    "first",
    [
        connection(0, 2 * S, ending="server_reset"),
        connection(0, 2 * S, ending="open", seen_by="sockets"),
        connection(0, 3_500 * MS, ending="client_fin", pauses=(UNHEARD,)),
    ],
    ids=["reset", "gone from the table", "never acknowledged"],
)
def test_waiting_on_a_connection_that_broke_is_not_waiting_for_the_server(
    first: Connection,
) -> None:
    seen = broken_run(first)
    shares = attribute(seen)
    assert shares.share(BROKEN).critical_ns == pytest.approx(2 * S, abs=5 * MS)
    assert shares.share(TARGET).critical_ns == pytest.approx(400 * MS, abs=5 * MS)
    assert answer_times_ns(seen)[0][1] < 5 * MS


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (connection(0, 2 * S, ending="client_fin"), None),
        (connection(0, 3_500 * MS), None),
        (connection(0, 2 * S, ending="server_reset"), unanswered(3 * S, 400 * MS)),
        (connection(0, 2 * S, ending="server_reset"), request("/version", 3 * S, 400 * MS)),
        (connection(0, 2 * S, ending="server_reset", received_bytes=0), None),
    ],
    ids=["given up by the client", "still in use", "again in vain", "not again", "never worked"],
)
def test_a_server_that_may_just_have_been_slow_keeps_its_share(
    first: Connection, again: Request | None
) -> None:
    shares = attribute(broken_run(first, again=again))
    assert shares.share(BROKEN).union_ns == 0
    assert shares.share(TARGET).critical_ns > 1_900 * MS


def test_of_several_connections_the_one_that_ended_carried_what_was_not_answered() -> None:
    healthy = connection(0, 3_500 * MS, 3)
    reset = connection(0, 2 * S, 4, ending="server_reset")
    seen = evidence(
        3_500 * MS,
        requests=(
            request("/api", 0, 10 * MS),
            request("/apis", 0, 10 * MS),
            unanswered(20 * MS, 1_980 * MS),
            request(NODES, 3 * S, 400 * MS),
        ),
        connections=(healthy, reset),
    )
    broken = [span for span in attribute(seen).path if span.factor == BROKEN]
    assert [(span.start_ns - START, span.end_ns - START) for span in broken] == [(20 * MS, 2 * S)]
