"""Samples of a process tree: processor time, run-queue time, page faults, block I/O delay.

Sources: /proc/<pid>/stat (proc(5); its fault and time fields cover all threads, dead ones
included), /proc/<pid>/task/<tid>/schedstat (the kernel's scheduler/sched-stats.rst: one thread
each, /proc/<pid>/schedstat is the main thread's alone), field 42 of a thread's stat (delay
accounting, accounting/delay-accounting.rst).

Limits: a thread's run-queue time between its last sample and its end is lost, and so is all of a
process that lives shorter than the interval (its processor time and faults are not: its parent's
`child` counters have them).
"""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from resource import struct_rusage

from kubelag.model.evidence import Look, Process, TreeSample
from kubelag.observe import proc_text
from kubelag.observe.kept_files import KeptFiles, ids, link
from kubelag.observe.periodic import Periodic
from kubelag.observe.tree_sum import Node, Usage, tree_usage

INTERVAL_S = 0.02
"""Fifty samples a second; costs about 1 % of one processor on a process of 20 threads."""


@dataclass(slots=True)
class _Seen:
    """One process while it is being watched."""

    pid: int
    parent_pid: int | None
    start_ticks: int
    first_ns: int
    chain: list[str] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    reaped: Usage = field(default_factory=Usage)
    thread_cpu_ns: dict[int, int] = field(default_factory=dict)
    thread_queue_ns: dict[int, int] = field(default_factory=dict)
    thread_block_ticks: dict[int, int] = field(default_factory=dict)
    end_ns: int | None = None


