"""The client that never waits for the disk, against kubectl and Python packages, whole processes.

For every server, every round runs `get nodes` of every client cold (an empty cache in memory) and
warm (a cache that was filled before), in a random order. A ratio is the median over rounds of
a client / newest kubectl in the same round, with a bootstrap 95 % interval. What a child of kubelag
does after its end is waited for, and not counted: it is the column "behind". Peak memory is that of
the process at its largest, cold.

On the slow disk (about 65 ms for an fsync) every run begins with an empty cache there, and with a
file system that has written out what it owed. `kubelag, synced` is kubelag that writes its cache as
the kubectl of the incident does.

The packages kubernetes and kr8s are run by this Python or by that of --python, each by a script of
a few lines. Whoever cannot take part is left out, aloud: a package that no Python has, the real
kube-apiserver without KUBEBUILDER_ASSETS, and an old kubectl where it throttles itself for minutes.

    python bench/client.py --rounds 20 --python ../packages/bin/python
"""

import compileall
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import kubelag as package
from client_arms import PYTHON_VARIABLE, Arm, Arms, find_arms, pythons
from client_process import Ran
from client_profile import imports_table, stages_table
from client_runs import (
    COLD,
    MANY,
    REAL,
    SETTINGS,
    WARM,
    Plan,
    Runs,
    measure_resolving,
    measure_server,
    measure_slow_disk,
    measure_stages,
    serving,
)
from kubelag.lab.control_plane.envtest import ASSETS_VARIABLE
from kubelag.lab.slow_directory import why_no_slow_disk
from measuring import (
    Goal,
    Table,
    clients,
    end_cleanly,
    finish,
    interval,
    machine,
    machine_line,
    parser,
    scratch,
    tell,
)

GET_LIMIT_RATIO = 0.6
SLOW_DISK_LIMIT_RATIO = 0.15
RESOLVE_LIMIT_RATIO = 2.0
MANY_LIMIT_RATIO = 1.0
QUICK_ROUNDS = 3
SLOW_DISK, RESOLVING = "slow disk", "resolving"


@dataclasses.dataclass(slots=True, kw_only=True)
class Results:
    """What is printed and saved."""

    runs: dict[str, Runs] = dataclasses.field(default_factory=dict)
    """By name of the server, and of the other parts."""
    profiles: dict[str, object] = dataclasses.field(default_factory=dict)
    tables: list[Table] = dataclasses.field(default_factory=list)
    missing: dict[str, str] = dataclasses.field(default_factory=dict)
    """Why a part was left out."""

    def raw(self) -> dict[str, object]:
        """As it is saved, without what the programs printed."""
        saved: dict[str, object] = {"profiles": self.profiles}
        for part, runs in self.runs.items():
            saved[part] = {", ".join(key): _figures(rounds) for key, rounds in runs.items()}
        return saved


def ratios(runs: Runs, key: tuple[str, str], base: tuple[str, str], what: str) -> list[float]:
    """Of a field of `Ran`, in every round that has both."""
    ours, theirs = runs[key], runs[base]
    common = ours.keys() & theirs.keys()
    return [getattr(ours[one], what) / getattr(theirs[one], what) for one in sorted(common)]


def measure_servers(results: Results, arms: Arms, plan: Plan) -> None:
    """Every server in turn, since an idle one takes part of the machine too."""
    for setting in SETTINGS:
        if setting.is_real and not os.environ.get(ASSETS_VARIABLE):
            results.missing[setting.name] = f"{ASSETS_VARIABLE} is not set"
            tell(f"{setting.name} is left out: {ASSETS_VARIABLE} is not set")
            continue
        with scratch(in_memory=True) as parts, serving(setting, parts) as plane:
            runs = measure_server(setting, plane, arms, plan)
            results.runs[setting.name] = runs
            name = f"{setting.name} ({plane.version})" if setting.is_real else setting.name
            results.tables.append(server_table(name, runs, arms.newest))
            if setting.is_profiled:
                found = measure_stages(plane, arms.kubelag, plan.rounds)
                results.profiles[setting.name] = found
                title = f"Where kubelag's time goes: {setting.name}"
                results.tables += [
                    stages_table(title, found["stages"]),
                    imports_table(f"Imports (-X importtime): {setting.name}", found["imports"]),
                ]


def measure_others(results: Results, arms: Arms, plan: Plan) -> None:
    """Resolving from the cache, and the slow disk."""
    results.runs[RESOLVING] = measure_resolving(arms, plan)
    results.tables.append(resolving_table(results.runs[RESOLVING]))
    if why := why_no_slow_disk():
        results.missing[SLOW_DISK] = why
        tell(why)
        return
    runs, fsync_ms = measure_slow_disk(arms, plan)
    results.runs[SLOW_DISK] = runs
    results.tables.append(slow_disk_table(runs, fsync_ms, arms.newest))


def goals_of(results: Results, arms: Arms) -> list[Goal]:
    """The promises of the client; a part that was left out has no figure."""
    newest, ours = arms.newest.name, arms.kubelag.name

    def goal(part: str, temperature: str, what: str, limit: float) -> Goal:
        field = "peak_mib" if what == "peak memory" else "wall_s"
        text = f"kubelag ÷ {newest}, {temperature} get nodes, {what}, {part}"
        if part in results.missing:
            return Goal(what=text, unit="x", limit=limit, value=None, note=results.missing[part])
        pair = ((ours, temperature), (newest, temperature))
        return _goal(text, limit, ratios(results.runs[part], *pair, field))

    return [
        goal(REAL.name, COLD, "time", GET_LIMIT_RATIO),
        goal(REAL.name, WARM, "time", GET_LIMIT_RATIO),
        goal(SLOW_DISK, COLD, "time", SLOW_DISK_LIMIT_RATIO),
        _goal(
            "Client().discovery.resolve('deploy') from the cache ÷ python -c pass",
            RESOLVE_LIMIT_RATIO,
            _resolving_ratios(results.runs[RESOLVING], "resolve"),
        ),
        goal(MANY.name, COLD, "time", MANY_LIMIT_RATIO),
        goal(MANY.name, COLD, "peak memory", MANY_LIMIT_RATIO),
    ]


