"""What a remedy set out to do, on disk before it is done, so that it can always be taken back.

One JSON file for each remedy and path. It is written, synced, and only then is anything changed;
it disappears with the last step of undo. While it says `applying` or `undoing`, something was cut
short. One lock makes sure that no two remedies work at once.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import msgspec

from kubelag.errors import RemedyError

Phase = Literal["applying", "applied", "undoing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeFile:
    """A small file, or a link, that the remedy creates beside its main work."""

    path: str
    text: str | None = None
    """Its content; None for a link."""
    link: str | None = None
    """The link's text; None for a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """Everything that undo needs to know, all of it known before the first change."""

    format: Literal[1] = 1
    remedy: str
    phase: Phase = "applying"
    target: str
    """The path that is replaced."""
    saved: str
    """Where the former content waits, beside the target; it is moved, never copied."""
    existed: bool
    """Whether there was anything at the target."""
    former_link: str | None = None
    """The text of the link that was at the target, where a link was."""
    link: str | None
    """Text of the link that takes the target's place; None where a directory does."""
    memory: str | None = None
    """The directory in memory that the link leads to."""
    files: tuple[MadeFile, ...] = ()
    made_directories: tuple[str, ...] = ()
    """Directories that did not exist before, outermost first."""
    parent_names: tuple[str, ...] = ()
    """What was in the target's directory before."""
    parent_mtime_ns: int | None = None
    """When the target's directory had last changed before."""
    scope: str = ""
    survival: str = ""
    """What makes the directory in memory anew after a reboot; empty where nothing does."""


class Journals:
    """The journals of one user."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def find(self, remedy: str, target: Path) -> Journal | None:
        """The journal for this path, None where the remedy was never begun or wholly undone.

        Raises:
            RemedyError: Where it cannot be read or understood.
        """
        return self._read(self._path(remedy, str(target)))

    def all(self) -> tuple[Journal, ...]:
        """Every journal, whatever it is for."""
        try:
            paths = sorted(self._directory.glob("*.json"))
        except OSError as error:
            raise RemedyError(f"{self._directory} cannot be read: {error.strerror}") from error
        return tuple(journal for path in paths if (journal := self._read(path)))

    def write(self, journal: Journal) -> Journal:
        """Put it on disk, synced, in place of any older one."""
        path = self._path(journal.remedy, journal.target)
        temporary = path.with_suffix(".new")
        with _told(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with open(fd, "wb") as stream:  # noqa: PTH123 -- opened by descriptor
                stream.write(msgspec.json.format(msgspec.json.encode(journal)))
                stream.flush()
                os.fsync(fd)
            temporary.replace(path)
            _sync_directory(self._directory)
        return journal

    def mark(self, journal: Journal, phase: Phase) -> Journal:
        """Write it again with another phase."""
        return self.write(replace(journal, phase=phase))

    def forget(self, journal: Journal) -> None:
        """The last step of undo."""
        with _told(self._directory):
            self._path(journal.remedy, journal.target).unlink(missing_ok=True)
            _sync_directory(self._directory)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other kubelag of this user from changing anything meanwhile.

        Raises:
            RemedyError: Where another one is at work.
        """
        with _told(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise RemedyError(
                "another `kubelag fix` is at work", "wait until it has finished, then try again"
            ) from error
        finally:
            os.close(fd)

    def _path(self, remedy: str, target: str) -> Path:
        return self._directory / f"{remedy}-{key_of(target)}.json"

    def _read(self, path: Path) -> Journal | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=Journal)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RemedyError(f"{path} cannot be read: {error.strerror}") from error
        except msgspec.DecodeError as error:
            raise RemedyError(
                f"the journal {path} is damaged: {error}",
                "look into it by hand; it names the path that was replaced and where the former"
                " content is",
            ) from error


def key_of(target: str) -> str:
    """A short, stable name for one path."""
    return hashlib.sha256(os.fsencode(target)).hexdigest()[:12]


@contextmanager
def _told(directory: Path) -> Iterator[None]:
    try:
        yield
    except BlockingIOError:
        raise
    except OSError as error:
        raise RemedyError(
            f"the journal in {directory} cannot be written: {error.strerror}",
            "nothing further was changed; make the directory writable or set XDG_STATE_HOME",
        ) from error


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # some file systems cannot sync a directory
            os.fsync(fd)
    finally:
        os.close(fd)
