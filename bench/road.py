"""What watching the way to the server costs: a cold `kubectl get nodes` in the HA lab, as root.

Every round runs every arm once, in a random order, on the client's node, each with a fresh cache
directory in memory. The arms are unwatched, under kubelag's other observers alone, and with the
network watched beside them (sockets sampled; packets captured, too). A ratio is the median over
rounds of with the network / without it (mean of two) in the same round, with a bootstrap 95 %
interval. The wall time is the command's own, from its exec to its end. What `kubelag explain` takes
before and after that stands in a table of its own: the probes are sent after the run, and tcpdump
starts before it. Thirty rounds take nine minutes.

    python bench/road.py --rounds 30
"""

import dataclasses
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kubelag.engine.observing import Manner, observe
from kubelag.engine.road import Hints, Road, road_to, with_path
from kubelag.engine.setting import Setting, look_at
from kubelag.lab import session
from kubelag.lab.faults.registry import find_ha_fault
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.scenes import get_nodes
from kubelag.lab.ha.switches import switch_off, switch_on
from kubelag.model.evidence import Evidence, Run, Syscall
from kubelag.observe.network_watch import NetworkSeen, NetworkWatch
from measuring import (
    MEMORY,
    Goal,
    Table,
    end_cleanly,
    finish,
    ha_lab,
    interval,
    machine,
    machine_line,
    parser,
    show,
    tell,
)

LIMIT = 1.05
"""What the capture and the probes may cost of the observed wall time, both ways of it included."""
BASES = "other observers alone", "other observers alone, again"
SOCKETS, CAPTURE, UNWATCHED = "sockets", "sockets and capture", "unwatched"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the servers are."""

    fault: str
    title: str
    rounds_ratio: int
    """How many rounds for each one that was asked for: a short run varies more."""


PLACES = (
    Place(fault="nothing_ha", title="a run of 0.1 s, servers on this machine", rounds_ratio=3),
    Place(fault="long_way", title="a run of 0.8 s, servers 40 ms away", rounds_ratio=1),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run."""

    wall_s: float
    read_s: float = 0.0
    """Reading the way before the run: resolv.conf, neighbours."""
    prepare_s: float = 0.0
    """Until tcpdump listens."""
    stop_s: float = 0.0
    """Until tcpdump has ended and its packets are read."""
    probe_s: float = 0.0
    """The probes after the run."""
    packets: int = 0
    lost: int = 0
    probes: int = 0


class TimedWatch(NetworkWatch):
    """Takes the time of its own begin and end."""

    prepare_s = stop_s = 0.0

    def prepare(self) -> None:
        """As it does, timed."""
        began_s = time.perf_counter()
        super().prepare()
        self.prepare_s = time.perf_counter() - began_s

    def stop(self, run: Run, syscalls: Sequence[Syscall]) -> NetworkSeen:
        """As it does, timed."""
        began_s = time.perf_counter()
        seen = super().stop(run, syscalls)
        self.stop_s = time.perf_counter() - began_s
        return seen


Arm = Callable[[Setting], Measured]


def unwatched(setting: Setting) -> Measured:
    """The command alone."""
    quiet = subprocess.DEVNULL
    with subprocess.Popen(setting.argv, env=setting.env, stdout=quiet, stderr=quiet) as process:
        began_s = time.perf_counter()  # Popen returns once the command is executed
        code = process.wait()
        wall_s = time.perf_counter() - began_s
    if code != 0:
        sys.exit(f"{process.args!r} failed with {code}")
    return Measured(wall_s=wall_s)


def alone(setting: Setting) -> Measured:
    """Under every observer but those of the network."""
    return Measured(wall_s=_watched(setting, None).run.wall_ns / 1e9)


def with_network(*, captures: bool) -> Arm:
    """With the network watched, and the way probed after the run."""

    def run(setting: Setting) -> Measured:
        road, read_s = _timed(lambda: road_to(setting, Hints(captures=captures)))
        network = TimedWatch(road.scope)
        evidence = _watched(setting, network)
        return _measured(evidence, road, network, read_s)

    return run


def _measured(evidence: Evidence, road: Road, network: TimedWatch, read_s: float) -> Measured:
    probed, probe_s = _timed(lambda: with_path(evidence, road))
    looks = {look.observer: look for look in probed.looks}
    capture = looks["capture"]
    if looks["sockets"].state != "looked" or looks["path"].state != "looked":
        sys.exit(f"the network could not be watched: {looks['sockets'].how}; {looks['path'].how}")
    return Measured(
        wall_s=evidence.run.wall_ns / 1e9,
        read_s=read_s,
        prepare_s=network.prepare_s,
        stop_s=network.stop_s,
        probe_s=probe_s,
        packets=capture.events,
        lost=capture.lost,
        probes=looks["path"].events,
    )


def _watched(setting: Setting, network: NetworkWatch | None) -> Evidence:
    evidence = observe(setting, Manner(network=network), shown=setting.argv, cold=True)
    if evidence.run.exit_code != 0:
        sys.exit(f"the command failed: {evidence.run.stderr_tail}")
    return evidence


def _timed(act: Callable[[], Any]) -> tuple[Any, float]:
    began_s = time.perf_counter()
    done = act()
    return done, time.perf_counter() - began_s


