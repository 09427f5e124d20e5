"""Does the arithmetic hold: predicted against measured saving, and how long a verdict takes.

For every client and latency, `kubelag explain --cold` of `get nodes` on the lab's slow directory,
with a control plane of 77 group-versions, as a user would run it. The latency is that of one write
to the disk; an fsync is about three of them (see kubelag.lab.slow_disk).

A prediction is an interval, from the factor's time alone to its union with what runs beside it, in
proportion to the wall time of the timed runs; its middle is compared with the measured saving, as a
part of the observed wall time. Ratios are taken within one explanation, whose experiments are
interleaved by kubelag itself. One run is observed in each, and runs differ: so every case is
explained several times, more often where it is quick. The figure is the median of the distances,
with a bootstrap 95 % interval.

    python bench/incident.py --write-ms 5 --write-ms 20 --write-ms 60
"""

import dataclasses
import json
import os
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import Any

from kubelag.lab.slow_directory import open_slow_directory
from kubelag.lab.slow_disk import WRITES_PER_FSYNC
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

WRITES_MS = (5.0, 20.0, 60.0)
GOAL_ERROR_RATIO = 0.10
GOAL_VERDICT_RATIO = 4.0
INCIDENT_WRITE_MS = 20.0
"""The latency of the 10 s incident, for which the time to a verdict is promised."""
INCIDENT_S = 5.0
"""Only a run this long is the incident; a short run has little time to be compared with."""
ACCUSED = ("proven", "likely", "contributing")
QUICK_S, MOST_ROUNDS = 90.0, 9
"""A case is explained again until that much time went into it, and so often at most."""
BUDGET_S = 180.0
"""What users have; in proportion more where the disk is slower than the incident's."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One explanation."""

    client: str
    write_ms: float
    fsync_ms: float
    """As measured on the directory after mounting."""
    wall_s: float
    whole_s: float
    headline: str
    cause: str
    verdict: str
    predicted_s: tuple[float, float] | None
    saving_s: float | None
    saving_ci95_s: tuple[float, float] | None
    pairs: int

    @property
    def error_ratio(self) -> float | None:
        """Distance of prediction and measurement, as a part of the wall time."""
        if self.predicted_s is None or self.saving_s is None:
            return None
        return abs(sum(self.predicted_s) / 2 - self.saving_s) / self.wall_s

    @property
    def setting(self) -> str:
        """What is the same in every round."""
        return f"{self.client}, {self.write_ms:g} ms of disk latency"


def explain(client: Client, kubeconfig: Path, write_ms: float) -> Case:
    """Explain one cold run on a new slow directory."""
    fsync_ms = write_ms * WRITES_PER_FSYNC
    budget_s = BUDGET_S * max(1.0, write_ms / INCIDENT_WRITE_MS)
    with scratch() as parts, open_slow_directory(parts / "disk", fsync_ms=fsync_ms) as slow:
        home = slow.path / "home"
        home.mkdir(mode=0o700)
        report = parts / "report.json"
        env = {**os.environ, "HOME": os.fspath(home), "KUBECONFIG": os.fspath(kubeconfig)}
        argv = [kubelag(), "explain", "--cold", "-q", f"--budget={budget_s:g}"]
        argv += ["--format=json", f"--output={report}", client.path, "get", "nodes"]
        begin = time.perf_counter()
        run(argv, env)
        whole_s = time.perf_counter() - begin
        said = json.loads(report.read_text())
    return case_of(client, write_ms, slow.fsync_ms, whole_s, said)


def explain_again(client: Client, kubeconfig: Path, write_ms: float, rounds: int) -> list[Case]:
    """So many rounds, and more where they are quick."""
    cases: list[Case] = []
    spent_s = 0.0
    while len(cases) < rounds or (spent_s < QUICK_S and len(cases) < MOST_ROUNDS):
        tell(f"{client.name} with {write_ms:g} ms for each write, round {len(cases) + 1}")
        case = explain(client, kubeconfig, write_ms)
        tell(f"{case.whole_s:.0f} s: {case.headline}")
        spent_s += case.whole_s
        cases.append(case)
    return cases


