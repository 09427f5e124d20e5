"""What is run in `bench/client.py`: which servers, who takes part and how often, in what order."""

import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from client_arms import Arm, Arms, environment, synced
from client_process import Ran, run_whole, sync_file_system
from client_profile import PASS, Figures, Place, imports, profile
from kubelag.lab.control_plane.embedded import start_embedded
from kubelag.lab.control_plane.envtest import start_envtest
from kubelag.lab.control_plane.handle import ControlPlane
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.slow_directory import open_slow_directory
from kubelag.lab.waiting import is_met_within
from measuring import scratch, tell

COLD, WARM = "cold", "warm"
SLOW_DISK_FSYNC_MS = 65.0
SLOW_ROUNDS = 2
"""Rounds of what takes many seconds every time. Arbitrary."""
REST_S, REST_RATIO, REST_WITHIN_S = 1.0, 0.1, 60.0
"""A server is at rest if it needs at most a tenth of a processor in a second. Arbitrary."""
IMPORT_ROUNDS = 3
"""The same modules are loaded every time. Arbitrary."""
IMPORT = "from kubelag.kube import Client"
RESOLVE = f"{IMPORT}; Client().discovery.resolve('deploy')"

Key = tuple[str, str]
"""Name of the arm, and `cold` or `warm`."""
Runs = dict[Key, dict[int, Ran]]
"""By number of the round; an arm may take part in some only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One server."""

    name: str
    options: ControlPlaneOptions = field(default_factory=ControlPlaneOptions)
    is_real: bool = False
    is_profiled: bool = False
    throttle: str = ""
    """How long a client that asks for each group-version holds itself back; empty if not."""
    is_throttle_shown: bool = False
    """Whether such a client takes part all the same, in few rounds."""
    is_slow_for_packages: bool = False


def _aggregated(group_versions: int, latency_ms: float = 0) -> ControlPlaneOptions:
    return ControlPlaneOptions(
        group_versions=group_versions, aggregated="both", latency_s=latency_ms / 1000
    )


