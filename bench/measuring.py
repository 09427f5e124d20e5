"""What the benchmarks share: intervals, goals, the machine, clients, and results as JSON."""

import argparse
import dataclasses
import datetime as dt
import functools
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from kubelag.lab import session
from kubelag.lab.control_plane.embedded import start_embedded
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.debian_client import unpack_kubectl
from kubelag.lab.state import STATE_VARIABLE
from kubelag.observe.client import ask_version
from kubelag.observe.other_clients import find_kubectls, newest

OLD_VERSION = "1.20.2"
MEMORY = "/dev/shm"  # noqa: S108 - memory is what is wanted; everything in it gets its own name
VERSION_S = 5.0
"""How long a client may take to tell its version. Arbitrary."""
RESAMPLES = 4_000
INTERVAL_PERCENT = (2.5, 97.5)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A kubectl to measure with; only its name is published, never its path."""

    name: str
    path: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One promise with what became of it; met if the value is at most the limit."""

    what: str
    unit: str
    """`x` for a ratio, `s`, `%` for a share, or empty for a count."""
    limit: float
    value: float | None
    """None where there was nothing to measure; `note` says why, and the goal is not met."""
    ci95: tuple[float, float] | None = None
    note: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Figures for people, as text."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Median with a percentile bootstrap 95 % interval."""
    data = np.asarray(values)
    draws = np.random.default_rng(1).choice(data, (RESAMPLES, len(data)))
    low, high = np.percentile(np.median(draws, axis=1), INTERVAL_PERCENT)
    return float(np.median(data)), float(low), float(high)


def machine() -> dict[str, object]:
    """What the figures depend on; no name of the machine."""
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "kernel": platform.release().partition("-")[0],
        "processors": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "load_1min": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "strace": _first_line(["strace", "-V"]),
        "user": "root" if os.geteuid() == 0 else "not root",
    }


@functools.cache
def code() -> str:
    """The commit that is measured, marked where files differ from it."""
    return _first_line(
        ["git", "-C", os.fspath(Path(__file__).parent), "describe", "--always", "--dirty"]
    )


def machine_line(facts: Mapping[str, object]) -> str:
    """The machine in one line."""
    return " · ".join(f"{name} {value}" for name, value in facts.items())


def clients(paths: Sequence[str] | None) -> tuple[Client, ...]:
    """The clients that were asked for; kubectl 1.20.2 and the newest at hand where none was."""
    if not paths:
        found = newest(find_kubectls(os.environ))
        old = os.fspath(unpack_kubectl(OLD_VERSION, os.environ).path)
        paths = [old, *([found.path] if found else [])]
    return tuple(Client(name=_name(path), path=path) for path in dict.fromkeys(paths))


def parser(doc: str | None, *, rounds: int) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    made = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    made.add_argument("--kubectl", action="append", help="a path; may be given again")
    made.add_argument("--rounds", type=int, default=rounds, help="(default: %(default)s)")
    made.add_argument("--output", type=Path, help="where to save the figures as JSON")
    return made


def finish(
    output: Path | None,
    facts: Mapping[str, object],
    goals: Sequence[Goal],
    tables: Sequence[Table],
    raw: object,
) -> None:
    """Print the goals, and save everything where that is wanted."""
    for goal in goals:
        print(f"{goal.what}: {goal_value(goal)}, goal {goal_limit(goal)}: {outcome(goal)}")
    save(output, facts, goals, tables, raw)


def save(
    output: Path | None,
    facts: Mapping[str, object],
    goals: Sequence[Goal],
    tables: Sequence[Table],
    raw: object,
) -> None:
    """Everything as JSON, where that is wanted."""
    if output:
        content = {
            "machine": facts,
            "goals": [dataclasses.asdict(goal) for goal in goals],
            "tables": [dataclasses.asdict(table) for table in tables],
            "raw": raw,
        }
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(content, indent=2) + "\n")


