"""Runs the whole program as a user does, and looks at what it leaves behind."""

import json
import os
import select
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

MARK = "KUBELAG_TEST_RUN"
MEMORY_PLACES = (Path("/dev/shm"), Path("/run"))
TIMEOUT_S = 240.0
GONE_S = 8.0
"""How long what was started may take to end after the program has ended."""


class Done(NamedTuple):
    """How the program ended."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> Any:
        """What it said as JSON."""
        return json.loads(self.out)

    @property
    def told(self) -> list[str]:
        """Standard error without the lines of progress: what it says of itself."""
        lines = self.err.splitlines()
        return [line for line in lines if not _is_progress(line)]


def _is_progress(line: str) -> bool:
    return line.startswith(("kubelag: watching ", "kubelag: experiments, ", "kubelag:   "))


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The program in an environment of its own; everything it starts can be found by a mark."""

    env: Mapping[str, str]
    argv: tuple[str, ...] = (sys.executable, "-m", "kubelag")
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    started: list[int] = field(default_factory=list)
    """Process ids of the program itself."""
    homes: list[Path] = field(default_factory=list)
    """Where it may have made private directories."""

    def having(self, **env: str | Path) -> "Program":
        """The same with other variables."""
        return replace(self, env={**self.env, **{name: str(text) for name, text in env.items()}})

    def running_as(self, *argv: str) -> "Program":
        """The same, started by other words."""
        return replace(self, argv=argv)

    def __call__(self, *words: str | Path, **more: Any) -> Done:
        """Run it to its end."""
        process = self.start(*words, **more)
        out, err = process.communicate(timeout=TIMEOUT_S)
        return Done(process.returncode, out or "", err or "")

    def start(self, *words: str | Path, **more: Any) -> "subprocess.Popen[str]":
        """Start it, with both streams in pipes."""
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(
            [*self.argv, *map(str, words)],
            env={**self.env, MARK: self.mark},
            text=True,
            **{**streams, **more},
        )
        self.started.append(process.pid)
        self.homes.append(Path(self.env.get("HOME", "/nowhere")))
        return process

    def left_processes(self) -> list[str]:
        """Command lines of what still runs, after a moment in which it may end."""
        return [line for pid in self.running() if (line := _outlives(pid))]

    def running(self) -> list[int]:
        """Everything that carries the mark, this process aside."""
        mark = f"{MARK}={self.mark}".encode()
        names = (path.name for path in Path("/proc").glob("[0-9]*"))
        return [int(name) for name in names if mark in _once(name, "environ").split(b"\0")]

    def left_directories(self) -> list[Path]:
        """Private directories of any of its processes."""
        places = {place for home in self.homes for place in (home, home / ".kube")}
        return [
            path
            for place in {*places, *MEMORY_PLACES}
            for path in place.glob(".kubelag-*")
            if any(f"-{pid}-" in path.name for pid in self.started)
        ]

    def left(self) -> list[str]:
        """All that is left of it and should not be."""
        return [*self.left_processes(), *map(str, self.left_directories())]


def until_line(process: "subprocess.Popen[str]", text: str) -> str:
    """Read its standard error up to a line with this text, and return all that was read."""
    assert process.stderr is not None
    read = ""
    for line in process.stderr:
        read += line
        if text in line:
            return read
    raise AssertionError(f"{text!r} was never said, only: {read}")


def ended_by(process: "subprocess.Popen[str]", number: signal.Signals) -> Done:
    """Signal it, and see how it ends."""
    process.send_signal(number)
    out, err = process.communicate(timeout=TIMEOUT_S)
    return Done(process.returncode, out, err)


def tree(*roots: Path) -> dict[str, tuple[object, ...]]:
    """Everything about these files but what reading changes."""
    return {str(path): _facts(path) for root in roots for path in [root, *sorted(root.rglob("*"))]}


def _facts(path: Path) -> tuple[object, ...]:
    found = path.lstat()
    content = path.read_bytes() if path.is_file() and not path.is_symlink() else None
    link = str(path.readlink()) if path.is_symlink() else None
    return (found.st_ino, found.st_mode, found.st_uid, found.st_mtime_ns, content, link)


def contention_percent() -> float:
    """How much of the last ten seconds somebody waited for a processor; 0 where nobody counts."""
    try:
        text = Path("/proc/pressure/cpu").read_text()
    except OSError:
        return 0.0
    return float(text.partition("avg10=")[2].split()[0])


def script(path: Path, *lines: str) -> Path:
    """A shell script that can be executed."""
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


def fake_kubectl(path: Path, *lines: str, version: str = "1.33.4") -> Path:
    """A kubectl that says its version when asked and does the lines otherwise."""
    answer = json.dumps({"clientVersion": {"gitVersion": f"v{version}"}})
    asked = f'case " $* " in *" version "*) echo \'{answer}\'; exit 0;; esac'
    return script(path, asked, *lines)


def _once(name: str, file: str) -> bytes:
    try:
        return Path("/proc", name, file).read_bytes()
    except OSError:
        return b""


def _outlives(pid: int) -> str:
    """The command line of a process that does not end by itself; empty for one that does."""
    line = _once(str(pid), "cmdline").replace(b"\0", b" ").decode(errors="replace")
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return ""
    try:
        return "" if select.select([fd], [], [], GONE_S)[0] else line
    finally:
        os.close(fd)


def all_of(terminal: int) -> bytes:
    """What is shown on a terminal until everybody has closed it."""
    shown = b""
    with open(terminal, "rb", buffering=0) as stream:
        try:
            while chunk := stream.read(65536):
                shown += chunk
        except OSError:  # how a terminal says that nobody writes to it any more
            pass
    return shown


def ends(pid: int) -> bool:
    """Whether a process is gone, or about to be: a signal needs its moment."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], 5)[0])
    finally:
        os.close(fd)
