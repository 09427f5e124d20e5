"""Embedded servers of every look, and clients whose requests are counted."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kubelag.kube.cache.store import Store
from kubelag.kube.client import Client, Settings
from kubelag.kube.discovery.fetch import Fetcher
from kubelag.kube.discovery.service import Discovery, Manner
from kubelag.kube.transport.events import Phase, RequestDone, Waiting

pytest.importorskip("hypercorn", reason="the lab's packages are not installed")

from kubelag.lab.control_plane.embedded import start_embedded
from kubelag.lab.control_plane.handle import ControlPlane
from kubelag.lab.control_plane.options import ControlPlaneOptions

GROUP_VERSIONS = 38
StartServer = Callable[..., ControlPlane]


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """Starts embedded servers, one for each set of options, that end with the session."""
    started: dict[str, ControlPlane] = {}

    def start(**options: object) -> ControlPlane:
        wanted = ControlPlaneOptions(**{"group_versions": GROUP_VERSIONS, **options})  # type: ignore[arg-type]
        if repr(wanted) not in started:
            started[repr(wanted)] = start_embedded(
                tmp_path_factory.mktemp("embedded") / "lab", wanted
            )
        return started[repr(wanted)]

    yield start
    for control_plane in started.values():
        control_plane.stop()


@dataclass
class Clock:
    """A time that stands still until it is moved."""

    now_s: float

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Counted:
    """One run of a program: its discovery, and what it asked for."""

    client: Client
    discovery: Discovery
    events: list[Phase | RequestDone | Waiting] = field(default_factory=list)

    @property
    def asked(self) -> list[tuple[str, int | None]]:
        """Path without its query, and status, of every request since last looked at."""
        done = [one for one in self.events if isinstance(one, RequestDone)]
        self.events.clear()
        return [(one.target.partition("?")[0], one.status) for one in done]


Run = Callable[..., Counted]


@pytest.fixture
def clock() -> Clock:
    return Clock(now_s=1_800_000_000.0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Of the cache."""
    return tmp_path / "cache"


@pytest.fixture
def run(root: Path, clock: Clock) -> Iterator[Run]:
    """Begins a run of a program with nothing but the cache left of earlier ones."""
    begun: list[Counted] = []

    def start(control_plane: ControlPlane, *, is_eager: bool = False) -> Counted:
        events: list[Phase | RequestDone | Waiting] = []
        env = {"KUBECONFIG": str(control_plane.kubeconfig()), "HOME": str(root)}
        client = Client(settings=Settings(cache="memory"), observe=events.append, env=env)
        store = Store(str(root), client.server, now=clock)

        def keep(path: str, accept: str, response: object) -> None:
            store.put(client.server + path, response, accept)  # type: ignore[arg-type]

        discovery = Discovery(
            client.server,
            store,
            lambda: Fetcher(client.session, client.server, keep, clock=clock),
            manner=Manner(is_eager=is_eager),
            clock=clock,
        )
        begun.append(Counted(client, discovery, events))
        return begun[-1]

    yield start
    for one in begun:
        one.client.forget_connections()
