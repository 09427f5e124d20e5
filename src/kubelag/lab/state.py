"""What the lab has made, written down before it is made, so that it can always be taken away.

A ledger is a private directory with an append-only journal, one JSON object a line. Undoing goes
backwards and asks the machine, not the journal, whether a thing is there: doing it twice is
harmless, and so is doing it for something that was never made.
"""

import fcntl
import json
import os
import secrets
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from kubelag.errors import LabError
from kubelag.lab import reaper
from kubelag.lab.private_files import make_private_directory
from kubelag.lab.processes import TOKEN_VARIABLE, Identity
from kubelag.launch.holding import ENDINGS, endings_held_back

JOURNAL = "journal.jsonl"
LOCK = "lock"
STATE_VARIABLE = "KUBELAG_LAB_STATE"
"""Set by `kubelag lab env`, which gives a shell another HOME than the one the lab was made from."""
TOKEN_BYTES = 12
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that the lab made, or was about to make."""

    number: int
    kind: str
    facts: Mapping[str, Any]


def state_directory(environment: Mapping[str, str], *, is_root: bool) -> Path:
    """Where this user's labs are written down; not created here.

    Raises:
        LabError: There is neither a run-time directory nor a home.
    """
    if environment.get(STATE_VARIABLE):
        return Path(environment[STATE_VARIABLE])
    if is_root:
        return Path("/run/kubelag")
    if environment.get("XDG_RUNTIME_DIR"):
        return Path(environment["XDG_RUNTIME_DIR"]) / "kubelag"
    if environment.get("HOME"):
        return Path(environment["HOME"]) / ".local" / "state" / "kubelag"
    raise LabError("The lab has no place for its state", "set HOME or XDG_RUNTIME_DIR")


class Ledger:
    """The journal of one lab; one process at a time holds it.

    Used as a context manager it undoes everything at the end, whatever the end is. A lab that
    outlives the process (`lab up`) calls `complete()` and `close()` instead.
    """

    def __init__(self, directory: Path, lock: IO[bytes]) -> None:
        self.directory = directory
        self._lock = lock
        self._journal = _Journal.read(directory / JOURNAL)
        self.token = str(self._journal.header.get("token", "")) or secrets.token_hex(TOKEN_BYTES)
        if not self._journal.header:
            self._journal.begin({"token": self.token, "boot": _boot_id(), "pid": os.getpid()})

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Take hold of the ledger in this private directory, new or left over.

        Raises:
            LabError: Somebody else holds it, or the directory is not private to us.
        """
        make_private_directory(directory)
        lock = _locked(directory / LOCK)
        if lock is None:
            raise LabError(
                f"Another lab is at work with {directory}", "wait for it, or press Ctrl-C there"
            )
        return cls(directory, lock)

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables that mark a process, and all that it starts, as made by this lab."""
        return {TOKEN_VARIABLE: self.token}

    @property
    def completed(self) -> Mapping[str, Any] | None:
        """What `complete` said, for a lab that came up whole; None for a half-made one."""
        return self._journal.completed

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What was made and not yet undone, oldest first."""
        return tuple(self._journal.entries.values())

    def will_make(self, kind: str, **facts: object) -> int:
        """Write down a thing before it is made; `kubelag.lab.reaper` knows the kinds."""
        reaper.check_kind(kind)
        return self._journal.add(kind, facts)

    def made_process(self, process: Identity) -> int:
        """Write down a process as soon as its pid is known; its token was known before."""
        return self.will_make("process", pid=process.pid, start_ticks=process.start_ticks)

    def make_directory(self, path: Path) -> Path:
        """Make a new private directory that goes, with all that is in it, when the lab goes.

        Raises:
            LabError: It exists already, so that it is not ours to remove.
        """
        if os.path.lexists(path):
            raise LabError(f"{path} exists already", "name a directory that does not")
        self.will_make("directory", path=os.fspath(path))
        return make_private_directory(path)

    def mark(self) -> int:
        """The number of the entry to come; two marks bound what was made between them."""
        return self._journal.next_number

    def complete(self, **facts: object) -> None:
        """Say that the lab is up as a whole, with what others need to know to use it."""
        self._journal.complete(facts)

    def reap(self, entries: range | None = None) -> None:
        """Undo, newest first, and see it gone.

        Args:
            entries: Numbers between two marks; without them everything, with every process that
                the lab started.

        Raises:
            LabError: Something would not go; it stays in the journal for the next time.
        """
        with _uninterrupted():
            problems = [problem for problem in self._undo(entries) if problem]
        if problems:
            raise LabError(
                f"The lab could not remove everything: {'; '.join(problems)}",
                "then run `kubelag lab down` again",
            )

    def close(self) -> None:
        """Let go of the ledger; an empty one disappears."""
        if not self._lock.closed:
            if not self._journal.entries:
                shutil.rmtree(self.directory, ignore_errors=True)
            self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.reap()
        finally:
            self.close()

    def _undo(self, entries: range | None) -> Iterator[str]:
        """Users of the disks first, then what was written down, then whatever else is marked."""
        is_this_boot = self._journal.header.get("boot") == _boot_id()
        if entries is None:
            self._journal.complete(None)
            yield reaper.end_marked(self.token, spared=self._recorded_pids())
        for entry in reversed(self.entries):
            if entries is None or entry.number in entries:
                problem = reaper.undo(entry.kind, entry.facts, is_this_boot=is_this_boot)
                if not problem:
                    self._journal.retire(entry.number)
                yield problem
        if entries is None:
            yield reaper.end_marked(self.token)

    def _recorded_pids(self) -> frozenset[int]:
        return frozenset(entry.facts["pid"] for entry in self.entries if entry.kind == "process")


