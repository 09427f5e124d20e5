"""What watching costs: a cold `kubectl get nodes`, unwatched and under each observer.

Every round runs every arm once, in a random order, each with a fresh cache directory in memory.
A ratio is the median over rounds of watched / unwatched (mean of two) in the same round, with a
bootstrap 95 % interval. The wall time is the command's own, from its exec to its end; what an
observer needs before and after that is the column "around".

    python bench/observers.py --rounds 30
"""

import dataclasses
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from kubelag.observe import syscalls, tracefs
from kubelag.observe.host import HostSampler
from kubelag.observe.in_flight import InFlightWatcher
from kubelag.observe.process_tree import TreeSampler
from kubelag.observe.recorders import TracefsAttacher
from kubelag.observe.session import Recorder
from measuring import (
    MEMORY,
    Goal,
    Table,
    clients,
    control_plane,
    end_cleanly,
    finish,
    interval,
    machine,
    machine_line,
    parser,
    scratch,
)

BASES = "unwatched", "unwatched again"
LIMITS = {"strace narrow": 1.15, "tracefs narrow": 1.05}
"""What watching may cost without root, and with root."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run."""

    wall_s: float
    around_s: float
    events: int = 0
    lost: int = 0


Arm = Callable[[Sequence[str], dict[str, str]], Measured]


def unwatched(argv: Sequence[str], env: dict[str, str]) -> Measured:
    """The command alone."""
    process = _popen(argv, env)
    begin = time.perf_counter()  # Popen returns once the command is executed
    _wait(process)
    return Measured(wall_s=time.perf_counter() - begin, around_s=0.0)


def sampled(argv: Sequence[str], env: dict[str, str]) -> Measured:
    """With the samplers of host and process tree, no system calls."""
    process = _popen(argv, env)
    begin = time.perf_counter()
    tree, host = TreeSampler(roots=lambda: (process.pid,)), HostSampler()
    tree.start()
    host.start(process.pid)
    _wait(process)
    wall_s = time.perf_counter() - begin
    events = tree.finish()[2].events + host.stop()[1].events
    around_s = time.perf_counter() - begin - wall_s
    return Measured(wall_s=wall_s, around_s=around_s, events=events)


def recorded(make: Callable[[], Recorder]) -> Arm:
    """With a recorder of system calls, and the sampler that is always at its side."""

    def run(argv: Sequence[str], env: dict[str, str]) -> Measured:
        begin_ns = time.time_ns()
        recorder = make()
        process = _popen(recorder.argv(tuple(argv)), env, recorder.pass_fds)
        recorder.started(process.pid)
        in_flight = InFlightWatcher(lambda: (process.pid,))
        in_flight.start()
        _wait(process)
        end_ns = time.time_ns()
        sampled = in_flight.stop()[1]
        calls, _, look = recorder.stop(end_ns)
        # The recorder's own start is over when the command is executed.
        exec_ns = min(call.start_ns for call in calls if call.name.startswith("execve"))
        around_ns = exec_ns - begin_ns + time.time_ns() - end_ns
        return Measured(
            wall_s=(end_ns - exec_ns) / 1e9,
            around_s=around_ns / 1e9,
            events=look.events + sampled.events,
            lost=look.lost,
        )

    return run


def _popen(
    argv: Sequence[str], env: dict[str, str], fds: tuple[int, ...] = ()
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=fds
    )


def _wait(process: "subprocess.Popen[bytes]") -> None:
    # As the product waits: a wait with a timeout would poll.
    if process.wait() != 0:
        sys.exit(f"{process.args!r} failed with {process.returncode}")


def _strace(depth: syscalls.Depth) -> Callable[[], Recorder]:
    return lambda: syscalls.StraceRecorder(depth)


def _tracefs(depth: syscalls.Depth) -> Callable[[], Recorder]:
    return lambda: TracefsAttacher(depth)


def arms() -> dict[str, Arm]:
    """Every arm that this machine allows; says aloud what it cannot."""
    found: dict[str, Arm] = {**dict.fromkeys(BASES, unwatched), "samplers": sampled}
    for name, why, make in (
        ("strace", syscalls.probe(), _strace),
        ("tracefs", tracefs.probe(), _tracefs),
    ):
        if why is not None:
            print(f"{name} is left out: {why}", file=sys.stderr)
            continue
        found[f"{name} narrow"] = recorded(make("narrow"))
        found[f"{name} files"] = recorded(make("files"))
    return found


