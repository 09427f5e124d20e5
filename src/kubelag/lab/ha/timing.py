"""Small measurements on the client's node, for faults that must show that they act."""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from kubelag.errors import LabError
from kubelag.lab.faults.contract import Scene
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.scenes import new_kubectl

COLD_CACHE = "cold-cache"


def raw(ha: HaLab, path: str, environment: Mapping[str, str] | None = None) -> tuple[float, str]:
    """Seconds of `kubectl get --raw PATH` on the client's node, and what went wrong, if anything.

    One process, one connection, one request: about 0.1 s where nothing is slow.
    """
    start_s = time.perf_counter()
    done = ha.run(str(new_kubectl()), "get", "--raw", path, environment=environment)
    took_s = time.perf_counter() - start_s
    words = done.stderr.strip().splitlines()
    return took_s, "" if done.returncode == 0 else (words or ["it failed"])[-1]


def play(ha: HaLab, scene: Scene) -> float:
    """Run a scene's command once on the client's node, unobserved; returns its wall time.

    A cold one gets a fresh cache directory in its own home, so on the same disk.

    Raises:
        LabError: The command failed; says its last words.
    """
    cache = Path(scene.environment["HOME"]) / COLD_CACHE
    extra = (f"--cache-dir={cache}",) if scene.cold else ()
    start_s = time.perf_counter()
    try:
        done = ha.run(*scene.command, *extra, environment=scene.environment)
        took_s = time.perf_counter() - start_s
    finally:
        shutil.rmtree(cache, ignore_errors=True)
    if done.returncode != scene.exit_code:
        words = done.stderr.strip().splitlines()
        raise LabError(f"The rehearsal failed: {words[-1] if words else done.returncode}")
    return took_s


def backends_met(ha: HaLab) -> Mapping[str, int]:
    """Connections that the owner's balancer has handed to each API server so far."""
    owner = ha.wait_owner()
    balancer = next(one for one in ha.haproxies if one.host == owner)
    return {name: int(line["stot"]) for name, line in balancer.counts().items()}


def connect_errors(ha: HaLab) -> Mapping[str, int]:
    """Connections to each API server that the owner's balancer had to give up so far."""
    owner = ha.wait_owner()
    balancer = next(one for one in ha.haproxies if one.host == owner)
    return {
        name: int(line["econ"]) + int(line["wretr"]) for name, line in balancer.counts().items()
    }
