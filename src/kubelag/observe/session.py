"""Runs one command once, with every observer around it."""

import errno
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from resource import struct_rusage
from typing import Any, Protocol

from kubelag.errors import CommandNotExecutableError
from kubelag.kube.redact import redact_text
from kubelag.launch.ending import GRACE_S, end_tree
from kubelag.launch.holding import ENDINGS, endings_held_back
from kubelag.launch.waiting import Tick, reap, wait_exit
from kubelag.model.evidence import (
    ClientNote,
    HostSample,
    Look,
    Process,
    Request,
    Run,
    Syscall,
    TreeSample,
)
from kubelag.observe.client import cannot_run, find_program
from kubelag.observe.debug_log import ClientLog, DebugLogReader
from kubelag.observe.host import HostSampler
from kubelag.observe.in_flight import InFlightWatcher
from kubelag.observe.network_watch import NetworkSeen, NetworkWatch
from kubelag.observe.process_tree import TreeSampler
from kubelag.observe.sightings import complete

# What is kept of a failing command's standard error.
_TAIL_LINES = 10
# Redaction needs whole lines and blocks, so all is kept until the end, or none of it.
_KEPT_BYTES = 1 << 20
_DUMP_EXIT_CODE = 255


class Recorder(Protocol):
    """What watches system calls: it may put words before the command, or attach to it."""

    def argv(self, command: tuple[str, ...]) -> list[str]:
        """The words to run."""

    @property
    def pass_fds(self) -> tuple[int, ...]:
        """Descriptors that those words need."""

    def started(self, pid: int) -> None:
        """The command runs as this process."""

    def abandon(self) -> None:
        """The command could not be started."""

    def stop(self, end_ns: int) -> tuple[tuple[Syscall, ...], tuple[Process, ...], Look]:
        """What was seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What to run, and how to watch it."""

    argv: tuple[str, ...]
    """In full, secrets included: never shown, never saved."""
    env: Mapping[str, str] = field(repr=False)
    recorder: Recorder | None
    """None where no system call can be watched."""
    why_no_recorder: str = ""
    has_debug_log: bool = True
    """Whether the command was told to write one."""
    show_output: bool = False
    network: NetworkWatch | None = None
    """None where the network is not watched."""
    before_exec: Callable[[], None] | None = None
    pass_fds: tuple[int, ...] = ()
    tick: Tick = lambda _elapsed_s: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What was seen of one run."""

    run: Run
    looks: tuple[Look, ...]
    syscalls: tuple[Syscall, ...]
    processes: tuple[Process, ...]
    requests: tuple[Request, ...]
    notes: tuple[ClientNote, ...]
    tree: tuple[TreeSample, ...]
    host: tuple[HostSample, ...]
    network: NetworkSeen


def watch(wanted: Watch) -> Watched:
    """Run the command to its end, or to Ctrl-C, and return everything that was seen.

    Raises:
        CommandNotFoundError: Where there is no such program.
        CommandNotExecutableError: Where the program may not be run.
    """
    network = wanted.network
    with endings_held_back():
        if network:
            network.prepare()
        start_ns = time.time_ns()
        process = _start(wanted)
        # Who interrupts a command that runs is told of it, and not of half-started observers;
        # threads inherit this, so that signals go to the one that waits.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    try:
        return _watch_to_the_end(process, wanted, start_ns)
    except BaseException:
        _give_up(process, wanted)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _watch_to_the_end(process: "subprocess.Popen[bytes]", wanted: Watch, start_ns: int) -> Watched:
    log = _LogTap(process, start_ns, pass_through=wanted.show_output)
    tree = TreeSampler(roots=lambda: (process.pid,))
    host, in_flight = HostSampler(), InFlightWatcher(lambda: tree.living)
    # Blocked they are, but a thread from before may take one, which Python hands to us.
    with endings_held_back():
        log.start()
        if wanted.recorder:
            wanted.recorder.started(process.pid)
        if wanted.network:
            wanted.network.start(lambda: tree.living)
        tree_failed = _crash_of(tree.start)
        host_failed = _crash_of(lambda: host.start(process.pid))
        flight_failed = _crash_of(in_flight.start)
    interrupted, status, rusage = _wait(process, wanted.tick)
    end_ns = time.time_ns()
    # The samplers and the tracer stop before anything is judged, in no particular order.
    tree_samples, tree_processes, tree_look = _seen(
        "process_tree", tree_failed, lambda: tree.finish(rusage, end_ns), ((), ())
    )
    host_samples, host_look = _seen("host", host_failed, host.stop, ((),))
    sightings, flight_look = _seen("calls_in_flight", flight_failed, in_flight.stop, ((),))
    told = log.finish()
    recorded, processes, looks = _calls(wanted, end_ns, tree_processes)
    if status:
        _refuse_unstarted(wanted, recorded)
    true_start_ns = _true_start(recorded, start_ns)
    run = Run(
        start_ns=true_start_ns,
        end_ns=end_ns,
        exit_code=_exit_code(status, told) if os.WIFEXITED(status) else None,
        signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
        interrupted=interrupted,
        stderr_tail=log.tail() if status else "",
    )
    network = wanted.network.stop(run, recorded) if wanted.network else NetworkSeen()
    return Watched(
        run=run,
        looks=(*looks, flight_look, _log_look(wanted, told), tree_look, host_look, *network.looks),
        syscalls=complete(recorded, sightings, looks[0].recorded, true_start_ns),
        processes=processes,
        requests=told.requests,
        notes=told.notes,
        tree=tree_samples,
        host=host_samples,
        network=network,
    )


def _give_up(process: "subprocess.Popen[bytes]", wanted: Watch) -> None:
    """Nothing of ours goes on, whatever happened; a second stop of a recorder does nothing."""
    if process.returncode is None:
        end_tree(process.pid, signal.SIGINT)
        process.returncode = os.waitstatus_to_exitcode(reap(process.pid)[0])
    if wanted.recorder:
        wanted.recorder.stop(time.time_ns())
    if wanted.network:
        wanted.network.abandon()


def _exit_code(status: int, told: ClientLog) -> int:
    """The code without our `-v 6`: with it an old client's failure dumps and exits with 255."""
    code = os.waitstatus_to_exitcode(status)
    return 1 if told.is_fatal_dump and code == _DUMP_EXIT_CODE else code


