"""API servers behind a counter, and kubelag's own client with a cache for each test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from counted_server import Counted, counted
from kubelag.kube import Client, Settings
from kubelag.lab.control_plane.embedded import start_embedded
from kubelag.lab.control_plane.handle import ControlPlane
from kubelag.lab.control_plane.options import ControlPlaneOptions

CUSTOM_GROUPS = 12
VERSION = "v1.33.1"
"""One that kr8s does not warn about."""

MakeClient = Callable[[], Client]


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A server that aggregates, as all have since 1.27."""
    yield from _started(tmp_path_factory, aggregated="both")


@pytest.fixture(scope="session")
def legacy_control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A server that tells each group-version by itself."""
    yield from _started(tmp_path_factory, aggregated="none")


def _started(factory: pytest.TempPathFactory, **options: object) -> Iterator[ControlPlane]:
    wanted = ControlPlaneOptions(
        custom_groups=CUSTOM_GROUPS,
        git_version=VERSION,
        empty_group_versions=("empty.example.com/v1",),
        **options,  # type: ignore[arg-type]
    )
    running = start_embedded(factory.mktemp("embedded") / "lab", wanted)
    yield running
    running.stop()


@pytest.fixture
def server(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Counted]:
    """The aggregating server, counted."""
    with counted(control_plane, tmp_path) as server:
        yield server


@pytest.fixture
def legacy_server(legacy_control_plane: ControlPlane, tmp_path: Path) -> Iterator[Counted]:
    """The legacy server, counted."""
    with counted(legacy_control_plane, tmp_path) as server:
        yield server


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    """The root of a cache of this test's own."""
    return tmp_path / "cache"


@pytest.fixture
def make_client(server: Counted, cache_dir: Path) -> Iterator[MakeClient]:
    """Makes clients with one cache, each as if in a new process."""
    made: list[Client] = []

    def make() -> Client:
        settings = Settings(cache_dir=str(cache_dir))
        made.append(Client(kubeconfig=str(server.kubeconfig), settings=settings))
        return made[-1]

    yield make
    for client in made:
        client.forget_connections()


@pytest.fixture
def warm(make_client: MakeClient, server: Counted) -> Client:
    """A client whose cache was filled by another one; nothing is counted yet."""
    with make_client() as first:
        first.discovery.snapshot()
    server.take()
    return make_client()
