"""A home with a cache, a private tmpfs, and ways to be killed in the middle or to be nobody."""

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kubelag.observe.mounts import mount_of, read_mounts
from kubelag.remedies.contract import Context, Options, SystemPaths, current_context

SHARED_MEMORY = Path("/dev/shm")
NOBODY = 65534


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory on tmpfs that only we can write to, in the part of /run."""
    mount = mount_of(str(SHARED_MEMORY), read_mounts())
    if mount is None or mount.file_system != "tmpfs" or not os.access(SHARED_MEMORY, os.W_OK):
        pytest.skip("there is no tmpfs at /dev/shm to write to")
    path = Path(tempfile.mkdtemp(prefix="kubelag-test-", dir=SHARED_MEMORY))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a cache of a few files whose times are all their own."""
    cache = tmp_path / "home" / ".kube" / "cache"
    for at, name in enumerate(("discovery/h/v1/serverresources.json", "http/abc", "http/def")):
        path = cache / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        path.write_text(f"content of {name}")
        path.chmod(0o660)
        os.utime(path, ns=(10**18 + at, 10**18 + at))
    cache.chmod(0o750)
    os.utime(cache, ns=(5 * 10**17, 5 * 10**17))
    os.utime(cache.parent, ns=(4 * 10**17, 4 * 10**17))
    return tmp_path / "home"


@pytest.fixture
def context(home: Path, memory: Path, tmp_path: Path) -> Context:
    """Root's view of a machine that systemd booted, or a user's who lingers; both with a /run."""
    env = {"HOME": str(home), "PATH": os.environ["PATH"]}
    uid = os.geteuid()
    paths = SystemPaths(
        run=memory,
        shared_memory=memory / "shm",
        tmpfiles=tmp_path / "tmpfiles.d",
        system_units=tmp_path / "units",
        user_units=tmp_path / "user-units",
        booted_by_systemd=tmp_path / "booted",
        linger=tmp_path / "linger",
    )
    (memory / "shm").mkdir()
    (memory / "shm").chmod(0o1777)
    (memory / "user" / str(uid)).mkdir(parents=True, mode=0o700)
    found = current_context(Options(), env, tmp_path)
    paths.tmpfiles.mkdir()
    paths.booted_by_systemd.mkdir()
    paths.linger.mkdir()
    (paths.linger / found.user).touch()
    return replace(found, paths=paths, state_directory=tmp_path / "state")


@pytest.fixture
def plain(context: Context) -> Context:
    """The same where nothing makes anything at boot, and /dev/shm is the only tmpfs."""
    context.paths.booted_by_systemd.rmdir()
    nowhere = context.paths.tmpfiles.parent / "no-run"
    return replace(context, paths=replace(context.paths, run=nowhere))


Snapshot = dict[str, tuple[object, ...]]


@pytest.fixture
def snapshot() -> Callable[..., Snapshot]:
    """Everything about a tree but what reading changes."""

    def take(*roots: Path) -> Snapshot:
        return {
            str(path): _facts(path) for root in roots for path in [root, *sorted(root.rglob("*"))]
        }

    return take


def _facts(path: Path) -> tuple[object, ...]:
    found = path.lstat()
    content = path.read_bytes() if path.is_file() and not path.is_symlink() else None
    link = str(path.readlink()) if path.is_symlink() else None
    return (
        *(found.st_ino, found.st_mode, found.st_uid, found.st_gid, found.st_mtime_ns),
        content,
        link,
    )


@pytest.fixture
def killed_after() -> Callable[[Callable[[Context], object], Context, int], bool]:
    """Run something in a child that is killed with SIGKILL after its n-th step.

    Returns whether it was killed; False where it had fewer steps and ended by itself.
    """

    def run(action: Callable[[Context], object], context: Context, steps: int) -> bool:
        pid = os.fork()
        if pid == 0:
            left = iter(range(steps - 1))

            def after_step(_step: str) -> None:
                if next(left, None) is None:
                    os.kill(os.getpid(), signal.SIGKILL)

            action(replace(context, after_step=after_step))
            os._exit(0)
        status = os.waitpid(pid, 0)[1]
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) == signal.SIGKILL
            return True
        assert status == 0
        return False

    return run


@pytest.fixture
def as_nobody() -> Callable[[Callable[[], str]], str]:
    """Run something as an ordinary user and give back what it says."""

    def run(action: Callable[[], str]) -> str:
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            try:
                said = action()
            except BaseException as error:  # noqa: BLE001 -- the parent's test must hear of it
                said = f"{type(error).__name__}: {error}"
            os.write(write, said.encode())
            os._exit(0)
        os.close(write)
        os.waitpid(pid, 0)
        with open(read) as stream:  # noqa: PTH123 -- opened by descriptor
            return stream.read()

    return run
