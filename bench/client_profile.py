"""Where the time of one `kubelag get nodes` goes, and below what no client in Python can come.

The stages are what `kubelag get nodes --timings` tells. The floor is an interpreter that does
nothing, and a bare loop in this process that has everything loaded: one connection with TLS, and
the longest answer of each step. Cold, the steps are discovery's first two documents side by side,
the core group's where it is not in them, and the nodes: as little as tells what nodes are. Import
times are those of `-X importtime`, which itself takes a part; what an idle interpreter imports is
not counted twice.
"""

import gzip
import http.client
import json
import random
import re
import ssl
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from client_arms import Arm
from client_process import run_whole
from kubelag.kube.discovery.documents import ACCEPT_AGGREGATED
from kubelag.kube.reading import ACCEPT_TABLE
from kubelag.lab.control_plane.certificates import Certificates
from kubelag.lab.control_plane.handle import ControlPlane
from measuring import Table

PASS = (sys.executable, "-c", "pass")
DISCOVERY = ("/api?timeout=32s", "/apis?timeout=32s")
NODES = "/api/v1/nodes?limit=500"
KINDS = "warm", "cold"
OWNERS = "interpreter", "standard library", "kubelag", "elsewhere"
_SUM = re.compile(r"(?m)^(in \d+ requests|outside requests) +([\d.]+) ms(?:.*cache ([\d.]+) ms)?")
_IMPORT = re.compile(r"(?m)^import time: +(\d+) \| +\d+ \|\s+(\S+)")
_TIMEOUT_S = 30.0

Figures = dict[str, list[float]]
"""Seconds of every round, by stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One server, and the caches of a client of it."""

    plane: ControlPlane
    env: Mapping[str, str]
    warm: Path
    """A cache that is filled."""
    fresh: Callable[[], Path]
    """Makes an empty one."""


def profile(place: Place, ours: Arm, rounds: int) -> dict[str, Figures]:
    """Stages by kind of run, in interleaved rounds."""
    found: dict[str, Figures] = {kind: defaultdict(list) for kind in KINDS}
    for _ in range(rounds):
        bare = bare_s(place.plane)
        pass_s = run_whole(PASS, place.env).wall_s
        for kind in random.sample(KINDS, len(KINDS)):
            cache = place.warm if kind == "warm" else place.fresh()
            ran = run_whole([*ours.command(cache), "--timings"], place.env)
            stages = _stages(ran.errors)
            inside_s = pass_s + stages["in requests"] + stages["outside requests"]
            for stage, value_s in stages.items():
                found[kind][stage].append(value_s)
            found[kind]["rest"].append(ran.wall_s - inside_s)
            asked = ("nodes",) if kind == "warm" else ("discovery", "nodes")
            floor_s = pass_s + bare["connection"] + sum(bare[one] for one in asked)
            found[kind]["interpreter"].append(pass_s)
            found[kind]["whole"].append(ran.wall_s)
            found[kind]["bare connection"].append(bare["connection"])
            found[kind]["bare answers"].append(sum(bare[one] for one in asked))
            found[kind]["floor"].append(floor_s)
    return {kind: dict(figures) for kind, figures in found.items()}


def imports(place: Place, ours: Arm, rounds: int) -> dict[str, Figures]:
    """Import times by kind of run, and by whose modules they are; the number of modules too."""
    env = {**place.env, "PYTHONPROFILEIMPORTTIME": "1"}
    idle = {name for name, _ in _imported(run_whole(PASS, env).errors)}
    found: dict[str, Figures] = {kind: defaultdict(list) for kind in KINDS}
    for _ in range(rounds):
        for kind in KINDS:
            cache = place.warm if kind == "warm" else place.fresh()
            lines = _imported(run_whole(ours.command(cache), env).errors)
            for owner in OWNERS:
                mine = [took_s for name, took_s in lines if _owner(name, idle) == owner]
                found[kind][owner].append(sum(mine))
                found[kind][f"modules: {owner}"].append(len(mine))
    return {kind: dict(figures) for kind, figures in found.items()}


