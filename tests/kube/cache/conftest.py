"""A cache on disk, a full disk, a disk that cannot be written, and an ordinary user."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cache_snapshots import NOW_S, SERVER
from kubelag.kube.cache.place import Place
from kubelag.kube.cache.store import Store

NOBODY = 65534
MakeStore = Callable[..., Store]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where a cache is to be; not there yet."""
    return tmp_path / "cache"


@pytest.fixture
def host(root: Path) -> Path:
    """The server's directory."""
    return root / "discovery" / "127.0.0.1_6443"


@pytest.fixture
def place(root: Path) -> Place:
    """The same as the cache names it."""
    return Place(root=str(root), relative="127.0.0.1_6443", server=SERVER, uid=os.geteuid())


@pytest.fixture
def make_store(root: Path) -> MakeStore:
    """Opens the cache at a time that stands still."""

    def make(*, at_s: float = NOW_S, policy: str = "checksummed", where: Path = root) -> Store:
        return Store(str(where), SERVER, policy=policy, now=lambda: at_s)

    return make


@pytest.fixture
def in_child() -> Callable[[Callable[[], str], int | None], str]:
    """Runs something in a child, as another user if so asked, and gives back what it says."""

    def run(action: Callable[[], str], uid: int | None = None) -> str:
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            said = "nothing"
            try:
                if uid is not None and os.geteuid() == 0:
                    os.setgroups([])
                    os.setgid(uid)
                    os.setuid(uid)
                said = action()
            except BaseException as error:  # noqa: BLE001 - the parent's test must hear of it
                said = f"{type(error).__name__}: {error}"
            finally:
                os.write(write, said.encode())
                os._exit(0)
        os.close(write)
        os.waitpid(pid, 0)
        with open(read) as stream:  # noqa: PTH123 - opened by descriptor
            return stream.read()

    return run


@pytest.fixture
def mount_tmpfs() -> Iterator[Callable[[str], Path]]:
    """Mounts file systems in memory, with these options, for the time of the test."""
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        if os.geteuid() != 0:
            pytest.skip("only root can mount")
        path = Path(tempfile.mkdtemp(prefix="kubelag-cache-"))
        argv = ["mount", "-t", "tmpfs", "-o", options, "kubelag-test", str(path)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            path.rmdir()
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
        mounted.append(path)
        return path

    yield mount
    for path in mounted:
        subprocess.run(["umount", str(path)], check=True)
        path.rmdir()