def server_table(name: str, runs: Runs, newest: Arm) -> Table:
    """Everybody against one server."""
    header = (
        *("client", "cold", "÷ newest kubectl", "warm", "÷ newest kubectl"),
        *("behind", "peak memory", "÷ newest kubectl", "rounds"),
    )
    rows = []
    for client in dict.fromkeys(client for client, _ in runs):
        cold, warm = (client, COLD), (client, WARM)
        rows.append(
            (
                client,
                _seconds(runs[cold]),
                _ratio(ratios(runs, cold, (newest.name, COLD), "wall_s")),
                _seconds(runs[warm]),
                _ratio(ratios(runs, warm, (newest.name, WARM), "wall_s")),
                _behind(runs[cold]),
                f"{_middle(runs[cold], 'peak_mib'):.0f} MiB",
                _ratio(ratios(runs, cold, (newest.name, COLD), "peak_mib")),
                f"{len(runs[cold])}",
            )
        )
    return Table(title=f"`get nodes`: {name}", header=header, rows=tuple(rows))


def slow_disk_table(runs: Runs, fsync_ms: float, newest: Arm) -> Table:
    """The incident and its end."""
    rows = tuple(
        (
            client,
            _seconds(rounds),
            _ratio(ratios(runs, (client, COLD), (newest.name, COLD), "wall_s")),
            _behind(rounds),
            f"{len(rounds)}",
        )
        for (client, _), rounds in runs.items()
    )
    title = f"Cold `get nodes`, 77 group-versions, cache on a disk with {fsync_ms:.0f} ms per fsync"
    header = ("client", "cold", "÷ newest kubectl", "behind", "rounds")
    return Table(title=title, header=header, rows=rows)


def resolving_table(runs: Runs) -> Table:
    """A look-up in the cache beside an interpreter that does nothing."""
    programs = {
        "python -c pass": "`python -c pass`",
        "import": "`from kubelag.kube import Client`",
        "resolve": "`Client().discovery.resolve('deploy')`",
    }
    rows = tuple(
        (text, _seconds(runs[name, WARM]), _ratio(_resolving_ratios(runs, name)))
        for name, text in programs.items()
    )
    title = (
        f"Resolving a kind from the cache, without a server, {len(runs['resolve', WARM])} rounds"
    )
    return Table(title=title, header=("program", "median", "÷ python -c pass"), rows=rows)


def show(table: Table) -> None:
    """The table for people."""
    lines = (table.header, *table.rows)
    widths = [max(len(line[at]) for line in lines) for at in range(len(table.header))]
    print(f"\n{table.title}")
    for first, *others in lines:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        print("  ".join([first.ljust(widths[0]), *cells]))


def _resolving_ratios(runs: Runs, name: str) -> list[float]:
    return ratios(runs, (name, WARM), ("python -c pass", WARM), "wall_s")


def _goal(what: str, limit: float, values: Sequence[float]) -> Goal:
    middle, low, high = interval(values)
    note = f"{len(values)} rounds"
    return Goal(what=what, unit="x", limit=limit, value=middle, ci95=(low, high), note=note)


def _figures(rounds: dict[int, Ran]) -> list[dict[str, float]]:
    return [
        {
            "round": number,
            "wall_s": ran.wall_s,
            "behind_s": ran.behind_s,
            "peak_mib": ran.peak_mib,
        }
        for number, ran in rounds.items()
    ]


def _middle(rounds: dict[int, Ran], what: str) -> float:
    return float(median(getattr(ran, what) for ran in rounds.values()))


def _seconds(rounds: dict[int, Ran]) -> str:
    return f"{_middle(rounds, 'wall_s'):.3f} s"


def _behind(rounds: dict[int, Ran]) -> str:
    """Nothing where nobody was left behind."""
    behind_s = _middle(rounds, "behind_s")
    return f"{behind_s:.3f} s" if behind_s else ""


def _ratio(values: Sequence[float]) -> str:
    middle, low, high = interval(values)
    return f"{middle:.2f} [{low:.2f}, {high:.2f}]"


def main() -> None:
    """Run it all, print and save."""
    arguments = parser(__doc__, rounds=20)
    arguments.add_argument("--quick", action="store_true", help="few rounds, two to three minutes")
    arguments.add_argument("--python", help=f"has kubernetes, kr8s (or {PYTHON_VARIABLE})")
    options = arguments.parse_args()
    end_cleanly()
    facts = machine()
    print(machine_line(facts))
    # Where PYTHONDONTWRITEBYTECODE was set, the compiler would be measured.
    compileall.compile_dir(Path(package.__file__).parent, quiet=1)
    rounds = min(options.rounds, QUICK_ROUNDS) if options.quick else options.rounds
    plan = Plan(rounds=rounds, is_quick=options.quick)
    arms = find_arms(clients(options.kubectl), pythons(options.python, os.environ))
    results = Results()
    measure_servers(results, arms, plan)
    measure_others(results, arms, plan)
    for table in results.tables:
        show(table)
    print()
    finish(options.output, facts, goals_of(results, arms), results.tables, results.raw())


if __name__ == "__main__":
    main()