def reap_abandoned(directory: Path) -> tuple[Path, ...]:
    """Undo every lab below the state directory whose process died before it was done.

    Labs that are up as a whole, and labs that somebody holds, are left alone.

    Returns:
        The ledgers' directories that were cleaned up.

    Raises:
        LabError: Something would not go.
    """
    cleaned = []
    for journal in sorted(directory.glob(f"*/{JOURNAL}")):
        try:
            ledger = Ledger.open(journal.parent)
        except LabError:  # held by a lab that is at work
            continue
        if ledger.completed is not None:
            ledger.close()
            continue
        with ledger:
            cleaned.append(journal.parent)
    return tuple(cleaned)


class _Journal:
    """The file: a header, then additions, retirements and at most one completion."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header: Mapping[str, Any] = {}
        self.entries: dict[int, Entry] = {}
        self.next_number = 1
        self.completed: Mapping[str, Any] | None = None

    @classmethod
    def read(cls, path: Path) -> Self:
        journal = cls(path)
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if text and not text.endswith("\n"):  # torn by a crash; what follows gets its own line
            path.write_text(text + "\n", encoding="utf-8")
        for line in text.splitlines():
            journal._take(line)
        return journal

    def begin(self, header: Mapping[str, Any]) -> None:
        self.append(header)
        self.header = header

    def add(self, kind: str, facts: Mapping[str, Any]) -> int:
        number = self.next_number
        self.append({"number": number, "kind": kind, "facts": facts})
        self.entries[number] = Entry(number=number, kind=kind, facts=facts)
        self.next_number += 1
        return number

    def retire(self, number: int) -> None:
        self.append({"retired": number})
        del self.entries[number]

    def complete(self, facts: Mapping[str, Any] | None) -> None:
        self.append({"completed": facts})
        self.completed = facts

    def append(self, record: Mapping[str, Any]) -> None:
        """One write of one line: a crash leaves it whole or torn at the very end, never mixed."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, 0o600)
        try:
            os.write(descriptor, json.dumps(record).encode() + b"\n")
        finally:
            os.close(descriptor)

    def _take(self, line: str) -> None:
        try:
            record = json.loads(line)
        except ValueError:  # the torn last line of a crash: that thing was not made yet
            return
        if "kind" in record:
            number = int(record["number"])
            self.entries[number] = Entry(number=number, kind=record["kind"], facts=record["facts"])
            self.next_number = number + 1
        elif "retired" in record:
            self.entries.pop(int(record["retired"]), None)
        elif "completed" in record:
            self.completed = record["completed"]
        else:
            self.header = record


def _locked(path: Path) -> IO[bytes] | None:
    """The lock file, locked until closed; None where somebody else has it."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    stream = os.fdopen(os.open(path, flags, 0o600), "r+b")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        return None
    return stream


def _boot_id() -> str:
    return BOOT_ID.read_text(encoding="ascii").strip()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold back what asks us to end until the clean-up is through; it comes after that."""
    with endings_held_back():
        # Tools that are started meanwhile inherit the mask, so that Ctrl-C spares them as well.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