ARMS: Mapping[str, Arm] = {
    **dict.fromkeys(BASES, alone),
    SOCKETS: with_network(captures=False),
    CAPTURE: with_network(captures=True),
    UNWATCHED: unwatched,
}


def measure(argv: Sequence[str], rounds: int) -> dict[str, list[Measured]]:
    """Interleaved rounds in random order; the first, a warm-up, is thrown away."""
    results: dict[str, list[Measured]] = {name: [] for name in ARMS}
    order = list(ARMS)
    setting = look_at(tuple(argv), os.environ)
    for number in range(rounds + 1):
        random.shuffle(order)
        for name in order:
            cache = tempfile.mkdtemp(prefix="kubelag-bench-", dir=MEMORY)
            try:
                one = ARMS[name](setting.with_cache(cache))
            finally:
                shutil.rmtree(cache)
            if number:
                results[name].append(one)
    return results


def on_the_node(ha: HaLab, fault_id: str, rounds: int) -> dict[str, list[Measured]]:
    """All rounds on the client's node, by this same program in a process there."""
    fault = find_ha_fault(fault_id)
    tell(switch_on(ha, fault))
    try:
        scene = get_nodes(ha, describe="")
        argv = (sys.executable, str(Path(__file__)), "--rounds", str(rounds), "--inside")
        done = subprocess.run(
            ha.argv((*argv, *scene.command)),
            env=dict(scene.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=False,
        )
    finally:
        switch_off(ha, fault)
    if done.returncode:
        sys.exit(f"the measuring on the client's node failed with {done.returncode}")
    found = json.loads(done.stdout)
    return {name: [Measured(**one) for one in runs] for name, runs in found.items()}


def ratios(results: Mapping[str, Sequence[Measured]], arm: str) -> list[float]:
    """Each round's run of that arm, by those without the network."""
    pairs = zip(*(results[name] for name in BASES), strict=True)
    base_s = [statistics.fmean(one.wall_s for one in pair) for pair in pairs]
    return [one.wall_s / other for one, other in zip(results[arm], base_s, strict=True)]


def goals_of(place: str, results: Mapping[str, Sequence[Measured]]) -> list[Goal]:
    """What was promised of the capture and the probes."""
    value, low, high = interval(ratios(results, CAPTURE))
    what = f"network watched ÷ not watched, {place}"
    lost = sum(one.lost for one in results[CAPTURE])
    return [
        Goal(what=what, unit="x", limit=LIMIT, value=value, ci95=(low, high)),
        Goal(what=f"packets lost by the capture, {place}", unit="", limit=0, value=lost),
    ]


def tables_of(place: str, results: Mapping[str, Sequence[Measured]], rounds: int) -> list[Table]:
    """What it costs during the run, and around it."""
    during, around = [], []
    for name, runs in results.items():
        ratio, low, high = interval(ratios(results, name))
        wall_s = statistics.median(one.wall_s for one in runs)
        during.append((name, f"{wall_s:.3f} s", f"{ratio:.3f}", f"[{low:.3f}, {high:.3f}]"))
        if name in {SOCKETS, CAPTURE}:
            around.append((name, *_around(runs)))
    return [
        Table(
            title=f"{place}, {rounds} interleaved rounds: the observed run",
            header=("watched by", "median", "ratio", "95 %"),
            rows=tuple(during),
        ),
        Table(
            title=f"{place}: what `kubelag explain` takes before and after it (medians)",
            header=(
                *("watched by", "reading the way", "until tcpdump listens"),
                *("until its packets are read", "probes", "packets", "probes sent"),
            ),
            rows=tuple(around),
        ),
    ]


def _around(runs: Sequence[Measured]) -> tuple[str, ...]:
    parts = ("read_s", "prepare_s", "stop_s", "probe_s")
    times = [statistics.median(getattr(one, part) for one in runs) for part in parts]
    packets = statistics.median(one.packets for one in runs)
    probes = statistics.median(one.probes for one in runs)
    return (*(f"{took_s:.3f} s" for took_s in times), f"{packets:.0f}", f"{probes:.0f}")


def main() -> None:
    """Measure in one lab of our own, print and save."""
    made = parser(__doc__, rounds=30)
    made.add_argument("--inside", nargs="+", metavar="WORD", help="on the node: what to run")
    options = made.parse_args()
    end_cleanly()
    if options.inside:
        found = measure(options.inside, options.rounds)
        plain = {name: [dataclasses.asdict(one) for one in runs] for name, runs in found.items()}
        json.dump(plain, sys.stdout)
        return
    facts = machine()
    print(machine_line(facts))
    goals: list[Goal] = []
    tables: list[Table] = []
    raw = {}
    with ha_lab() as environment, session.hold_ha(environment) as ha:
        for place in PLACES:
            rounds = options.rounds * place.rounds_ratio
            results = on_the_node(ha, place.fault, rounds)
            made_tables = tables_of(place.title, results, rounds)
            for table in made_tables:
                show(table)
            goals += goals_of(place.title, results)
            tables += made_tables
            raw[place.fault] = {
                name: [dataclasses.asdict(one) for one in runs] for name, runs in results.items()
            }
    finish(options.output, facts, goals, tables, raw)


if __name__ == "__main__":
    main()