def measure(
    kubectl: str, kubeconfig: Path, rounds: int, chosen: dict[str, Arm]
) -> dict[str, list[Measured]]:
    """Interleaved rounds in random order; the first, a warm-up, is thrown away."""
    results: dict[str, list[Measured]] = {name: [] for name in chosen}
    order = list(chosen)
    env = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    for number in range(rounds + 1):
        random.shuffle(order)
        for name in order:
            cache = tempfile.mkdtemp(prefix="kubelag-bench-", dir=MEMORY)
            try:
                one = chosen[name]([kubectl, f"--cache-dir={cache}", "get", "nodes"], env)
            finally:
                shutil.rmtree(cache)
            if number:
                results[name].append(one)
        print(f"\r{kubectl}: round {number} of {rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return results


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One arm, summed up."""

    arm: str
    median_s: float
    ratio: float
    ci95: tuple[float, float]
    around_s: float
    events: int
    lost: int

    def cells(self) -> tuple[str, ...]:
        """As it is printed."""
        low, high = self.ci95
        return (
            self.arm,
            f"{self.median_s:.3f} s",
            f"{self.ratio:.2f}",
            f"[{low:.2f}, {high:.2f}]",
            f"{self.around_s:.3f} s",
            f"{self.events}",
            f"{self.lost}",
        )


def rows(results: dict[str, list[Measured]]) -> list[Row]:
    """One row an arm, as it is printed and saved."""
    pairs = zip(*(results[name] for name in BASES), strict=True)
    base = [statistics.fmean(one.wall_s for one in pair) for pair in pairs]
    table: list[Row] = []
    for name, runs in results.items():
        ratios = [one.wall_s / other for one, other in zip(runs, base, strict=True)]
        ratio, low, high = interval(ratios)
        table.append(
            Row(
                arm=name,
                median_s=statistics.median(one.wall_s for one in runs),
                ratio=ratio,
                ci95=(low, high),
                around_s=statistics.median(one.around_s for one in runs),
                events=round(statistics.median(one.events for one in runs)),
                lost=sum(one.lost for one in runs),
            )
        )
    return table


def show(table: list[Row]) -> None:
    """The table for people."""
    header = ("arm", "median", "ratio", "95 %", "around", "events", "lost")
    for cells in (header, *(row.cells() for row in table)):
        print(f"{cells[0]:<18}" + "".join(f"{cell:>14}" for cell in cells[1:]))


def goals_of(client: str, table: list[Row]) -> list[Goal]:
    """The promises about watching; an arm that could not run has no figure."""
    found = {row.arm: row for row in table}
    goals = []
    for arm, limit in LIMITS.items():
        row = found.get(arm)
        what = f"watched ÷ unwatched, {arm}, {client}"
        if row is None:
            note = "not possible on this machine"
            goals.append(Goal(what=what, unit="x", limit=limit, value=None, note=note))
            continue
        goals += [
            Goal(what=what, unit="x", limit=limit, value=row.ratio, ci95=row.ci95),
            Goal(what=f"events lost, {arm}, {client}", unit="", limit=0, value=row.lost),
        ]
    return goals


def table_of(client: str, table: list[Row], rounds: int) -> Table:
    """The figures behind the goals."""
    return Table(
        title=f"{client}, {rounds} interleaved rounds",
        header=("observer", "median", "ratio", "95 %", "around", "events", "lost"),
        rows=tuple(row.cells() for row in table),
    )


def main() -> None:
    """Run it all, print and save."""
    options = parser(__doc__, rounds=30).parse_args()
    end_cleanly()
    facts = machine()
    print(machine_line(facts))
    goals: list[Goal] = []
    tables: list[Table] = []
    raw = {}
    with scratch() as directory, control_plane(directory) as kubeconfig:
        for client in clients(options.kubectl):
            results = measure(client.path, kubeconfig, options.rounds, arms())
            table = rows(results)
            print(f"\n{client.name}, {options.rounds} rounds")
            show(table)
            goals += goals_of(client.name, table)
            tables.append(table_of(client.name, table, options.rounds))
            raw[client.name] = {
                name: [dataclasses.asdict(one) for one in runs] for name, runs in results.items()
            }
    finish(options.output, facts, goals, tables, raw)


if __name__ == "__main__":
    main()
