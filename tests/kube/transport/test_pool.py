"""Connections as whoever looks at the events sees them: how many, which, for whom."""

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hostile_server import Authority, Exchange, HostileServer, kubeconfig, serving, well_behaved
from kubelag.errors import KubelagError, TransportError
from kubelag.kube import Client, Settings
from kubelag.kube.session import Ask
from kubelag.kube.transport.events import Phase, RequestDone, Waiting
from kubelag.kube.transport.pool import HTTP1_CONNECTIONS

pytest.importorskip("hypercorn", reason="the lab's packages are not installed")

from kubelag.lab.control_plane.embedded import start_embedded
from kubelag.lab.control_plane.handle import ControlPlane
from kubelag.lab.control_plane.options import ControlPlaneOptions


@dataclass
class Watched:
    """A client, and what its observer was told."""

    client: Client
    events: list[Phase | RequestDone | Waiting] = field(default_factory=list)

    @property
    def done(self) -> list[RequestDone]:
        return [one for one in self.events if isinstance(one, RequestDone)]

    def count(self, kind: str) -> int:
        """Phases of this kind."""
        return sum(isinstance(one, Phase) and one.kind == kind for one in self.events)


def watched(path: Path, **env: str) -> Watched:
    events: list[Phase | RequestDone | Waiting] = []
    client = Client(
        env={"KUBECONFIG": str(path), "HOME": str(path.parent), **env},
        settings=Settings(cache="memory"),
        observe=events.append,
    )
    return Watched(client, events)


