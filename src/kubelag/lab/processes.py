"""Processes of the lab: named so that a recycled pid is never mistaken, ended and seen to end.

A process is known in two ways: by its pid together with its start time, and by a secret-free
token in its environment (`KUBELAG_LAB`). The token is written down before the process exists, so
that a lab killed between fork and bookkeeping still finds what it started, and its children.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kubelag.errors import LabError
from kubelag.observe.proc_text import ProcessStat, parse_process_stat

TOKEN_VARIABLE = "KUBELAG_LAB"  # noqa: S105 - a mark for finding processes, not a secret
TERMINATE_S = 5.0
"""How long a process may take to end by itself before it is killed. Arbitrary; etcd needs 0.1 s."""
KILL_S = 5.0
"""How long a killed process may take to go; longer means that it hangs in the kernel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One process, told apart from a later one with the same pid."""

    pid: int
    start_ticks: int
    """Clock ticks from boot to its start, which setting the clock does not change."""


def identity_of(pid: int) -> Identity | None:
    """Who has this pid now; None where nobody has, or only a zombie."""
    stat = _stat_of(pid)
    if stat is None or stat.state in {"Z", "X"}:
        return None
    return Identity(pid=pid, start_ticks=stat.start_ticks)


def is_running(process: Identity) -> bool:
    """Whether that very process still runs."""
    return identity_of(process.pid) == process


def python_argv(module: str, *arguments: str) -> tuple[str, ...]:
    """This Python running one of our modules; never one that lies in the current directory."""
    return (sys.executable, "-P", "-m", module, *arguments)


def spawn(
    argv: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str],
    directory: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> Identity:
    """Start a process in a session of its own, so that Ctrl-C does not reach it before us.

    Args:
        argv: The program, and its arguments.
        log: Gets what it prints; private.
        environment: All of it.
        directory: Where it starts; None for where we are.
        pass_fds: Descriptors that it inherits.

    Raises:
        LabError: The program is missing or cannot be executed.
    """
    log.touch(mode=0o600)
    try:
        with log.open("ab") as stream:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env=dict(environment),
                cwd=directory,
                pass_fds=pass_fds,
                start_new_session=True,
            )
    except OSError as error:
        raise LabError(f"Cannot start {argv[0]}: {error.strerror}", "install it") from error
    # Whoever reaps it may be another Popen or another process; this handle must not complain.
    process.returncode = 0
    # It is in the process table until somebody waits for it, even if it has ended already.
    stat = _stat_of(process.pid)
    return Identity(pid=process.pid, start_ticks=stat.start_ticks if stat else 0)


def find_marked(token: str, spared: Collection[int] = ()) -> tuple[Identity, ...]:
    """Every process that carries the token, youngest first; never ourselves or our ancestors.

    Args:
        token: What `Ledger.environment` put into the environment.
        spared: Pids to leave out, with everything below them.
    """
    mark = f"{TOKEN_VARIABLE}={token}".encode()
    ours = set(_line_of(os.getpid()))
    marked = [one for pid in _pids() if pid not in ours and (one := _marked(pid, mark))]
    found = [one for one in marked if not set(spared).intersection(_line_of(one.pid))]
    return tuple(sorted(found, key=lambda one: -one.start_ticks))


def end(processes: Iterable[Identity]) -> None:
    """End processes one after another, by force where asking fails, and see them gone.

    Raises:
        LabError: One is still there, for example stuck in the kernel.
    """
    for process in processes:
        if not _signal_and_wait(process, signal.SIGTERM, TERMINATE_S) and not _signal_and_wait(
            process, signal.SIGKILL, KILL_S
        ):
            raise LabError(f"Process {process.pid} does not end", f"look at /proc/{process.pid}")


def last_words(log: Path, lines: int = 3) -> str:
    """The last lines of a log, for an error message."""
    try:
        words = log.read_text(errors="replace").splitlines()[-lines:]
    except OSError:
        return ""
    return " / ".join(word.strip() for word in words if word.strip())


def _signal_and_wait(process: Identity, number: signal.Signals, timeout_s: float) -> bool:
    """Whether the process is gone after the signal; a pid descriptor rules out a mix-up."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return True
    try:
        if not is_running(process):
            return True
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, number)
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll(timeout_s * 1000)
        return not is_running(process)
    finally:
        os.close(descriptor)
        _collect(process.pid)


def _collect(pid: int) -> None:
    """Take a zombie's exit status if it is our child, so that it does not stay in the table."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _marked(pid: int, mark: bytes) -> Identity | None:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # gone, or somebody else's: not ours either way
        return None
    return identity_of(pid) if mark in environment.split(b"\0") else None


def _pids() -> Iterator[int]:
    return (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())


def _line_of(pid: int) -> Iterator[int]:
    """The process and its ancestors."""
    while pid > 1:
        yield pid
        stat = _stat_of(pid)
        pid = stat.parent_pid if stat else 0


def _stat_of(pid: int) -> ProcessStat | None:
    """What the kernel says of a process, a zombie too; None where there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return parse_process_stat(text)
