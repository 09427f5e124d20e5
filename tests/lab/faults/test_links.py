"""Each bad link acts, is seen to act, costs what it should, and leaves nothing behind."""

import importlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubelag.errors import LabError
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.faults.contract import HaFault, Scene
from kubelag.lab.ha.building import build, why_no_ha
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.switches import switch_off, switch_on
from kubelag.lab.ha.timing import backends_met
from kubelag.lab.processes import find_marked
from kubelag.lab.state import Ledger

pytestmark = pytest.mark.real
FAULTS = (
    "packet_loss",
    "long_way",
    "narrow_line",
    "mtu_black_hole",
    "connection_forgotten",
    "websocket_refused",
)
CONTENT = {"narrow_line": "pod500", "connection_forgotten": "pod20", "websocket_refused": ""}
"""What the command prints in spite of the fault; the nodes, otherwise."""


@pytest.fixture(scope="module")
def ha(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HaLab]:
    if obstacle := why_no_ha():
        pytest.skip(f"no HA lab here: {obstacle}")
    with Ledger.open(tmp_path_factory.mktemp("links") / "state") as ledger:
        yield build(ledger, "embedded", ControlPlaneOptions(), lambda _: None)
    assert find_marked(ledger.token) == ()


def find(name: str) -> HaFault:
    fault: HaFault = importlib.import_module(f"kubelag.lab.faults.{name}").FAULT
    return fault


def wall_s(ha: HaLab, scene: Scene) -> tuple[float, str]:
    """Seconds of one run, and what it printed; it may fail."""
    if scene.cold:
        ha.forget()
    start_s = time.perf_counter()
    done = ha.run(*scene.command, environment=scene.environment)
    return time.perf_counter() - start_s, done.stdout


def machine(ha: HaLab) -> tuple[object, ...]:
    """All that a fault could leave behind, without what counts up."""
    hosts = [host.namespace for host in ha.plan.hosts]
    asked = (("tc", "qdisc", "show"), ("ip", "-brief", "link"), ("ip", "-brief", "address"))
    shown = [one.tool(*words, problem="x") for one in (*hosts, ha.lan) for words in asked]
    ports = ha.lan.tool("bridge", "link", problem="x")
    probing = [one.do(Path("/proc/sys/net/ipv4/tcp_mtu_probing").read_text) for one in hosts]
    files = sorted(one.name for one in ha.directory.iterdir() if one.name != "home")
    return shown, ports, probing, files, len(find_marked(ha.ledger.token))


def _listed(times_s: list[float]) -> str:
    return ", ".join(f"{one:.2f}" for one in times_s)


@pytest.mark.parametrize("name", FAULTS)
def test_it_is_seen_while_it_is_on_costs_time_and_leaves_nothing(ha: HaLab, name: str) -> None:
    fault = find(name)
    before = machine(ha)
    told = switch_on(ha, fault)
    try:
        scene = fault.scene(ha)
        if not scene.cold:
            wall_s(ha, scene)  # so that a warm one is warm
        runs = [wall_s(ha, scene) for _ in range(3)]
        assert fault.see(ha)
    finally:
        assert switch_off(ha, fault)
    if not scene.cold:
        wall_s(ha, scene)
    usual_s = [wall_s(ha, scene)[0] for _ in range(3)]
    slow_s = [took_s for took_s, _ in runs]
    figures = f"{name}: {_listed(slow_s)} s with, {_listed(usual_s)} s without; {told}"
    print(figures)  # noqa: T201 - for whoever runs it with -s
    assert min(slow_s) > max(1.3 * min(usual_s), min(usual_s) + 0.3), figures
    assert all(CONTENT.get(name, "node3") in printed for _, printed in runs)
    with pytest.raises(LabError):
        fault.see(ha)
    assert machine(ha) == before
    assert ha.is_running()


@pytest.mark.parametrize("name", FAULTS)
def test_it_goes_away_twice_and_when_whoever_made_it_has_died(ha: HaLab, name: str) -> None:
    fault, before = find(name), machine(ha)
    first = ha.ledger.mark()
    fault.on(ha)
    ha.ledger.reap(range(first, ha.ledger.mark()))  # what a successor does before anything else
    for _ in range(2):
        find(name).off(ha)
    assert machine(ha) == before
    assert ha.is_running()


def test_a_forgotten_connection_is_that_of_a_kubectl_and_the_next_run_is_hit_again(
    ha: HaLab,
) -> None:
    fault = find("connection_forgotten")
    switch_on(ha, fault)
    try:
        scene = fault.scene(ha)
        for _ in range(2):
            before = sum(backends_met(ha).values())
            took_s, _ = wall_s(ha, scene)
            count = sum(backends_met(ha).values()) - before
            assert count == 2, f"{count} connections in {took_s:.2f} s"
            assert took_s > 5
    finally:
        switch_off(ha, fault)