REAL = Setting(name="kube-apiserver, 77 group-versions", is_real=True, is_profiled=True)
LEGACY = Setting(name="embedded server, 77 group-versions, not aggregated")
MANY = Setting(
    name="embedded server, 2000 group-versions, aggregated",
    options=_aggregated(2000),
    throttle="six minutes",
    is_slow_for_packages=True,
)
SETTINGS = (
    REAL,
    LEGACY,
    Setting(
        name="embedded server, 150 group-versions, aggregated",
        options=_aggregated(150),
        throttle="10 s",
        is_throttle_shown=True,
    ),
    Setting(
        name="embedded server, 150 group-versions, aggregated, 1 ms for each answer",
        options=_aggregated(150, latency_ms=1),
        throttle="10 s",
    ),
    Setting(
        name="embedded server, 150 group-versions, aggregated, 20 ms for each answer",
        options=_aggregated(150, latency_ms=20),
        is_profiled=True,
        throttle="10 s",
        is_slow_for_packages=True,
    ),
    MANY,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is run."""

    rounds: int
    is_quick: bool

    @property
    def slow_rounds(self) -> int:
        """Of what takes many seconds."""
        return 1 if self.is_quick else min(self.rounds, SLOW_ROUNDS)

    def arms(self, setting: Setting, arms: Arms) -> dict[Arm, int]:
        """Who takes part there, and in how many rounds; says aloud who does not."""
        chosen = {}
        for arm in arms.all:
            is_throttled = arm.asks_each and bool(setting.throttle)
            if is_throttled and (self.is_quick or not setting.is_throttle_shown):
                tell(f"{arm.name} is left out here: it throttles itself for {setting.throttle}")
                continue
            is_slow = is_throttled or (setting.is_slow_for_packages and arm in arms.packages)
            chosen[arm] = self.slow_rounds if is_slow else self.rounds
        return chosen


def measure_server(setting: Setting, plane: ControlPlane, arms: Arms, plan: Plan) -> Runs:
    """Cold and warm runs of everybody against one server."""
    with scratch(in_memory=True) as parts:
        kubeconfig = plane.kubeconfig()
        runs: dict[Key, tuple[Callable[[], Ran], int]] = {}
        for arm, most in plan.arms(setting, arms).items():
            kept = parts / f"kept-{len(runs)}"
            kept.mkdir()
            warm = _warm(arm, kubeconfig, kept)
            warm()
            runs[arm.name, WARM] = warm, most
            runs[arm.name, COLD] = _cold(arm, kubeconfig, parts), most
        return _interleaved(runs, plan.rounds, setting.name)


def measure_slow_disk(arms: Arms, plan: Plan) -> tuple[Runs, float]:
    """Cold runs with the cache on the slow disk, and how long an fsync takes there (ms)."""
    chosen = {
        **dict.fromkeys(arms.older, plan.slow_rounds),
        arms.newest: plan.rounds,
        arms.kubelag: plan.rounds,
        synced(arms.kubelag): plan.slow_rounds,
    }
    with (
        scratch(in_memory=True) as parts,
        serving(LEGACY, parts) as plane,
        open_slow_directory(parts / "disk", fsync_ms=SLOW_DISK_FSYNC_MS) as slow,
    ):
        tell(slow.describe)
        runs = {
            (arm.name, COLD): (_cold(arm, plane.kubeconfig(), slow.path), most)
            for arm, most in chosen.items()
        }
        return _interleaved(runs, plan.rounds, "slow disk"), slow.fsync_ms


def measure_resolving(arms: Arms, plan: Plan) -> Runs:
    """Resolving a kind from the cache of a server that is gone."""
    with scratch(in_memory=True) as home:
        with serving(LEGACY, home) as plane:
            env = environment(plane.kubeconfig(), home)
            run_whole(arms.kubelag.command(home / "cache"), env)
        env |= {"KUBECACHEDIR": os.fspath(home / "cache")}
        programs = {
            "python -c pass": PASS,
            "import": (sys.executable, "-c", IMPORT),
            "resolve": (sys.executable, "-c", RESOLVE),
        }
        runs = {(name, WARM): (_plain(argv, env), plan.rounds) for name, argv in programs.items()}
        return _interleaved(runs, plan.rounds, "resolving a kind")


def measure_stages(plane: ControlPlane, ours: Arm, rounds: int) -> dict[str, dict[str, Figures]]:
    """Where the time of cold and warm runs goes: stages, and imports."""
    with scratch(in_memory=True) as parts:
        place = Place(
            plane=plane,
            env=environment(plane.kubeconfig(), parts),
            warm=parts / "warm",
            fresh=lambda: Path(tempfile.mkdtemp(dir=parts)),
        )
        run_whole(ours.command(place.warm), place.env)
        return {
            "stages": profile(place, ours, rounds),
            "imports": imports(place, ours, min(rounds, IMPORT_ROUNDS)),
        }


@contextmanager
def serving(setting: Setting, directory: Path) -> Iterator[ControlPlane]:
    """The server at rest, for as long as it is needed; what it wrote stays."""
    tell(f"{setting.name}: starting the server")
    start = start_envtest if setting.is_real else start_embedded
    plane = start(directory / "control-plane", setting.options)
    try:
        if not is_met_within(lambda: _is_at_rest(plane), REST_WITHIN_S):
            tell(f"{setting.name}: still busy by itself after {REST_WITHIN_S:g} s")
        yield plane
    finally:
        plane.stop()


def _is_at_rest(plane: ControlPlane) -> bool:
    """Whether it needs little time by itself; a real one has much to do with new definitions."""
    begin_s = _processor_s(plane)
    time.sleep(REST_S)
    return _processor_s(plane) - begin_s <= REST_RATIO * REST_S


def _processor_s(plane: ControlPlane) -> float:
    """Processor time of its processes so far; fields of proc(5), behind the name in brackets."""
    ticks = 0
    for pid in plane.pids:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(words[11]) + int(words[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _interleaved(arms: Mapping[Key, tuple[Callable[[], Ran], int]], rounds: int, what: str) -> Runs:
    """Rounds in random order; every arm has its own number of them, and a warm-up before."""
    results: Runs = {key: {} for key in arms}
    order = list(arms)
    for number in range(rounds + 1):
        random.shuffle(order)
        for key in order:
            run, most = arms[key]
            # What takes half a minute needs no warm-up.
            if number > most or (number == 0 and most < rounds):
                continue
            ran = run()
            if number:
                results[key][number] = ran
        tell(f"{what}: round {number} of {rounds}")
    return results


def _cold(arm: Arm, kubeconfig: Path, parent: Path) -> Callable[[], Ran]:
    def run() -> Ran:
        fresh = Path(tempfile.mkdtemp(dir=parent))
        try:
            sync_file_system(parent)
            return _listed(arm, kubeconfig, fresh)
        finally:
            shutil.rmtree(fresh)

    return run


def _warm(arm: Arm, kubeconfig: Path, kept: Path) -> Callable[[], Ran]:
    return lambda: _listed(arm, kubeconfig, kept)


def _plain(argv: tuple[str, ...], env: Mapping[str, str]) -> Callable[[], Ran]:
    return lambda: run_whole(argv, env)


def _listed(arm: Arm, kubeconfig: Path, home: Path) -> Ran:
    """One run that did tell the nodes, or the benchmark ends."""
    ran = run_whole(arm.command(home / "cache"), environment(kubeconfig, home))
    if "node1" not in ran.output:
        sys.exit(f"{arm.name} did not list the nodes: {ran.output!r}")
    return ran
