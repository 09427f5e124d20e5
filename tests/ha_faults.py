"""One fault of the HA lab, played once, with everything that was seen of it."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from kubelag.errors import LabError
from kubelag.lab.faults.contract import HaFault, Scene
from kubelag.lab.faults.in_the_way import box
from kubelag.lab.faults.proxy_trouble import the_proxy
from kubelag.lab.faults.registry import find_ha_fault
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.scenes import new_kubectl
from kubelag.lab.ha.switches import switch_off, switch_on
from kubelag.lab.ha.timing import backends_met
from kubelag.lab.processes import find_marked
from kubelag.lab.state import STATE_VARIABLE
from kubelag.lab.waiting import is_met_within, wait_until

PLAIN = ("DISABLE_HTTP2",)
"""What of a scene's environment stays for the run without the fault: others lead to its parts."""
LOOK = (
    "tc qdisc show; ip -brief link; ip -brief address; ip neigh show nud permanent; "
    "cat /proc/sys/net/ipv4/tcp_mtu_probing"
)
SETTLED_S = 5.0
BY_HAND_S = 60.0


class Run(NamedTuple):
    """One run of a scene's command, with what the lab counts meanwhile."""

    wall_s: float
    exit_code: int
    printed: str
    opened: int
    """Connections that the client's node dialled."""
    served: int
    """Connections that a balancer handed on."""
    counted: Mapping[str, int]
    """What name servers, proxy and box have seen, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A fault that was on, and is off again."""

    fault: HaFault
    told: str
    """What switching it on said."""
    component: tuple[str, ...]
    resolv_conf: str
    """While it was on."""
    slow: Run
    shown: str
    """What the command printed that a user is told to type; empty where nobody typed it."""
    seen_afterwards: str
    """What it said for being seen when it was off; it should not be."""
    fast_s: float
    """The best of two runs without it."""
    before: tuple[object, ...]
    after: tuple[object, ...]
    """What could be seen of the lab before and after."""


def play_fault(ha: HaLab, name: str, *, is_typed: bool, times: int = 1) -> Played:
    """Switch it on, run its command, look at it, switch it off, run the command again.

    Args:
        ha: The lab.
        name: Which fault.
        is_typed: Whether to type the command that shows it; some take very long.
        times: How often the command is run with the fault; the slowest run counts.
    """
    fault = find_ha_fault(name)
    before = machine(ha)
    with switched_on(ha, fault) as told:
        scene, resolv_conf = fault.scene(ha), ha.resolv_conf.read_text()
        slow = max((run(ha, scene) for _ in range(times)), key=lambda one: one.wall_s)
        shown = by_hand(ha, fault.how_to_see) if is_typed else ""
    seen_afterwards = seen(ha, fault)
    is_met_within(lambda: machine(ha) == before, SETTLED_S)
    plain = {one: scene.environment[one] for one in PLAIN if one in scene.environment}
    usual = replace(scene, environment={**ha.environment(), **plain})
    run(ha, usual)  # so that a warm one is warm
    return Played(
        fault=fault,
        told=told,
        component=fault.component(ha),
        resolv_conf=resolv_conf,
        slow=slow,
        shown=shown,
        seen_afterwards=seen_afterwards,
        fast_s=min(run(ha, usual).wall_s for _ in range(2)),
        before=before,
        after=machine(ha),
    )


@contextmanager
def switched_on(ha: HaLab, fault: HaFault) -> Iterator[str]:
    """While it is on; says what it told."""
    told = switch_on(ha, fault)
    try:
        yield told
    finally:
        assert switch_off(ha, fault)


def seen(ha: HaLab, fault: HaFault) -> str:
    """How it acts now; empty where it does not."""
    try:
        return fault.see(ha)
    except LabError:
        return ""


def run(ha: HaLab, scene: Scene) -> Run:
    """The scene's command once; a cold one with nothing in its cache."""
    if scene.cold:
        shutil.rmtree(Path(scene.environment["HOME"]) / ".kube", ignore_errors=True)
    before = (_opened(ha), sum(backends_met(ha).values()), _counts(ha))
    start_s = time.perf_counter()
    done = ha.run(*scene.command, environment=scene.environment)
    wall_s = time.perf_counter() - start_s
    counts = _settled_counts(ha)
    counted = {one: count - before[2].get(one, 0) for one, count in counts.items()}
    return Run(
        wall_s=wall_s,
        exit_code=done.returncode,
        printed=done.stdout,
        opened=_opened(ha) - before[0],
        served=sum(backends_met(ha).values()) - before[1],
        counted={one: count for one, count in counted.items() if count},
    )


def by_hand(ha: HaLab, command: str) -> str:
    """What a shell prints in which a user types the command; this kubelag, the newest kubectl."""
    state = ha.directory.parent.parent
    tools = state / "tools"
    tools.mkdir(exist_ok=True)
    if not (tools / "kubectl").exists():
        (tools / "kubectl").symlink_to(new_kubectl())
    usual_path = os.environ.get("PATH", os.defpath)
    done = subprocess.run(
        ("bash", "-c", f'kubelag() {{ "$PYTHON" -m kubelag "$@"; }}; {command}'),
        env=os.environ
        | {"PYTHON": sys.executable, STATE_VARIABLE: str(state), "PATH": f"{tools}:{usual_path}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BY_HAND_S,
        check=False,
    )
    return done.stdout


def machine(ha: HaLab) -> tuple[object, ...]:
    """All that a fault could leave behind, without what counts up."""
    hosts = [host.namespace for host in ha.plan.hosts]
    return (
        *(one.tool("sh", "-c", LOOK, problem="x") for one in (*hosts, ha.lan)),
        ha.lan.tool("bridge", "link", problem="x"),
        sorted(one.name for one in ha.directory.iterdir() if one.name != "home"),
        [one.settings for one in ha.haproxies],
        ha.name_server.settings,
        ha.resolv_conf.read_text(),
        len(find_marked(ha.ledger.token)),
        ha.is_running(),
    )


def _opened(ha: HaLab) -> int:
    """TCP connections that the client's node has dialled so far, of both families."""
    table = ha.client.namespace.do(Path("/proc/thread-self/net/snmp").read_text)
    names, values = [line.split() for line in table.splitlines() if line.startswith("Tcp:")]
    return int(values[names.index("ActiveOpens")])


def _counts(ha: HaLab) -> Mapping[str, int]:
    counts = dict(ha.name_server.counts)
    for find in (box, the_proxy):
        try:
            counts |= find(ha).counts
        except LabError:  # there is none
            continue
    return counts


def _settled_counts(ha: HaLab) -> Mapping[str, int]:
    """What has been counted once nothing has been added for a while; counts lag behind."""
    read: list[Mapping[str, int]] = []

    def is_settled() -> bool:
        read.append(_counts(ha))
        return len(read) > 10 and all(one == read[-1] for one in read[-10:])

    wait_until(is_settled, timeout_s=SETTLED_S, problem="The lab goes on counting")
    return read[-1]