def case_of(
    client: Client, write_ms: float, fsync_ms: float, whole_s: float, said: dict[str, Any]
) -> Case:
    """What a report says that is compared here."""
    accused = [one for one in said["verdicts"] if one["verdict"] in ACCUSED]
    first = accused[0] if accused else {}
    proof = first.get("proof") or {}
    predicted = first.get("predicted_saving_s")
    ci95 = proof.get("ci95_s")
    return Case(
        client=client.name,
        write_ms=write_ms,
        fsync_ms=round(fsync_ms, 1),
        wall_s=said["wall_s"],
        whole_s=whole_s,
        headline=said["headline"],
        cause=first.get("cause", ""),
        verdict=first.get("verdict", "nobody accused"),
        predicted_s=(predicted[0], predicted[1]) if predicted else None,
        saving_s=proof.get("saving_s"),
        saving_ci95_s=(ci95[0], ci95[1]) if ci95 else None,
        pairs=proof.get("pairs", 0),
    )


def goals_of(cases: list[Case]) -> list[Goal]:
    """The promises about attribution and time, one for each setting."""
    goals = []
    for setting, rounds in _by_setting(cases).items():
        goals.append(_attribution(setting, rounds))
        ratios = [case.whole_s / case.wall_s for case in rounds if _is_incident(case)]
        if ratios:
            what = f"time to verdict ÷ observed run, {setting}"
            goals.append(_goal(what, "x", GOAL_VERDICT_RATIO, ratios))
    return goals


def _by_setting(cases: list[Case]) -> dict[str, list[Case]]:
    settings = dict.fromkeys(case.setting for case in cases)
    return {one: [case for case in cases if case.setting == one] for one in settings}


def _is_incident(case: Case) -> bool:
    return case.write_ms == INCIDENT_WRITE_MS and case.wall_s >= INCIDENT_S


def _attribution(setting: str, rounds: list[Case]) -> Goal:
    what = f"|predicted - measured saving| ÷ wall time, {setting}"
    errors = [error for case in rounds if (error := case.error_ratio) is not None]
    if len(errors) == len(rounds):
        return _goal(what, "%", GOAL_ERROR_RATIO, errors)
    note = (
        f"{rounds[0].verdict}, no saving measured in {len(rounds) - len(errors)} of {len(rounds)}"
    )
    return Goal(what=what, unit="%", limit=GOAL_ERROR_RATIO, value=None, note=note)


def _goal(what: str, unit: str, limit: float, values: list[float]) -> Goal:
    middle, low, high = interval(values)
    note = f"{len(values)} rounds"
    return Goal(what=what, unit=unit, limit=limit, value=middle, ci95=(low, high), note=note)


def table_of(cases: list[Case]) -> Table:
    """The figures behind the goals: medians, and in brackets the range over the rounds."""
    header = (
        *("client", "write", "fsync", "wall", "predicted", "measured", "off by at most"),
        *("verdict", "pairs", "whole", "rounds"),
    )
    rows = tuple(_row(rounds) for rounds in _by_setting(cases).values())
    return Table(title="Attribution", header=header, rows=rows)


def _row(rounds: list[Case]) -> tuple[str, ...]:
    first = rounds[0]
    verdicts = Counter(f"{case.verdict} {case.cause}".rstrip() for case in rounds)
    errors = [error for case in rounds if (error := case.error_ratio) is not None]
    return (
        first.client,
        f"{first.write_ms:g} ms",
        f"{first.fsync_ms:g} ms",
        _ranged([case.wall_s for case in rounds]),
        _ranged([sum(case.predicted_s) / 2 for case in rounds if case.predicted_s]),
        _ranged([case.saving_s for case in rounds if case.saving_s is not None]),
        f"{max(errors):.1%}".replace("%", " %") if errors else "",
        ", ".join(f"{count} x {verdict}" for verdict, count in verdicts.most_common()),
        "/".join(str(pairs) for pairs in sorted({case.pairs for case in rounds})),
        f"{statistics.median(case.whole_s for case in rounds):.0f} s",
        f"{len(rounds)}",
    )


def _ranged(values_s: list[float]) -> str:
    if not values_s:
        return ""
    return f"{statistics.median(values_s):.2f} s [{min(values_s):.2f}, {max(values_s):.2f}]"


def main() -> None:
    """Run it all, print and save."""
    arguments = parser(__doc__, rounds=3)
    arguments.add_argument("--write-ms", type=float, action="append", help="may be given again")
    options = arguments.parse_args()
    end_cleanly()
    facts = machine()
    print(machine_line(facts))
    cases = []
    with scratch() as directory, control_plane(directory) as kubeconfig:
        for write_ms in options.write_ms or WRITES_MS:
            for client in clients(options.kubectl):
                cases += explain_again(client, kubeconfig, write_ms, options.rounds)
    raw = [dataclasses.asdict(case) for case in cases]
    finish(options.output, facts, goals_of(cases), [table_of(cases)], raw)


if __name__ == "__main__":
    main()