class TreeSampler:
    """Samples in a thread from `start` to `finish`.

    Args:
        roots: Gives the root processes, as soon as there are any; a process that traces one of
            them (`strace -D` is its tracee's child) is left out.
        interval_s: Time between two samples; grows where sampling would cost over 3 % of one
            processor.
        root: Where proc is mounted.
        clock_ns: The wall clock.
    """

    def __init__(
        self,
        roots: Callable[[], Iterable[int]],
        interval_s: float = INTERVAL_S,
        root: Path = Path("/proc"),
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._roots = roots
        self._interval_s = interval_s
        self._root = str(root)
        self._clock_ns = clock_ns
        self._files = KeptFiles()
        self._seen: dict[int, _Seen] = {}
        self._tracers: set[int] = set()
        self._samples: list[TreeSample] = []
        self._usage = Usage()
        self._tick_ns = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
        self._boot_ns = 0
        self._has_children_file = True
        self._has_delays = False
        self._pace = Periodic(tick=self._tick, interval_s=interval_s, name="tree-sampler")
        self.living: tuple[int, ...] = ()
        """The processes that lived at the last look, for other threads to read."""

    def start(self) -> None:
        """Begin; the first sample is taken before this returns."""
        self._boot_ns = self._clock_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self._has_children_file = _has_children_files(self._root)
        self._has_delays = _has_delay_accounting(self._root)
        self._pace.start()

    def finish(
        self, rusage: struct_rusage | None = None, end_ns: int | None = None
    ) -> tuple[tuple[TreeSample, ...], tuple[Process, ...], Look]:
        """Stop and say what was seen.

        Args:
            rusage: What `os.wait4` said of the root, for a closing sample; leave it out where the
                waited-for process was a tracer, whose own time it would contain.
            end_ns: When the root ended, the time of that closing sample; now where not given.
        """
        self._pace.stop()
        self._files.close()
        if rusage is not None:
            self._close_with(rusage, self._clock_ns() if end_ns is None else end_ns)
        return tuple(self._samples), self._processes(), self._look()

    def _close_with(self, rusage: struct_rusage, end_ns: int) -> None:
        spent_ns = round((rusage.ru_utime + rusage.ru_stime) * 1e9)
        said = Usage(cpu_ns=spent_ns, major_faults=rusage.ru_majflt, minor_faults=rusage.ru_minflt)
        self._usage = self._usage.at_least(said)
        self._samples = [sample for sample in self._samples if sample.at_ns < end_ns]
        self._append(end_ns)

    def _tick(self) -> None:
        at_ns = self._clock_ns()
        alive = self._look_at_tree(at_ns)
        self.living = tuple(alive)
        for seen in self._seen.values():
            if seen.pid not in alive and seen.end_ns is None:
                seen.end_ns = at_ns
        nodes = {seen.pid: _node(seen) for seen in self._seen.values()}
        self._usage = self._usage.at_least(tree_usage(nodes))
        # Nothing that lives: there is nothing new, and it would only stretch the last interval.
        if alive:
            self._append(at_ns)
        self._files.forget_vanished()

    def _append(self, at_ns: int) -> None:
        queued = (sum(seen.thread_queue_ns.values()) for seen in self._seen.values())
        blocked = (sum(seen.thread_block_ticks.values()) for seen in self._seen.values())
        self._samples.append(
            TreeSample(
                at_ns=at_ns,
                cpu_ns=self._usage.cpu_ns,
                run_queue_ns=sum(queued),
                major_faults=self._usage.major_faults,
                minor_faults=self._usage.minor_faults,
                block_io_ns=sum(blocked) * self._tick_ns if self._has_delays else None,
            )
        )

    def _look_at_tree(self, at_ns: int) -> set[int]:
        """Visit every process of the tree; returns those that live."""
        alive: set[int] = set()
        todo: list[tuple[int, int | None]] = [(pid, None) for pid in self._roots()]
        self._leave_out_tracers(pid for pid, _ in todo)
        orphans = [seen for seen in self._seen.values() if seen.end_ns is None]
        todo.extend((seen.pid, seen.parent_pid) for seen in orphans)
        by_parent = {} if self._has_children_file else self._all_children()
        for pid, parent_pid in todo:
            if pid in alive or pid in self._tracers:
                continue
            tids = self._visit(pid, parent_pid, at_ns)
            if tids is None:
                continue
            alive.add(pid)
            children = by_parent.get(pid, ()) if by_parent else self._children(pid, tids)
            todo.extend((child, pid) for child in children)
        return alive

    def _leave_out_tracers(self, roots: Iterable[int]) -> None:
        for pid in roots:
            tracer = proc_text.parse_tracer(self._text(f"{self._root}/{pid}/status"))
            if tracer:
                self._tracers.add(tracer)
                # It may have been taken for a child before it began to trace.
                self._seen.pop(tracer, None)

    def _visit(self, pid: int, parent_pid: int | None, at_ns: int) -> list[str] | None:
        """Update one process; its threads, or None where it has ended or is another by now."""
        stat = proc_text.parse_process_stat(self._text(f"{self._root}/{pid}/stat"))
        if stat is None:
            return None
        seen = self._seen.get(pid)
        if seen is None:
            seen = _Seen(
                pid=pid, parent_pid=parent_pid, start_ticks=stat.start_ticks, first_ns=at_ns
            )
            self._seen[pid] = seen
        elif seen.start_ticks != stat.start_ticks or seen.end_ns is not None:
            return None
        tids = ids(f"{self._root}/{pid}/task")
        self._update_threads(seen, tids)
        self._update_process(seen, stat)
        # A main thread that ended before the others looks like a zombie too.
        has_ended = stat.state in {"Z", "X", "x"} and len(tids) <= 1
        return None if has_ended else tids

    def _update_process(self, seen: _Seen, stat: proc_text.ProcessStat) -> None:
        # Ticks are coarse but know dead threads; schedstat is exact but knows living ones.
        cpu_ns = max(stat.ticks * self._tick_ns, sum(seen.thread_cpu_ns.values()))
        seen.usage = seen.usage.at_least(
            Usage(cpu_ns=cpu_ns, major_faults=stat.major_faults, minor_faults=stat.minor_faults)
        )
        seen.reaped = Usage(
            cpu_ns=stat.child_ticks * self._tick_ns,
            major_faults=stat.child_major_faults,
            minor_faults=stat.child_minor_faults,
        )
        program = link(f"{self._root}/{seen.pid}/exe")
        if program and seen.chain[-1:] != [program]:
            seen.chain.append(program)

    def _update_threads(self, seen: _Seen, tids: list[str]) -> None:
        for tid in tids:
            base = f"{self._root}/{seen.pid}/task/{tid}"
            times = proc_text.parse_schedstat(self._text(f"{base}/schedstat"))
            if times is not None:
                seen.thread_cpu_ns[int(tid)], seen.thread_queue_ns[int(tid)] = times
            if self._has_delays:
                stat = proc_text.parse_process_stat(self._text(f"{base}/stat"))
                if stat is not None:
                    seen.thread_block_ticks[int(tid)] = stat.block_io_ticks

    def _children(self, pid: int, tids: list[str]) -> tuple[int, ...]:
        texts = (self._text(f"{self._root}/{pid}/task/{tid}/children") for tid in tids)
        return tuple(child for text in texts for child in proc_text.parse_pids(text))

    def _all_children(self) -> dict[int, list[int]]:
        """Children by parent from every process there is, for kernels without the short way."""
        children: dict[int, list[int]] = {}
        for name in ids(self._root):
            stat = proc_text.parse_process_stat(_once(f"{self._root}/{name}/stat"))
            if stat is not None:
                children.setdefault(stat.parent_pid, []).append(stat.pid)
        return children

    def _text(self, path: str) -> str:
        return (self._files.read(path) or b"").decode(errors="replace")

    def _processes(self) -> tuple[Process, ...]:
        records = (
            Process(
                pid=seen.pid,
                parent_pid=seen.parent_pid,
                start_ns=min(seen.first_ns, self._boot_ns + seen.start_ticks * self._tick_ns),
                end_ns=seen.end_ns,
                program=seen.chain[-1] if seen.chain else "",
                chain=self._executed(seen),
            )
            for seen in self._seen.values()
        )
        return tuple(sorted(records, key=lambda process: process.start_ns))

    def _executed(self, seen: _Seen) -> tuple[str, ...]:
        """The programs it ran; between fork and exec it still looked like its parent."""
        parent = self._seen.get(seen.parent_pid) if seen.parent_pid is not None else None
        before = parent.chain if parent else [link(f"{self._root}/self/exe")]
        is_fork = len(seen.chain) > 1 and seen.chain[0] in before
        return tuple(seen.chain[1:] if is_fork else seen.chain)

    def _look(self) -> Look:
        if not self._samples:
            return Look(
                observer="process_tree",
                state="could_not_look",
                how=f"the process was gone before {self._root} told anything of it",
            )
        parts = [
            f"{self._root} every {self._interval_s * 1e3:.0f} ms or slower",
            f"own cost {self._pace.cost_ratio:.1%} of one processor",
        ]
        if not self._has_delays:
            parts.append("no block I/O delay: delay accounting is off (kernel.task_delayacct=1)")
        return Look(
            observer="process_tree",
            state="looked",
            how="; ".join(parts),
            events=len(self._samples),
        )


def _node(seen: _Seen) -> Node:
    return Node(
        pid=seen.pid,
        parent_pid=seen.parent_pid,
        own=seen.usage,
        reaped=seen.reaped,
        is_alive=seen.end_ns is None,
    )


def _has_children_files(root: str) -> bool:
    """Whether the kernel lists a thread's children (CONFIG_PROC_CHILDREN)."""
    return (Path(root) / "self" / "task" / str(os.getpid()) / "children").exists()


def _has_delay_accounting(root: str) -> bool:
    """Whether field 42 counts; before 5.14 there is no switch and it counts unless booted off."""
    text = _once(f"{root}/sys/kernel/task_delayacct").strip()
    return text != "0"


def _once(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
