"""Patience, repetition and renewal, with a pool that answers as it is told."""

import gzip
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.errors import TransportError
from kubelag.kube.session import PATIENCE, Ask, Manner, Session
from kubelag.kube.transport.connection import Failure, Job, Limits, Outcome
from kubelag.kube.transport.events import Phase, RequestDone, Waiting
from kubelag.kube.transport.messages import Request, Response

OK = Response(status=200, headers={}, body=b"{}")
LOST = Failure(error=TransportError("the connection was lost"))
UNPROCESSED = Failure(error=TransportError("the server went away"), is_unprocessed=True)
FINAL = Failure(error=TransportError("out of time"), is_final=True)


def refusal(status: int, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status=status, headers=named)


@dataclass
class FakePool:
    """Answers each path with the next of its outcomes; the last one stays."""

    outcomes: dict[str, list[Outcome]]
    connection: int = 1
    rounds: list[list[Request]] = field(default_factory=list)
    closed: int = 0

    def run(self, jobs: Sequence[Job], limits: Limits) -> dict[int, tuple[int, Outcome]]:
        assert limits.deadline_s > time.monotonic() - 60
        self.rounds.append([job.request for job in jobs])
        return {job.number: (self.connection, self._next(job.request.target)) for job in jobs}

    def _next(self, target: str) -> Outcome:
        left = self.outcomes[target]
        return left.pop(0) if len(left) > 1 else left[0]

    def use_certificate(self, certificate: object) -> None:
        assert certificate is None

    def close(self) -> None:
        self.closed += 1


@dataclass
class FakeCredentials:
    """A token that may be exchanged so many times."""

    renewals: int = 0
    token: int = 1
    asked_to_renew: int = 0

    def headers(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token}"),)

    def certificate(self) -> None:
        return None

    def refresh_after_401(self) -> bool:
        self.asked_to_renew += 1
        if self.renewals:
            self.renewals -= 1
            self.token += 1
            return True
        return False


@dataclass
class Bench:
    """A session with all that it uses."""

    pool: FakePool
    credentials: FakeCredentials
    session: Session
    slept: list[float]
    events: list[Phase | RequestDone | Waiting]


Make = Callable[..., Bench]


@pytest.fixture
def make() -> Make:
    """Makes a session whose server answers `/a` so."""

    def build(*outcomes: Outcome, renewals: int = 0, **more: Sequence[Outcome]) -> Bench:
        pool = FakePool({"/a": list(outcomes), **{f"/{k}": list(v) for k, v in more.items()}})
        credentials = FakeCredentials(renewals)
        slept: list[float] = []
        events: list[Phase | RequestDone | Waiting] = []
        session = Session(
            Manner(authority="api:6443", user_agent="test/1"),
            pool,  # type: ignore[arg-type]
            credentials,  # type: ignore[arg-type]
            events.append,
            sleep=slept.append,
        )
        return Bench(pool, credentials, session, slept, events)

    return build


def asked(bench: Bench) -> list[list[str]]:
    """Targets, round by round."""
    return [[request.target for request in each] for each in bench.pool.rounds]


def test_a_request_says_who_asks_and_what_may_come(make: Make) -> None:
    bench = make(OK)
    ask = Ask(path="/a", accept="text/plain", headers=(("if-none-match", "x"),))
    assert bench.session.send(ask) == OK
    assert bench.pool.rounds == [
        [
            Request(
                target="/a",
                headers=(
                    ("accept", "text/plain"),
                    ("accept-encoding", "gzip"),
                    ("user-agent", "test/1"),
                    ("if-none-match", "x"),
                    ("authorization", "Bearer 1"),
                ),
            )
        ]
    ]
    (done,) = (one for one in bench.events if isinstance(one, RequestDone))
    assert (done.method, done.target, done.status, done.connection) == ("GET", "/a", 200, 1)
    assert done.received_bytes == 2
    assert "Bearer" not in repr(bench.events)


@pytest.mark.parametrize("status", [400, 403, 404, 406, 409, 410, 500, 502, 503, 504])
def test_a_refusal_is_an_answer_and_is_not_repeated(status: int, make: Make) -> None:
    bench = make(refusal(status), renewals=9)
    assert bench.session.send(Ask(path="/a")).status == status
    assert (len(bench.pool.rounds), bench.slept, bench.credentials.asked_to_renew) == (1, [], 0)


@pytest.mark.parametrize(
    ("status", "retry_after", "slept"),
    [
        (429, "3", 3.0),
        (429, "0", 0.0),
        (429, "", 1.0),
        (429, "Fri, 31 Dec 1999 23:59:59 GMT", 1.0),
        (429, "\u00b2", 1.0),
        (429, "-1", 1.0),
        (500, "2", 2.0),
        (503, "60", 60.0),
    ],
)
def test_retry_after_is_honoured(status: int, retry_after: str, slept: float, make: Make) -> None:
    bench = make(refusal(status, retry_after=retry_after), OK)
    assert bench.session.send(Ask(path="/a")) == OK
    assert bench.slept == [slept]
    (wait,) = (one for one in bench.events if isinstance(one, Phase))
    assert (wait.kind, wait.request) == ("wait", 1)
    assert f"HTTP {status}" in wait.detail


@pytest.mark.parametrize(
    ("status", "retry_after"),
    [(429, "61"), (429, "9" * 400), (503, "61"), (503, ""), (503, "\u00b2"), (404, "1")],
)
def test_what_asks_for_too_much_or_nothing_is_not_waited_for(
    status: int, retry_after: str, make: Make
) -> None:
    bench = make(refusal(status, retry_after=retry_after), OK)
    assert bench.session.send(Ask(path="/a")).status == status
    assert bench.slept == []