def _log_look(wanted: Watch, told: ClientLog) -> Look:
    if wanted.has_debug_log:
        return told.look
    how = "the command has no debug log that kubelag can ask for"
    return Look(observer="debug_log", state="could_not_look", how=how)


def _start(wanted: Watch) -> "subprocess.Popen[bytes]":
    recorder = wanted.recorder
    argv = recorder.argv(wanted.argv) if recorder else list(wanted.argv)
    fds = (*wanted.pass_fds, *(recorder.pass_fds if recorder else ()))
    try:
        process = subprocess.Popen(
            argv,
            env=dict(wanted.env),
            stdout=None if wanted.show_output else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=fds,
            preexec_fn=wanted.before_exec,  # noqa: PLW1509 - other threads wait for pipes
        )
    except OSError as error:
        if recorder:
            recorder.abandon()
        if wanted.network:
            wanted.network.abandon()
        raise _cannot_start(wanted, error) from error
    return process


def _refuse_unstarted(wanted: Watch, syscalls: tuple[Syscall, ...]) -> None:
    """A recorder starts the command for us; what the system refused is told as it told it."""
    tries = [call for call in syscalls if call.name.startswith("execve")]
    if tries and all(call.error for call in tries):
        code = getattr(errno, tries[-1].error or "", errno.ENOEXEC)
        raise _cannot_start(wanted, OSError(code, os.strerror(code)))


