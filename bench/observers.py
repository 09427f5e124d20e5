"""What watching costs: a cold `kubectl get nodes`, unwatched and under each observer.

Every round runs every arm once, in a random order, each with a fresh cache directory in memory.
A ratio is the median over rounds of watched / unwatched in the same round, with a bootstrap 95 %
interval. The wall time is the command's own, from its exec to its end; what an observer needs
before and after that is the column "around".

    python bench/observers.py --kubectl /usr/bin/kubectl --rounds 15
"""

import argparse
import dataclasses
import datetime as dt
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from kubelag.lab.control_plane.embedded import start_embedded
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.model.evidence import Look
from kubelag.observe import syscalls, tracefs
from kubelag.observe.host import HostSampler
from kubelag.observe.process_tree import TreeSampler
from kubelag.observe.recorders import TracefsAttacher
from kubelag.observe.session import Recorder

BASE = "unwatched"
RESAMPLES = 4_000


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
    """With a recorder of system calls."""

    def run(argv: Sequence[str], env: dict[str, str]) -> Measured:
        begin_ns = time.time_ns()
        recorder = make()
        process = _popen(recorder.argv(tuple(argv)), env, recorder.pass_fds)
        recorder.started(process.pid)
        _wait(process)
        end_ns = time.time_ns()
        calls, _, look = recorder.stop(end_ns)
        # The recorder's own start is over when the command is executed.
        exec_ns = min(call.start_ns for call in calls if call.name.startswith("execve"))
        around_ns = exec_ns - begin_ns + time.time_ns() - end_ns
        return _measured(end_ns - exec_ns, around_ns, look)

    return run


def _measured(wall_ns: int, around_ns: int, look: Look) -> Measured:
    return Measured(
        wall_s=wall_ns / 1e9, around_s=around_ns / 1e9, events=look.events, lost=look.lost
    )


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
    found: dict[str, Arm] = {BASE: unwatched, "unwatched again": unwatched, "samplers": sampled}
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
            cache = tempfile.mkdtemp(prefix="kubelag-bench-", dir="/dev/shm")
            try:
                one = chosen[name]([kubectl, f"--cache-dir={cache}", "get", "nodes"], env)
            finally:
                shutil.rmtree(cache)
            if number:
                results[name].append(one)
        print(f"\r{kubectl}: round {number} of {rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return results


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Median with a percentile bootstrap 95 % interval."""
    data = np.asarray(values)
    draws = np.random.default_rng(1).choice(data, (RESAMPLES, len(data)))
    low, high = np.percentile(np.median(draws, axis=1), [2.5, 97.5])
    return float(np.median(data)), float(low), float(high)


def rows(results: dict[str, list[Measured]]) -> list[dict[str, object]]:
    """One row an arm, as it is printed and saved."""
    base = [one.wall_s for one in results[BASE]]
    table: list[dict[str, object]] = []
    for name, runs in results.items():
        ratios = [one.wall_s / other for one, other in zip(runs, base, strict=True)]
        ratio, low, high = interval(ratios)
        table.append(
            {
                "arm": name,
                "median_s": round(statistics.median(one.wall_s for one in runs), 4),
                "ratio": round(ratio, 3),
                "ci95": [round(low, 3), round(high, 3)],
                "around_s": round(statistics.median(one.around_s for one in runs), 4),
                "events": round(statistics.median(one.events for one in runs)),
                "lost": sum(one.lost for one in runs),
            }
        )
    return table


def show(table: list[dict[str, object]]) -> None:
    """The table for people."""
    print(
        f"{'arm':<18}{'median':>9}{'ratio':>8}  {'95 %':<16}{'around':>8}{'events':>8}{'lost':>6}"
    )
    for row in table:
        print(
            f"{row['arm']:<18}{row['median_s']:>8.3f}s{row['ratio']:>8.3f}  "
            f"{row['ci95']!s:<16}{row['around_s']:>7.3f}s{row['events']:>8}{row['lost']:>6}"
        )


def _machine() -> dict[str, object]:
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "kernel": platform.release(),
        "processors": os.cpu_count(),
        "load_1min": os.getloadavg()[0],
        "python": platform.python_version(),
        "strace": _first_line(["strace", "-V"]),
    }


def _first_line(argv: list[str]) -> str:
    if shutil.which(argv[0]) is None:
        return "not installed"
    out = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
    return out.partition("\n")[0]


def main() -> None:
    """Run it all and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kubectl", action="append", required=True, help="may be given again")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--output", type=Path, help="where to save the figures as JSON")
    options = parser.parse_args()
    machine = _machine()
    print(" · ".join(f"{name} {value}" for name, value in machine.items()))
    tables: dict[str, list[dict[str, object]]] = {}
    with tempfile.TemporaryDirectory(prefix="kubelag-bench-") as directory:
        lab = start_embedded(Path(directory) / "lab", ControlPlaneOptions())
        try:
            for kubectl in options.kubectl:
                results = measure(kubectl, lab.kubeconfig(), options.rounds, arms())
                tables[kubectl] = rows(results)
                print(f"\n{kubectl}, {options.rounds} rounds")
                show(tables[kubectl])
        finally:
            lab.stop()
    if options.output:
        options.output.write_text(json.dumps({"machine": machine, "tables": tables}, indent=2))


if __name__ == "__main__":
    main()
