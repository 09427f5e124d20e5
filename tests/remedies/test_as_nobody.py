"""The remedies for an ordinary user: nothing but his own home and the tmpfs that is his."""

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kubelag.remedies import survival
from kubelag.remedies.cache_in_memory import CacheInMemory
from kubelag.remedies.contract import Context, Options, SystemPaths, current_context

pytestmark = pytest.mark.real
NOBODY = 65534 if os.geteuid() == 0 else os.geteuid()
remedy = CacheInMemory()
AsNobody = Callable[[Callable[[], str]], str]


@dataclass(frozen=True)
class Nobody:
    home: Path
    paths: SystemPaths

    def context(self) -> Context:
        """Built in the child, where nobody is who we are."""
        env = {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "XDG_RUNTIME_DIR": str(self.paths.run / "user" / str(NOBODY)),
        }
        found = current_context(Options(), env, self.home)
        return replace(found, paths=self.paths, user="nobody")


@pytest.fixture
def nobody(memory: Path) -> Iterator[Nobody]:
    """A user with a home on disk, a /run/user of his own, and a shared memory."""
    home = Path(tempfile.mkdtemp(prefix="kubelag-nobody-"))
    (home / ".kube/cache/http").mkdir(parents=True)
    (home / ".kube/cache").chmod(0o750)
    (home / ".kube/cache/http/abc").write_text("x")
    private = memory / "user" / str(NOBODY)
    private.mkdir(parents=True)
    private.chmod(0o700)
    (memory / "shm").mkdir()
    (memory / "shm").chmod(0o1777)
    (home / "linger").mkdir()
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", home, private], check=True)
    paths = SystemPaths(
        run=memory,
        shared_memory=memory / "shm",
        tmpfiles=home / "not-mine",
        user_units=home / "user-units",
        linger=home / "linger",
    )
    yield Nobody(home=home, paths=paths)
    shutil.rmtree(home)


def tree(home: Path) -> list[tuple[str, int, int]]:
    return [
        (str(path), path.lstat().st_mode, path.lstat().st_mtime_ns)
        for path in sorted(home.rglob("*"))
        if ".local" not in path.parts and path.name != ".local"
    ]


def test_without_lingering_only_the_http_part_is_linked_and_undone(
    nobody: Nobody, as_nobody: AsNobody
) -> None:
    before = tree(nobody.home)
    said = as_nobody(lambda: remedy.plan(nobody.context()).warnings[0])
    assert "loginctl enable-linger" in said
    assert as_nobody(lambda: remedy.apply(nobody.context()).state) == "applied"
    link = nobody.home / ".kube/cache/http"
    found = link.readlink().stat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (NOBODY, 0o700)
    assert str(link.readlink()).startswith(str(nobody.paths.run / "user" / str(NOBODY)))
    assert (link / "abc").read_text() == "x"
    assert as_nobody(lambda: remedy.undo(nobody.context()).state) == "not_applied"
    assert tree(nobody.home) == before
    assert list((nobody.paths.run / "user" / str(NOBODY)).iterdir()) == []


@pytest.mark.skipif(
    shutil.which("systemd-tmpfiles") is None, reason="systemd-tmpfiles is not installed"
)
def test_with_lingering_the_whole_cache_comes_back_with_the_users_own_systemd(
    nobody: Nobody, as_nobody: AsNobody
) -> None:
    (nobody.paths.linger / "nobody").touch()
    before = tree(nobody.home)
    assert as_nobody(lambda: remedy.apply(nobody.context()).state) == "applied"
    link = nobody.home / ".kube/cache"
    directory = link.readlink()
    (configuration,) = (nobody.home / ".config/user-tmpfiles.d").iterdir()
    enabling = nobody.home / ".config/systemd/user/basic.target.wants"
    assert (enabling / "systemd-tmpfiles-setup.service").is_symlink()

    shutil.rmtree(directory.parent)
    assert as_nobody(lambda: remedy.status(nobody.context()).state) == "broken"

    def boot() -> str:
        survival.create_now("user-tmpfiles.d", str(configuration), directory, nobody.context())
        return remedy.verify(nobody.context()).state

    assert as_nobody(boot) == "applied"
    assert (directory.stat().st_uid, stat.S_IMODE(directory.stat().st_mode)) == (NOBODY, 0o700)
    assert as_nobody(lambda: remedy.undo(nobody.context()).state) == "not_applied"
    assert tree(nobody.home) == before
    assert list((nobody.paths.run / "user" / str(NOBODY)).iterdir()) == []


def test_in_a_container_with_nothing_but_shared_memory_the_name_cannot_be_guessed(
    nobody: Nobody, as_nobody: AsNobody
) -> None:
    bare = Nobody(home=nobody.home, paths=replace(nobody.paths, run=nobody.home / "no-run"))
    assert as_nobody(lambda: remedy.apply(bare.context()).state) == "applied"
    directory = (nobody.home / ".kube/cache/http").readlink()
    assert directory.parent == nobody.paths.shared_memory / f"kubelag-{NOBODY}"
    assert len(directory.name) == 32
    assert stat.S_IMODE(directory.parent.stat().st_mode) == 0o700
    assert as_nobody(lambda: remedy.undo(bare.context()).state) == "not_applied"
    assert list(nobody.paths.shared_memory.iterdir()) == []


def test_a_home_that_cannot_be_written_is_one_sentence(nobody: Nobody, as_nobody: AsNobody) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can take the home away")
    os.chown(nobody.home / ".kube/cache", 0, 0)
    said = as_nobody(lambda: str(remedy.apply(nobody.context())))
    assert said.startswith("RefusedError: ")
    assert "belongs to user 0, and you are nobody" in said


def test_a_state_directory_that_cannot_be_written_is_one_sentence(
    nobody: Nobody, as_nobody: AsNobody
) -> None:
    (nobody.home / ".local").write_text("a file where a directory should be")
    said = as_nobody(lambda: str(remedy.apply(nobody.context())))
    assert said.startswith("RemedyError: the journal in ")
    assert "XDG_STATE_HOME" in said