def _cannot_start(wanted: Watch, error: OSError) -> CommandNotExecutableError:
    """Why; raises itself where there is no such program at all."""
    return cannot_run(find_program(wanted.argv[0], wanted.env), error)


def _wait(process: "subprocess.Popen[bytes]", tick: Tick) -> tuple[bool, int, struct_rusage]:
    """Wait for the end; Ctrl-C passes on to the command, which gets a moment to obey."""
    interrupted = False
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
        wait_exit(process.pid, tick)
    except KeyboardInterrupt:
        interrupted = True
        end_tree(process.pid, signal.SIGINT)
    status, rusage = reap(process.pid)
    process.returncode = os.waitstatus_to_exitcode(status)
    return interrupted, status, rusage


def _calls(
    wanted: Watch, end_ns: int, fallback: tuple[Process, ...]
) -> tuple[tuple[Syscall, ...], tuple[Process, ...], tuple[Look, ...]]:
    how = "samples of /proc; a process that lived under 20 ms is not seen"
    sampled = Look(observer="processes", state="looked", how=how, events=len(fallback))
    recorder = wanted.recorder
    if recorder is None:
        look = Look(observer="syscalls", state="could_not_look", how=wanted.why_no_recorder)
        return (), fallback, (look, sampled)
    syscalls, processes, look = _seen("syscalls", "", lambda: recorder.stop(end_ns), ((), ()))
    if not processes:
        return syscalls, fallback, (look, sampled)
    seen = Look(observer="processes", state=look.state, how=look.how, events=len(processes))
    return syscalls, processes, (look, seen)


def _crash_of(action: Callable[[], None]) -> str:
    """How an observer failed to start, empty where it did not: the command goes on all the same."""
    try:
        action()
    except Exception as error:  # noqa: BLE001 - the one runner of observers; told in the report
        return f"it crashed: {type(error).__name__}: {error}"
    return ""


def _seen(observer: str, failed: str, action: Callable[[], Any], nothing: tuple[Any, ...]) -> Any:  # noqa: ANN401 - as many series as the observer has, then its look
    """What an observer saw; one that crashed could not look, which never reads as healthy."""
    if not failed:
        try:
            return action()
        except Exception as error:  # noqa: BLE001 - the same
            failed = f"it crashed: {type(error).__name__}: {error}"
    return (*nothing, Look(observer=observer, state="could_not_look", how=failed))


def _true_start(syscalls: tuple[Syscall, ...], start_ns: int) -> int:
    """When the command itself was executed; before that it was only our tracer starting."""
    executed = (call.start_ns for call in syscalls if call.name.startswith("execve"))
    return min(executed, default=start_ns)


class _LogTap:
    """Reads the command's standard error: its log is parsed, the rest is the user's."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", start_ns: int, *, pass_through: bool
    ) -> None:
        self._stream = process.stderr
        self._reader = DebugLogReader(started_ns=start_ns)
        self._pass_through = pass_through
        self._kept = b""
        self._thread = threading.Thread(target=self._read, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> ClientLog:
        # A daemon that the command left behind may hold the pipe open; it must not hold us.
        self._thread.join(timeout=GRACE_S)
        return self._reader.result()

    def tail(self) -> str:
        if len(self._kept) > _KEPT_BYTES:
            return "(it wrote more to standard error than is kept)"
        text = redact_text(self._kept.decode(errors="replace"))
        return "\n".join(text.splitlines()[-_TAIL_LINES:])

    def _read(self) -> None:
        if self._stream is None:
            return
        with self._stream as stream:
            while chunk := os.read(stream.fileno(), 65536):
                self._keep(self._reader.feed(chunk))
            self._keep(self._reader.close())

    def _keep(self, shown: bytes) -> None:
        if len(self._kept) <= _KEPT_BYTES:
            self._kept += shown
        if self._pass_through:
            os.write(2, shown)