def bare_s(plane: ControlPlane) -> dict[str, float]:
    """One connection, and the longest answers of each step, by a loop that has all it needs."""
    pki = Certificates.below(plane.directory)
    context = ssl.create_default_context(cafile=str(pki.ca))
    context.load_cert_chain(pki.client_certificate, pki.client_key)
    parts = urlsplit(plane.url)
    link = http.client.HTTPSConnection(
        parts.hostname or "", parts.port, context=context, timeout=_TIMEOUT_S
    )
    began = time.perf_counter()
    link.connect()
    connection_s = time.perf_counter() - began
    try:
        first = [_asked(link, path, ACCEPT_AGGREGATED) for path in DISCOVERY]
        core = first[0][1].get("versions", ())  # none where discovery is aggregated
        each = [_asked(link, f"/api/{version}?timeout=32s", "*/*")[0] for version in core]
        nodes_s, _ = _asked(link, NODES, ACCEPT_TABLE)
    finally:
        link.close()
    discovery_s = max(took_s for took_s, _ in first) + max(each, default=0.0)
    return {"connection": connection_s, "discovery": discovery_s, "nodes": nodes_s}


def stages_table(title: str, found: Mapping[str, Figures]) -> Table:
    """Medians, with the floor beside them."""
    middles = {kind: {name: median(one) for name, one in found[kind].items()} for kind in KINDS}
    rows = [
        (text, *(_ms(middles[kind].get(stage)) for kind in KINDS)) for stage, text in _ROWS.items()
    ]
    ratios = (f"{middles[kind]['whole'] / middles[kind]['floor']:.2f}" for kind in KINDS)
    rows.append(("whole ÷ floor", *ratios))
    return Table(title=title, header=("stage", *KINDS), rows=tuple(rows))


def imports_table(title: str, found: Mapping[str, Figures]) -> Table:
    """Medians of import times."""
    rows = []
    for owner in OWNERS:
        cells = []
        for kind in KINDS:
            count = median(found[kind][f"modules: {owner}"])
            cells.append(f"{_ms(median(found[kind][owner]))} ({count:g} modules)")
        rows.append((owner, *cells))
    return Table(title=title, header=("modules of", *KINDS), rows=tuple(rows))


_ROWS = {
    "interpreter": "start of the interpreter (python -c pass)",
    "in requests": "in requests",
    "connect": "- of it connecting",
    "tls": "- of it TLS",
    "server": "- of it the server, summed over requests side by side",
    "transfer": "- of it transfer, summed likewise",
    "outside requests": "outside requests: imports, own work",
    "cache": "- of it reading the cache",
    "rest": "rest: what loads before its clock starts, end of the process",
    "whole": "whole",
    "bare connection": "connection with TLS, bare loop",
    "bare answers": "longest answer of each step with its latency, bare loop",
    "floor": "floor: interpreter and bare loop",
}


def _asked(link: http.client.HTTPSConnection, path: str, accept: str) -> tuple[float, Any]:
    """How long the answer took, and its document."""
    began = time.perf_counter()
    link.request("GET", path, headers={"Accept": accept, "Accept-Encoding": "gzip"})
    answer = link.getresponse()
    body = answer.read()
    took_s = time.perf_counter() - began
    plain = gzip.decompress(body) if answer.getheader("Content-Encoding") == "gzip" else body
    return took_s, json.loads(plain)


def _stages(told: str) -> dict[str, float]:
    """What `--timings` prints, in seconds; columns end where their titles do."""
    lines = told.splitlines()
    header, *rows = lines[: lines.index("")]
    found: dict[str, float] = defaultdict(float)
    titles = list(re.finditer(r"\S+", header))
    for before, title in pairwise(titles[1:]):
        cells = (row[before.end() : title.end()].removesuffix("ms") for row in rows)
        found[title[0].lower()] = sum(float(cell) / 1000 for cell in cells if cell.strip())
    for what, spent, cache in _SUM.findall(told):
        found["in requests" if what.startswith("in ") else what] = float(spent) / 1000
        if cache:
            found["cache"] = float(cache) / 1000
    return found


def _imported(told: str) -> list[tuple[str, float]]:
    """Modules and their own import times, in seconds."""
    return [(name, int(took_us) / 1e6) for took_us, name in _IMPORT.findall(told)]


def _owner(module: str, idle: set[str]) -> str:
    if module in idle:
        return "interpreter"
    package = module.partition(".")[0]
    if package == "kubelag":
        return "kubelag"
    return "standard library" if package in sys.stdlib_module_names else "elsewhere"


def _ms(value_s: float | None) -> str:
    return "" if value_s is None else f"{value_s * 1000:.1f} ms"
