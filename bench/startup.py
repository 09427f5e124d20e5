"""What kubelag costs before and after the runs: its start, and its own part of an explanation.

Every round runs `python3 -c pass`, `kubelag --version`, and one `kubelag explain --no-proof` of
each client, in a random order, with caches in memory. The start is the median over rounds of
kubelag / python in the same round. The own time of an explanation is the wall time of the whole
program without that of the observed command, as its report states it.

    python bench/startup.py --rounds 15
"""

import functools
import json
import os
import random
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from measuring import (
    Client,
    Goal,
    Table,
    clients,
    control_plane,
    end_cleanly,
    finish,
    interval,
    kubelag,
    machine,
    machine_line,
    parser,
    run,
    scratch,
    tell,
)

START_LIMIT_RATIO = 3.0
OWN_LIMIT_S = 0.5
PYTHON, VERSION = "python3 -c pass", "kubelag --version"


def elapsed_s(argv: list[str], env: Mapping[str, str]) -> float:
    """Wall time of a program."""
    begin = time.perf_counter()
    run(argv, env)
    return time.perf_counter() - begin


def own_s(client: Client, kubeconfig: Path) -> float:
    """Wall time of an explanation outside the observed run."""
    with scratch(in_memory=True) as home:
        report = home / "report.json"
        env = {**os.environ, "HOME": os.fspath(home), "KUBECONFIG": os.fspath(kubeconfig)}
        argv = [kubelag(), "explain", "--no-proof", "-q", "--format", "json"]
        whole_s = elapsed_s([*argv, "--output", str(report), client.path, "get", "nodes"], env)
        return whole_s - float(json.loads(report.read_text())["wall_s"])


def measure(chosen: tuple[Client, ...], kubeconfig: Path, rounds: int) -> dict[str, list[float]]:
    """Interleaved rounds in random order; the first, a warm-up, is thrown away."""
    env = dict(os.environ)
    arms: dict[str, Callable[[], float]] = {
        PYTHON: functools.partial(elapsed_s, [sys.executable, "-c", "pass"], env),
        VERSION: functools.partial(elapsed_s, [kubelag(), "--version"], env),
    }
    for client in chosen:
        arms[client.name] = functools.partial(own_s, client, kubeconfig)
    results: dict[str, list[float]] = {name: [] for name in arms}
    order = list(arms)
    for number in range(rounds + 1):
        random.shuffle(order)
        for name in order:
            value_s = arms[name]()
            if number:
                results[name].append(value_s)
        tell(f"start-up: round {number} of {rounds}")
    return results


def goals_of(results: dict[str, list[float]]) -> list[Goal]:
    """The promises about start-up."""
    pairs = zip(results[VERSION], results[PYTHON], strict=True)
    ratio, *ends = interval([ours_s / python_s for ours_s, python_s in pairs])
    what = f"start: {VERSION} ÷ {PYTHON}"
    limit = START_LIMIT_RATIO
    goals = [Goal(what=what, unit="x", limit=limit, value=ratio, ci95=(ends[0], ends[1]))]
    for name, values_s in results.items():
        if name in {PYTHON, VERSION}:
            continue
        own, *ends = interval(values_s)
        what = f"explain's own time outside the run, {name}"
        goals.append(
            Goal(what=what, unit="s", limit=OWN_LIMIT_S, value=own, ci95=(ends[0], ends[1]))
        )
    return goals


def table_of(results: dict[str, list[float]], rounds: int) -> Table:
    """The figures behind the goals."""
    rows = []
    for name, values_s in results.items():
        what = name if name in {PYTHON, VERSION} else f"explain --no-proof of {name}, own part"
        rows.append((what, *(f"{value:.3f} s" for value in (interval(values_s)[0], min(values_s)))))
    title = f"Start-up, {rounds} interleaved rounds"
    return Table(title=title, header=("program", "median", "minimum"), rows=tuple(rows))


def main() -> None:
    """Run it all, print and save."""
    options = parser(__doc__, rounds=15).parse_args()
    end_cleanly()
    facts = machine()
    print(machine_line(facts))
    with scratch() as directory, control_plane(directory) as kubeconfig:
        results = measure(clients(options.kubectl), kubeconfig, options.rounds)
    table = table_of(results, options.rounds)
    finish(options.output, facts, goals_of(results), [table], results)


if __name__ == "__main__":
    main()
