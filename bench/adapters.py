"""What kubectl's cache saves the other Python clients: each package without and with our adapter.

Every run is a whole process of this Python, its imports included: it makes the package's client
and lists the nodes, or finds a resource. Every round has every run, in a random order, against an
embedded API server with 150 group-versions that adds 20 ms to every answer. `own, cold` is the
package's own discovery; `own, cache` the same with the cache file that the official client left
(the others keep none); `kubelag` is the adapter with a warm cache. A ratio is the median over
rounds of kubelag / own in the same round, with a bootstrap 95 % interval. lightkube has no
discovery: there `own` is a class that the program spells out.

    python bench/adapters.py --rounds 15
"""

import dataclasses
import importlib.util
import os
import random
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kubelag.kube import Client, Settings
from kubelag.lab.control_plane.embedded import start_embedded
from kubelag.lab.control_plane.options import ControlPlaneOptions
from measuring import (
    Table,
    end_cleanly,
    finish,
    interval,
    machine,
    machine_line,
    parser,
    run,
    scratch,
    tell,
)

GROUP_VERSIONS = 150
LATENCY_S = 0.02
VERSION = "v1.33.1"
"""One that kr8s does not warn about."""
PROGRAMS = Path(__file__).with_name("adapter_programs.py")
TASKS = {
    "nodes": "list nodes",
    "custom": "find a kind by group and version",
    "kind": "find a kind by its name alone",
    "unknown": "look for a kind that is not there",
}
PACKAGES = {
    "official": ("kubernetes", tuple(TASKS)),
    "kr8s": ("kr8s", tuple(TASKS)),
    "lightkube": ("lightkube", ("nodes", "custom")),
}
COLD, CACHED, KUBELAG = "own, cold", "own, cache", "kubelag"

Results = dict[str, list[float]]
"""By `Arm.name`, one for each round."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One package doing one thing in one way."""

    package: str
    task: str
    way: str

    @property
    def name(self) -> str:
        """Of the results."""
        return f"{self.package}, {self.task}, {self.way}"

    @property
    def argv(self) -> tuple[str, ...]:
        """The program, but for its kubeconfig and cache."""
        discovery = "kubelag" if self.way == KUBELAG else "own"
        return (sys.executable, str(PROGRAMS), self.package, discovery, self.task)


def arms() -> list[Arm]:
    """All that is measured; a package that this Python has not is left out, aloud."""
    found = []
    for package, (module, tasks) in PACKAGES.items():
        if importlib.util.find_spec(module) is None:
            tell(f"this Python has no {module}: it was not measured")
            continue
        ways = (COLD, CACHED, KUBELAG) if package == "official" else (COLD, KUBELAG)
        found += [Arm(package=package, task=task, way=way) for task in tasks for way in ways]
    return found


def elapsed_s(arm: Arm, kubeconfig: Path, warm: Path) -> float:
    """Wall time of one process; what it may not find is not there, what it left goes away."""
    with scratch(in_memory=True) as cache:
        if arm.way != COLD:
            shutil.copytree(warm, cache, dirs_exist_ok=True)
        begin = time.perf_counter()
        run([*arm.argv, str(kubeconfig), str(cache)], dict(os.environ))
        return time.perf_counter() - begin


def warm_up(chosen: Sequence[Arm], kubeconfig: Path, warm: Path) -> None:
    """Fill kubelag's cache, the official client's cache file, and the caches of byte code."""
    with Client(kubeconfig=str(kubeconfig), settings=Settings(cache_dir=str(warm))) as client:
        client.discovery.snapshot()
    for arm in chosen:
        run([*arm.argv, str(kubeconfig), str(warm)], dict(os.environ))


def measure(chosen: Sequence[Arm], kubeconfig: Path, rounds: int) -> Results:
    """Interleaved rounds in random order."""
    results: Results = {arm.name: [] for arm in chosen}
    order = list(chosen)
    with scratch(in_memory=True) as warm:
        warm_up(chosen, kubeconfig, warm)
        for number in range(1, rounds + 1):
            random.shuffle(order)
            for arm in order:
                results[arm.name].append(elapsed_s(arm, kubeconfig, warm))
            tell(f"adapters: round {number} of {rounds}")
    return results


def table_of(results: Results, rounds: int) -> Table:
    """A row for each package and task."""
    rows = []
    for package, (module, tasks) in PACKAGES.items():
        for task in tasks:
            ways = {
                way: results.get(f"{package}, {task}, {way}") for way in (COLD, CACHED, KUBELAG)
            }
            if own := ways[COLD]:
                ours = ways[KUBELAG] or []
                rows.append((module, TASKS[task], *map(seconds, ways.values()), ratio(ours, own)))
    title = f"{GROUP_VERSIONS} group-versions, {LATENCY_S * 1000:.0f} ms, {rounds} rounds"
    header = ("package", "task", COLD, CACHED, KUBELAG, "kubelag ÷ own, cold")
    return Table(title=title, header=header, rows=tuple(rows))


def seconds(values_s: Sequence[float] | None) -> str:
    """A median with its interval; empty where there is none."""
    if not values_s:
        return ""
    middle, low, high = interval(values_s)
    return f"{middle:.2f} s [{low:.2f}, {high:.2f}]"


def ratio(ours_s: Sequence[float], own_s: Sequence[float]) -> str:
    """Of the two in the same round."""
    pairs = zip(ours_s, own_s, strict=True)
    middle, low, high = interval([ours / own for ours, own in pairs])
    return f"{middle:.2f} [{low:.2f}, {high:.2f}]"


@contextmanager
def server() -> Iterator[Path]:
    """The API server; yields its kubeconfig."""
    options = ControlPlaneOptions(
        group_versions=GROUP_VERSIONS, latency_s=LATENCY_S, aggregated="both", git_version=VERSION
    )
    with scratch() as directory:
        running = start_embedded(directory / "control-plane", options)
        try:
            yield running.kubeconfig()
        finally:
            running.stop()


def main() -> None:
    """Run it all, print and save."""
    options = parser(__doc__, rounds=15).parse_args()
    end_cleanly()
    facts = machine()
    print(machine_line(facts))
    with server() as kubeconfig:
        results = measure(arms(), kubeconfig, options.rounds)
    table = table_of(results, options.rounds)
    for row in (table.header, *table.rows):
        print(" | ".join(row))
    finish(options.output, facts, [], [table], results)


if __name__ == "__main__":
    main()