def show(table: Table) -> None:
    """A table for people."""
    lines = (table.header, *table.rows)
    wide = [max(len(line[at]) for line in lines) for at in range(len(table.header))]
    print(f"\n{table.title}")
    for line in lines:
        print("  ".join(cell.ljust(wide[at]) for at, cell in enumerate(line)).rstrip())


def outcome(goal: Goal) -> str:
    """Met, missed, or no figure; and whether the noise would allow the other as well."""
    if goal.value is None:
        return "no figure"
    result = "met" if goal.value <= goal.limit else "missed"
    is_open = goal.ci95 is not None and goal.ci95[0] <= goal.limit < goal.ci95[1]
    return f"{result}, uncertain" if is_open else result


def goal_value(goal: Goal) -> str:
    """The measured value with its interval."""
    if goal.value is None:
        return f"none ({goal.note})"
    text = _with_unit(goal.value, goal.unit)
    if goal.ci95:
        text += " [" + ", ".join(_with_unit(end, goal.unit) for end in goal.ci95) + "]"
    return f"{text} ({goal.note})" if goal.note else text


def goal_limit(goal: Goal) -> str:
    """The limit as it reads in a table."""
    text = f"{goal.limit:g}" if goal.unit != "%" else f"{goal.limit:.0%}".replace("%", " %")
    return f"≤ {text}{' s' if goal.unit == 's' else ''}"


@contextmanager
def control_plane(directory: Path) -> Iterator[Path]:
    """An embedded control plane with 77 group-versions; yields its kubeconfig."""
    running = start_embedded(directory / "control-plane", ControlPlaneOptions())
    try:
        yield running.kubeconfig()
    finally:
        running.stop()


@contextmanager
def ha_lab() -> Iterator[Mapping[str, str]]:
    """An HA lab of our own; yields the environment in which it is found."""
    with tempfile.TemporaryDirectory(prefix="kubelag-bench-") as state:
        environment = {**os.environ, STATE_VARIABLE: state}
        session.bring_up(session.Wish(topology="ha", disk="none"), environment, tell)
        try:
            yield environment
        finally:
            session.take_down(environment)


@contextmanager
def scratch(*, in_memory: bool = False) -> Iterator[Path]:
    """A private directory that goes away."""
    where = MEMORY if in_memory else None
    with tempfile.TemporaryDirectory(prefix="kubelag-bench-", dir=where) as directory:
        yield Path(directory)


def kubelag() -> str:
    """The program that is installed beside this Python."""
    return os.fspath(Path(sys.executable).parent / "kubelag")


def run(argv: Sequence[str], env: Mapping[str, str]) -> None:
    """Run quietly to its end; ended politely if we are, so that it cleans up after itself."""
    quiet = subprocess.DEVNULL
    with subprocess.Popen(argv, env=env, stdin=quiet, stdout=quiet, stderr=subprocess.PIPE) as one:
        try:
            _, errors = one.communicate()
        except BaseException:
            one.terminate()
            one.communicate()
            raise
    if one.returncode != 0:
        sys.exit(f"{Path(argv[0]).name} failed with {one.returncode}: {errors.decode()[-500:]}")


def end_cleanly() -> None:
    """A request to end unwinds as an error does."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def tell(text: str) -> None:
    """Progress, for whoever waits."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def _with_unit(value: float, unit: str) -> str:
    if unit == "%":
        return f"{value:.1%}".replace("%", " %")
    if unit == "s":
        return f"{value:.2f} s"
    return f"{value:.2f}" if unit == "x" else f"{value:g}"


def _name(path: str) -> str:
    version = ask_version(path, os.environ, VERSION_S).version
    return f"kubectl {version or 'of unknown version'}"


def _first_line(argv: list[str]) -> str:
    if shutil.which(argv[0]) is None:
        return "not installed"
    out = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
    return out.partition("\n")[0].removeprefix("strace -- version ")
