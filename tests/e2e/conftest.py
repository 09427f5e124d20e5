"""One control plane, one slow disk and two clients, shared by all end-to-end tests."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubelag.errors import LabError
from kubelag.lab.slow_directory import SlowDirectory, open_slow_directory
from program import Program, fake_kubectl

GROUP_VERSIONS = 38
"""One more than the server has by itself: enough to see, and few enough to be quick."""
FSYNC_MS = 10.0
METADATA_MS = 0.5


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Path]]:
    """Starts an embedded control plane with these options; gives its directory."""
    pytest.importorskip("hypercorn", reason="the lab's packages are not installed")
    from kubelag.lab.control_plane.embedded import start_embedded  # noqa: PLC0415 - an extra
    from kubelag.lab.control_plane.options import ControlPlaneOptions  # noqa: PLC0415 - the same

    started = []

    def start(**options: float) -> Path:
        wanted = ControlPlaneOptions(**{"group_versions": GROUP_VERSIONS, **options})  # type: ignore[arg-type]
        started.append(start_embedded(tmp_path_factory.mktemp("server") / "lab", wanted))
        return started[-1].directory

    yield start
    for control_plane in started:
        control_plane.stop()


@pytest.fixture(scope="session")
def server(start_server: Callable[..., Path]) -> Path:
    """The directory of a control plane that answers at once."""
    return start_server()


@pytest.fixture(scope="session")
def kubeconfig(server: Path) -> Path:
    """The administrator's."""
    return server / "kubeconfig-certificate.yaml"


@pytest.fixture(scope="session")
def slow_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlowDirectory]:
    """A disk on which an fsync takes about 10 ms."""
    try:
        disk = open_slow_directory(tmp_path_factory.mktemp("slow") / "disk", fsync_ms=FSYNC_MS)
    except LabError as error:
        pytest.skip(f"there can be no slow disk here: {error}")
    with disk:
        yield disk


@pytest.fixture(scope="session")
def metadata_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlowDirectory]:
    """A file system that takes its time for each file that is looked up, created or renamed."""
    place = tmp_path_factory.mktemp("metadata") / "disk"
    try:
        disk = open_slow_directory(place, kind="fuse", fsync_ms=1.0, metadata_ms=METADATA_MS)
    except LabError as error:
        pytest.skip(f"there can be no slow file system here: {error}")
    with disk:
        yield disk


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home on the ordinary disk."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def slow_home(slow_disk: SlowDirectory) -> Path:
    """A home of its own on the slow disk."""
    return Path(tempfile.mkdtemp(prefix="home-", dir=slow_disk.path))


@pytest.fixture
def kubelag(home: Path, kubeconfig: Path) -> Iterator[Program]:
    """The program; whatever a test does with it, nothing of it may be left."""
    program = Program(env=environment(home, kubeconfig))
    yield program
    assert program.left() == []


def environment(home: Path, kubeconfig: Path) -> dict[str, str]:
    """What a user's shell has."""
    return {"HOME": str(home), "KUBECONFIG": str(kubeconfig), "PATH": os.environ["PATH"]}


@pytest.fixture
def fake(tmp_path: Path) -> Callable[..., Path]:
    """Makes a kubectl that does these lines of shell."""

    def make(*lines: str) -> Path:
        return fake_kubectl(tmp_path / "kubectl", *lines)

    return make


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """Where a script says that it has come so far: reading it waits for that."""
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"
