"""Puts a trace's events together: finished calls and the processes that made them; pure."""

from collections.abc import Callable
from dataclasses import dataclass

from kubelag.model.evidence import Process, Syscall
from kubelag.observe.lives import Life, processes_of
from kubelag.observe.tracefs_lines import TraceLine


@dataclass(slots=True)
class _Pending:
    name: str
    start_ns: int
    path: str | None
    address: str | None = None


class Story:
    """Feed it lines in order; take syscalls and processes at the end.

    Args:
        root: The process that recording began with.
        begun_ns: When, on the trace's clock.
        to_wall_ns: From the trace's clock to the wall clock.
    """

    def __init__(
        self,
        *,
        root: int,
        begun_ns: int,
        to_wall_ns: Callable[[int], int],
    ) -> None:
        self._to_wall_ns = to_wall_ns
        self._calls: list[Syscall] = []
        self._pending: dict[int, _Pending] = {}
        self._process_of: dict[int, int] = {}
        self._lives = {root: Life(pid=root, start_ns=begun_ns)}

    def feed(self, line: TraceLine) -> None:
        """Take in one event."""
        match line.kind:
            case "enter":
                self._enter(line)
            case "exit":
                self._exit(line)
            case "fork":
                self._fork(line)
            case "exec":
                self._exec(line)
            case "end":
                self._end(line)
            case "connect":
                self._connect(line)

    def syscalls(self, end_ns: int) -> tuple[Syscall, ...]:
        """Every call by start time; one still in flight ends at `end_ns` without a result."""
        for tid in tuple(self._pending):
            self._finish(tid, end_ns, None)
        return tuple(sorted(self._calls, key=lambda call: (call.start_ns, call.pid)))

    def processes(self) -> tuple[Process, ...]:
        """Every process (threads left out) by start time."""
        return processes_of(self._lives, self._to_wall_ns)

    def _life(self, tid: int) -> Life | None:
        return self._lives.get(self._process_of.get(tid, tid))

    def _enter(self, line: TraceLine) -> None:
        if line.name != "exit_group":
            self._pending[line.tid] = _Pending(name=line.name, start_ns=line.at_ns, path=line.text)
        elif (life := self._life(line.tid)) is not None:
            life.exit_code = line.result

    def _exit(self, line: TraceLine) -> None:
        pending = self._pending.get(line.tid)
        if pending is not None and pending.name == line.name:
            self._finish(line.tid, line.at_ns, line)

    def _finish(self, tid: int, end_ns: int, line: TraceLine | None) -> None:
        pending = self._pending.pop(tid)
        self._calls.append(
            Syscall(
                pid=tid,
                name=pending.name,
                start_ns=self._to_wall_ns(pending.start_ns),
                end_ns=self._to_wall_ns(end_ns),
                path=pending.path,
                result=line.result if line else None,
                error=line.error if line else None,
                address=pending.address,
            )
        )

    def _fork(self, line: TraceLine) -> None:
        parent = self._life(line.tid)
        if parent is None:
            return
        if line.is_thread:
            self._process_of[line.other] = parent.pid
            return
        self._process_of.pop(line.other, None)
        self._lives[line.other] = Life(pid=line.other, start_ns=line.at_ns, parent_pid=parent.pid)

    def _exec(self, line: TraceLine) -> None:
        life = self._life(line.tid)
        if life is None:
            return
        life.chain.append(line.text or "")
        # Whichever thread calls it, the one that comes back has the process's id.
        pending = self._pending.pop(line.other, None)
        if pending is not None:
            pending.path = line.text
            self._pending[line.tid] = pending

    def _end(self, line: TraceLine) -> None:
        if line.tid in self._pending:
            self._finish(line.tid, line.at_ns, None)
        life = self._life(line.tid)
        if life is not None and line.is_last:
            life.end_ns = line.at_ns

    def _connect(self, line: TraceLine) -> None:
        pending = self._pending.get(line.tid)
        if pending is not None and pending.name == "connect":
            pending.address = line.text
