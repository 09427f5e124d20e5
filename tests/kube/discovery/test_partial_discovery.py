"""Half of a discovery is never taken for the whole, and never waited for by who needs it not."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hostile_server import Exchange, HostileServer, kubeconfig, refuses, serving, well_behaved
from kubelag.errors import ApiError, UnknownResourceError
from kubelag.kube import Client
from kubelag.kube.cache.layout import host_directory

Make = Callable[[HostileServer], Client]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes clients that share a cache below `home`."""
    made: list[Client] = []

    def build(server: HostileServer) -> Client:
        path = kubeconfig(tmp_path, server.url)
        made.append(Client(env={"KUBECONFIG": str(path), "HOME": str(tmp_path / "home")}))
        return made[-1]

    yield build
    for client in made:
        client.forget_connections()


def hang(exchange: Exchange) -> None:
    """Says nothing for as long as anybody listens."""
    exchange.line.recv(1)
    exchange.is_over = True


def test_a_refusal_of_one_half_is_never_kept_for_others(make: Make, tmp_path: Path) -> None:
    special = {"/apis": refuses(403, "Forbidden")}
    with serving(well_behaved(special)) as server:
        client = make(server)
        with pytest.raises(ApiError, match="403"):
            client.discovery.resolve("deploy")
        client.close()
        assert not list((tmp_path / "home").rglob("servergroups.json"))


def test_the_core_group_needs_no_other_and_waits_for_none(make: Make) -> None:
    with serving(well_behaved({"/apis/apps/v1": hang})) as server:
        assert make(server).discovery.resolve("pods").api_version == "v1"
        assert sorted(server.paths) == ["/api", "/api/v1", "/apis"]


def test_what_kubectls_files_lack_is_waited_for_only_by_who_needs_it(
    make: Make, tmp_path: Path
) -> None:
    with serving(well_behaved()) as server:
        make(server).close()
        with make(server) as warm:
            warm.discovery.refresh()
        host = Path(host_directory(str(tmp_path / "home/.kube/cache"), server.url))
        (host / "kubelag.v1").unlink()
        (host / "apps/v1/serverresources.json").unlink()
        asked = len(server.heads)
        client = make(server)
        assert client.discovery.resolve("pods").name == "pods"
        assert len(server.heads) == asked
        assert client.discovery.has_work_left
        assert client.discovery.resolve("deploy").name == "deployments"
        assert server.paths[asked:] == ["/apis/apps/v1"]


def test_what_failed_a_while_ago_is_asked_for_behind_the_next_command(make: Make) -> None:
    broken = {"/apis/apps/v1": refuses(503, "ServiceUnavailable")}
    with serving(well_behaved(broken)) as server:
        with make(server) as first, pytest.raises(UnknownResourceError, match="apps/v1"):
            first.discovery.resolve("deploy")
        del broken["/apis/apps/v1"]
        later = make(server)
        later.discovery._clock = lambda: time.time() + 100
        assert later.discovery.resolve("pods").name == "pods"
        assert later.discovery.has_work_left
        later.close()
        assert server.paths[-1] == "/apis/apps/v1"
        assert make(server).discovery.resolve("deploy").name == "deployments"


def test_an_unasked_not_modified_is_a_refusal(make: Make) -> None:
    special = {"/apis": lambda one: one.answer(304)}
    with serving(well_behaved(special)) as server, pytest.raises(ApiError, match="304"):
        make(server).discovery.resolve("deploy")


def test_what_cannot_be_renewed_is_no_error_of_what_was_done(make: Make) -> None:
    trouble: dict[str, Callable[[Exchange], None]] = {}
    with serving(well_behaved(trouble)) as server:
        with make(server) as first:
            first.discovery.refresh()
        trouble["/apis"] = refuses(503, "ServiceUnavailable")
        with make(server) as later:
            later.discovery._clock = lambda: time.time() + 7 * 3600
            assert later.discovery.resolve("pods").name == "pods"
        assert "503" in later.troubles[-1]