@pytest.fixture(scope="module")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A server that speaks both protocols."""
    options = ControlPlaneOptions(group_versions=38)
    started = start_embedded(tmp_path_factory.mktemp("embedded") / "lab", options)
    yield started
    started.stop()


@pytest.fixture
def both(control_plane: ControlPlane) -> Iterator[Watched]:
    """A client that may speak HTTP/2."""
    found = watched(control_plane.kubeconfig())
    yield found
    found.client.forget_connections()


def test_over_http2_everything_goes_over_one_connection(both: Watched) -> None:
    both.client.discovery.resolve("deploy")
    assert len(both.done) == 40
    assert (both.count("connect"), both.count("tls")) == (1, 1)
    assert {one.connection for one in both.done} == {1}
    assert sorted(one.request for one in both.done) == list(range(1, 41))
    assert any(
        isinstance(one, Phase) and one.kind == "tls" and one.detail.endswith("h2")
        for one in both.events
    )


def test_over_http1_a_burst_is_spread_and_then_connections_are_kept(
    control_plane: ControlPlane,
) -> None:
    found = watched(control_plane.kubeconfig(), DISABLE_HTTP2="true")
    found.client.discovery.resolve("deploy")
    made = found.count("tls")
    assert 2 <= made <= HTTP1_CONNECTIONS
    per_connection = Counter(one.connection for one in found.done)
    assert sum(per_connection.values()) == 40
    for _ in range(5):
        found.client.request("/version")
    assert found.count("tls") == made
    found.client.forget_connections()


def test_answers_go_to_whoever_asked(both: Watched) -> None:
    paths = [f"/api/v1/nodes/node{1 + number % 3}" for number in range(60)]
    answers = both.client.session.send_all([Ask(path=path) for path in paths])
    for path, answer in zip(paths, answers, strict=True):
        assert not isinstance(answer, TransportError)
        assert f'"name":"{path.rpartition("/")[2]}"'.encode() in answer.body


def test_several_threads_do_not_get_one_anothers_answers(both: Watched) -> None:
    wrong: list[str] = []

    def ask(name: str) -> None:
        for _ in range(25):
            found = both.client.get("nodes", name)["metadata"]["name"]
            if found != name:
                wrong.append(found)

    both.client.discovery.resolve("deploy")
    threads = [threading.Thread(target=ask, args=(f"node{1 + at % 3}",)) for at in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    numbers = [one.request for one in both.done]
    assert len(numbers) == len(set(numbers))


def test_a_phase_says_what_it_belongs_to_and_nothing_overlaps_backwards(both: Watched) -> None:
    both.client.request("/version")
    for one in both.events:
        assert isinstance(one, Waiting) or one.ended_ns >= one.began_ns
    server = [one for one in both.events if isinstance(one, Phase) and one.kind == "server"]
    (done,) = both.done
    assert [one.request for one in server] == [done.request]
    assert done.began_ns <= server[0].began_ns <= server[0].ended_ns <= done.ended_ns


def test_a_connection_that_the_server_has_closed_is_not_used_again(tmp_path: Path) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.answer_json({"gitVersion": "v1"})
        exchange.is_over = True

    with serving(answer) as server:
        found = watched(kubeconfig(tmp_path, server.url))
        for _ in range(5):
            found.client.request("/version")
        assert len({one.connection for one in found.done}) == 5
        found.client.forget_connections()


def test_a_connection_on_which_an_answer_was_broken_off_is_not_used_again(tmp_path: Path) -> None:
    def answer(exchange: Exchange) -> None:
        if exchange.path == "/endless":
            exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{")
        else:
            exchange.answer_json({"gitVersion": "v1"})

    with serving(answer) as server:
        path = kubeconfig(tmp_path, server.url)
        found = watched(path)
        found.client.request("/version")
        with pytest.raises(TransportError):
            found.client.session.send(Ask(path="/endless"), timeout_s=0.1)
        assert found.client.document("/version") == {"gitVersion": "v1"}
        assert found.done[-1].connection != found.done[0].connection
        found.client.forget_connections()


def test_one_bad_answer_of_a_burst_is_one_bad_answer(tmp_path: Path) -> None:
    def broken(exchange: Exchange) -> None:
        exchange.hang_up(b"rubbish\r\n\r\n")

    with serving(well_behaved({"/api/v1": broken})) as server:
        found = watched(kubeconfig(tmp_path, server.url))
        snapshot = found.client.discovery.refresh()
        states = {name: one.state for name, one in snapshot.group_versions.items()}
        assert states == {"v1": "failed", "apps/v1": "ok"}
        assert f"127.0.0.1:{server.port}" in snapshot.group_versions["v1"].why
        found.client.forget_connections()


def test_a_server_of_which_nothing_is_left_is_an_error_for_each(tmp_path: Path) -> None:
    with serving(well_behaved()) as server:
        path = kubeconfig(tmp_path, server.url)
    found = watched(path)
    answers = found.client.session.send_all([Ask(path=f"/{at}") for at in range(40)])
    assert all(isinstance(one, TransportError) for one in answers)
    assert {one.connection for one in found.done} == {None}


def test_a_credential_that_cannot_be_had_is_raised_and_costs_no_connection(
    tmp_path: Path,
) -> None:
    authority = Authority()
    with serving(well_behaved(), tls=authority.server()) as server:
        user = {"tokenFile": str(tmp_path / "nothing")}
        found = watched(kubeconfig(tmp_path, server.url, authority.pem, user))
        with pytest.raises(KubelagError, match="nothing"):
            found.client.request("/version")
        assert not server.connected.is_set()


def test_a_certificate_of_rubbish_is_raised_in_bursts_too(tmp_path: Path) -> None:
    authority = Authority()
    with serving(well_behaved(), tls=authority.server()) as server:
        user = {"client-certificate-data": "cnViYmlzaA==", "client-key-data": "cnViYmlzaA=="}
        found = watched(kubeconfig(tmp_path, server.url, authority.pem, user))
        with pytest.raises(KubelagError, match="client-certificate-data of user 'u'"):
            found.client.discovery.resolve("deploy")


def slow_server(released: threading.Event) -> HostileServer:
    def answer(exchange: Exchange) -> None:
        released.wait(30)
        exchange.answer_json({})

    return HostileServer(answer)


def test_whoever_waits_is_told_that_he_does(tmp_path: Path) -> None:
    released = threading.Event()
    server = slow_server(released)
    told: list[Waiting] = []

    def observe(event: Phase | RequestDone | Waiting) -> None:
        if isinstance(event, Waiting) and event.answers:
            told.append(event)
            released.set()

    env = {"KUBECONFIG": str(kubeconfig(tmp_path, server.url)), "HOME": str(tmp_path)}
    client = Client(env=env, settings=Settings(cache="memory"), observe=observe)
    assert client.document("/version") == {}
    client.forget_connections()
    server.close()
    assert [one.answers for one in told] == [1]
    assert told[0].server == f"127.0.0.1:{server.port}"
    assert 0.9 <= told[0].waited_s < 10


def test_a_quick_connection_makes_nobody_wait(both: Watched) -> None:
    both.client.request("/version")
    assert not any(isinstance(one, Waiting) for one in both.events)