def test_a_wait_that_does_not_fit_into_the_time_is_not_begun(make: Make) -> None:
    bench = make(refusal(429, retry_after="5"), OK)
    assert bench.session.send(Ask(path="/a"), timeout_s=4.0).status == 429
    assert bench.slept == []


def test_patience_is_bounded(make: Make) -> None:
    bench = make(refusal(429, retry_after="1"))
    assert bench.session.send(Ask(path="/a")).status == 429
    assert bench.slept == [1.0] * PATIENCE


def test_one_that_asks_for_too_much_does_not_keep_the_others_from_being_repeated(
    make: Make,
) -> None:
    bench = make(refusal(429, retry_after="3600"), b=[refusal(429, retry_after="2"), OK], c=[OK])
    found = bench.session.send_all([Ask(path="/a"), Ask(path="/b"), Ask(path="/c")])
    assert [one.status for one in found if isinstance(one, Response)] == [429, 200, 200]
    assert asked(bench) == [["/a", "/b", "/c"], ["/b"]]
    assert bench.slept == [2.0]


def test_a_401_renews_the_credential_once_and_only_once(make: Make) -> None:
    bench = make(refusal(401), renewals=9)
    assert bench.session.send(Ask(path="/a")).status == 401
    sent = [
        dict(request.headers)["authorization"] for each in bench.pool.rounds for request in each
    ]
    assert sent == ["Bearer 1", "Bearer 2"]
    assert bench.pool.closed == 1


def test_many_401_at_once_renew_once(make: Make) -> None:
    bench = make(refusal(401), OK, b=[refusal(401), OK], c=[OK], renewals=9)
    found = bench.session.send_all([Ask(path=f"/{name}") for name in "abc"])
    assert found == [OK, OK, OK]
    assert asked(bench) == [["/a", "/b", "/c"], ["/a", "/b"]]
    assert bench.credentials.asked_to_renew == 1


def test_a_401_without_another_credential_is_an_answer(make: Make) -> None:
    bench = make(refusal(401))
    assert bench.session.send(Ask(path="/a")).status == 401
    assert len(bench.pool.rounds) == 1


@pytest.mark.parametrize(
    ("method", "outcome", "connection", "rounds"),
    [
        ("GET", LOST, 1, 3),
        ("HEAD", LOST, 1, 3),
        ("POST", LOST, 1, 1),
        ("DELETE", LOST, 1, 1),
        ("POST", UNPROCESSED, 1, 3),
        ("GET", FINAL, 1, 1),
        ("GET", LOST, 0, 1),
    ],
)
def test_only_what_can_do_no_harm_is_repeated(
    method: str, outcome: Failure, connection: int, rounds: int, make: Make
) -> None:
    bench = make(outcome)
    bench.pool.connection = connection
    with pytest.raises(TransportError) as raised:
        bench.session.send(Ask(path="/a", method=method))
    assert raised.value is outcome.error
    assert len(bench.pool.rounds) == rounds
    (done,) = (one for one in bench.events if isinstance(one, RequestDone))
    assert (done.status, done.why) == (None, outcome.error.message)


def test_a_connection_that_is_lost_once_is_never_heard_of(make: Make) -> None:
    assert make(LOST, OK).session.send(Ask(path="/a")) == OK


@given(
    st.lists(
        st.sampled_from([OK, LOST, UNPROCESSED, FINAL, refusal(401), refusal(429, retry_after="0")])
        | st.builds(refusal, st.integers(200, 599)),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from(["GET", "POST"]),
    st.integers(0, 3),
)
def test_whatever_comes_there_is_an_end_to_it(
    outcomes: list[Outcome], method: str, renewals: int
) -> None:
    pool = FakePool({"/a": outcomes})
    credentials = FakeCredentials(renewals)
    session = Session(
        Manner(authority="api", user_agent="test"),
        pool,  # type: ignore[arg-type]
        credentials,  # type: ignore[arg-type]
        lambda _: None,
        sleep=lambda _: None,
    )
    (found,) = session.send_all([Ask(path="/a", method=method)])
    assert isinstance(found, Response | TransportError)
    assert len(pool.rounds) <= 1 + PATIENCE + 2 + 1
    assert credentials.token <= 2


@given(st.binary(max_size=2000), st.integers(1, 9))
def test_compressed_bodies_are_unpacked(body: bytes, level: int) -> None:
    packed = Response(
        status=200,
        headers={"content-encoding": "gzip"},
        body=gzip.compress(body, compresslevel=level, mtime=0),
    )
    pool = FakePool({"/a": [packed]})
    session = Session(
        Manner(authority="api", user_agent="test"),
        pool,  # type: ignore[arg-type]
        FakeCredentials(),  # type: ignore[arg-type]
        lambda _: None,
    )
    assert session.send(Ask(path="/a")).body == body


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "gzip, gzip"])
def test_what_cannot_be_unpacked_is_told(coding: str, make: Make) -> None:
    bench = make(Response(status=200, headers={"content-encoding": coding}, body=b"rubbish"))
    with pytest.raises(TransportError, match=f"api:6443 sent an answer in the coding '{coding}'"):
        bench.session.send(Ask(path="/a"))


def test_no_compression_is_asked_for_where_none_is_wanted() -> None:
    pool = FakePool({"/prefix/a": [OK]})
    session = Session(
        Manner(authority="api", user_agent="t", prefix="/prefix", is_compressed=False),
        pool,  # type: ignore[arg-type]
        FakeCredentials(),  # type: ignore[arg-type]
        lambda _: None,
    )
    session.send(Ask(path="/a"))
    assert "accept-encoding" not in dict(pool.rounds[0][0].headers)
