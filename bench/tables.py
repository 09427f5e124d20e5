"""Write docs/performance.md from the results of the benchmarks, missed goals included.

python bench/tables.py bench/results docs/performance.md
"""

import argparse
import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from measuring import Goal, Table, goal_limit, goal_value, outcome

BENCHES = {
    "startup": "Start-up",
    "observers": "What watching costs",
    "incident": "The incident",
    "ha": "The HA lab: every fault named, with its component and its share",
    "road": "What watching the way to the server costs",
    "capture": "Packet captures",
    "client": "The client",
    "adapters": "Other Python clients, with kubectl's cache",
}
INTRODUCTION = """\
# Performance

Written by `./scripts/bench` (`bench/tables.py`) from the results of one machine; do not edit.
Every ratio was taken within one run of interleaved rounds; it is a median, and what stands in
brackets is its 95 % interval. Machines differ, and other work may have been going on: the load
stands with each result. The measured value decides whether a goal is met; the result is uncertain
where the interval spans the goal.
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one benchmark saved."""

    name: str
    machine: Mapping[str, object]
    goals: tuple[Goal, ...]
    tables: tuple[Table, ...]


def load(directory: Path) -> dict[str, Result]:
    """The results that are there."""
    found = {}
    for name in BENCHES:
        path = directory / f"{name}.json"
        if path.exists():
            found[name] = _result(name, json.loads(path.read_text()))
    return found


def document(results: Mapping[str, Result]) -> str:
    """The whole page."""
    parts = [INTRODUCTION, "## Goals\n", grid(_goal_header(), _goal_rows(results))]
    missing = [f"`bench/{name}.py`" for name in BENCHES if name not in results]
    if missing:
        parts.append(f"Not measured: {', '.join(missing)}.\n")
    for name, result in results.items():
        parts += [f"## {BENCHES[name]} (`bench/{name}.py`)\n", _machine(result.machine)]
        for table in result.tables:
            parts += [f"### {table.title}\n", grid(table.header, table.rows)]
    return "\n".join(parts)


def grid(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(_cell(one) for one in line) + " |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _goal_header() -> tuple[str, ...]:
    return ("what", "goal", "measured", "result", "date")


def _goal_rows(results: Mapping[str, Result]) -> list[tuple[str, ...]]:
    return [
        (
            goal.what,
            goal_limit(goal),
            goal_value(goal),
            outcome(goal) if outcome(goal).startswith("met") else f"**{outcome(goal)}**",
            str(result.machine["date"])[:10],
        )
        for result in results.values()
        for goal in result.goals
    ]


def _machine(facts: Mapping[str, object]) -> str:
    return (
        f"{str(facts['date'])[:10]}; {facts['processors']} processors, {facts['memory_gib']} GiB, "
        f"Linux {facts['kernel']}, Python {facts['python']}, strace {facts['strace']}, "
        f"{facts['user']}, load {facts['load_1min']} at the start.\n"
    )


def _result(name: str, saved: dict[str, Any]) -> Result:
    goals = tuple(Goal(**goal) for goal in saved["goals"])
    tables = tuple(Table(**table) for table in saved["tables"])
    return Result(name=name, machine=saved["machine"], goals=goals, tables=tables)


def main() -> None:
    """Read, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("results", type=Path, help="directory with the JSON results")
    parser.add_argument("page", type=Path, help="the Markdown file to write")
    options = parser.parse_args()
    options.page.write_text(document(load(options.results)))
    print(f"wrote {options.page}")


if __name__ == "__main__":
    main()
