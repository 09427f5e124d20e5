"""What stands in the way to the servers, or does not: proxies, boxes, silence, and slow servers."""

import importlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from kubelag.errors import LabError
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.faults.contract import HaFault
from kubelag.lab.faults.in_the_way import box
from kubelag.lab.faults.proxy_trouble import the_proxy
from kubelag.lab.ha.building import build, why_no_ha
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.switches import switch_off, switch_on
from kubelag.lab.ha.timing import backends_met
from kubelag.lab.processes import find_marked
from kubelag.lab.state import Ledger
from kubelag.lab.waiting import wait_until

pytestmark = pytest.mark.real
FAULTS = (
    "proxy_working",
    "proxy_dead",
    "proxy_slow_connect",
    "server_unreachable",
    "tls_slow",
    "http1_middlebox",
    "api_queue",
    "api_storage_slow",
)
FAILING = ("proxy_dead", "server_unreachable")
COUNTED_S = 5.0


class Run(NamedTuple):
    """One run of a scene's command with nothing in its cache."""

    wall_s: float
    exit_code: int
    served: int
    """Connections that a balancer handed on."""


@pytest.fixture(scope="module")
def ha(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HaLab]:
    if obstacle := why_no_ha():
        pytest.skip(f"no HA lab here: {obstacle}")
    with Ledger.open(tmp_path_factory.mktemp("way") / "state") as ledger:
        yield build(ledger, "embedded", ControlPlaneOptions(), lambda _: None)
    assert find_marked(ledger.token) == ()


def find(name: str) -> HaFault:
    fault: HaFault = importlib.import_module(f"kubelag.lab.faults.{name}").FAULT
    return fault


@contextmanager
def switched_on(ha: HaLab, fault: HaFault) -> Iterator[str]:
    told = switch_on(ha, fault)
    try:
        yield told
    finally:
        assert switch_off(ha, fault)


def run(ha: HaLab, fault: HaFault) -> Run:
    scene = fault.scene(ha)
    ha.forget()
    before = sum(backends_met(ha).values())
    start_s = time.perf_counter()
    done = ha.run(*scene.command, environment=scene.environment)
    wall_s = time.perf_counter() - start_s
    assert ("node3" in done.stdout) == (done.returncode == 0)
    served = sum(backends_met(ha).values()) - before
    return Run(wall_s=wall_s, exit_code=done.returncode, served=served)


def wait_more(
    counts: Mapping[str, int], read: Callable[[], Mapping[str, int]], name: str, least: int
) -> None:
    """Return when so many more have been counted; counts lag behind a little."""
    wait_until(
        lambda: read().get(name, 0) - counts.get(name, 0) >= least,
        timeout_s=COUNTED_S,
        problem=f"There were never {least} more {name}",
    )


def machine(ha: HaLab) -> tuple[object, ...]:
    """All that a fault could leave behind, without what counts up."""
    hosts = [host.namespace for host in ha.plan.hosts]
    asked = (
        ("tc", "qdisc", "show"),
        ("ip", "-brief", "link"),
        ("ip", "-brief", "address"),
        ("ip", "neigh", "show", "nud", "permanent"),
    )
    shown = [one.tool(*words, problem="x") for one in (*hosts, ha.lan) for words in asked]
    ports = ha.lan.tool("bridge", "link", problem="x")
    files = sorted(one.name for one in ha.directory.iterdir() if one.name != "home")
    return shown, ports, files, ha.name_server.settings, len(find_marked(ha.ledger.token))


@pytest.mark.parametrize("name", FAULTS)
def test_it_is_seen_while_it_is_on_and_only_then(ha: HaLab, name: str) -> None:
    fault, before = find(name), machine(ha)
    with switched_on(ha, fault) as told:
        assert any(character.isdigit() for character in told)
        slow = run(ha, fault)
        assert fault.see(ha)
    assert (slow.exit_code != 0) == (name in FAILING)
    with pytest.raises(LabError):
        fault.see(ha)
    assert machine(ha) == before
    assert ha.is_running()


@pytest.mark.parametrize("name", FAULTS)
def test_it_goes_away_twice_and_when_whoever_made_it_has_died(ha: HaLab, name: str) -> None:
    before = machine(ha)
    first = ha.ledger.mark()
    find(name).on(ha)
    ha.ledger.reap(range(first, ha.ledger.mark()))  # what a successor does before anything else
    for _ in range(2):
        find(name).off(ha)
    assert machine(ha) == before


@pytest.mark.parametrize(("name", "least_s"), [("proxy_working", 0), ("proxy_slow_connect", 1.5)])
def test_the_command_goes_through_the_proxy_alone(ha: HaLab, name: str, least_s: float) -> None:
    fault = find(name)
    with switched_on(ha, fault):
        proxy = the_proxy(ha)
        before = proxy.counts
        slow = run(ha, fault)
        wait_more(before, lambda: proxy.counts, "tunnels", slow.served)
        assert slow.served > 0
    assert slow.wall_s > least_s


@pytest.mark.parametrize(("name", "tries_s"), [("proxy_dead", 4), ("server_unreachable", 8)])
def test_it_tries_for_seconds_and_reaches_nobody(ha: HaLab, name: str, tries_s: float) -> None:
    fault = find(name)
    with switched_on(ha, fault):
        slow = run(ha, fault)
    assert slow.served == 0
    assert tries_s < slow.wall_s < 20


def test_the_box_that_is_slow_at_tls_is_met_by_every_connection(ha: HaLab) -> None:
    fault = find("tls_slow")
    with switched_on(ha, fault):
        before = box(ha).counts
        slow = run(ha, fault)
        wait_more(before, lambda: box(ha).counts, "connections", slow.served)
    assert slow.served > 0
    assert slow.wall_s > 1.5


def test_without_http2_a_cold_run_opens_dozens_of_connections(ha: HaLab) -> None:
    fault = find("http1_middlebox")
    usual = run(ha, fault)
    with switched_on(ha, fault):
        before = box(ha).counts
        slow = run(ha, fault)
        wait_more(before, lambda: box(ha).counts, "connections", 40)
        wait_more(before, lambda: box(ha).counts, "requests", 79)  # 77, /api or /apis, the nodes
    assert usual.served < 8
    assert slow.served >= 40


def test_only_who_is_not_exempt_waits_in_the_queue(ha: HaLab) -> None:
    fault = find("api_queue")
    with switched_on(ha, fault):
        slow = run(ha, fault)
        administrator = ha.run(*fault.scene(ha).command, environment=ha.environment())
        reader = Path(fault.scene(ha).environment["KUBECONFIG"]).read_text()
    assert slow.wall_s > 3 * 0.4
    assert administrator.returncode == 0
    assert "client-certificate-data" not in reader


def test_slow_storage_holds_up_a_list_and_not_one_from_memory(ha: HaLab) -> None:
    fault = find("api_storage_slow")
    took_s = []
    with switched_on(ha, fault):
        kubectl = fault.scene(ha).command[0]
        for path in ("/api/v1/nodes", "/api/v1/nodes?resourceVersion=0"):
            start_s = time.perf_counter()
            done = ha.run(kubectl, "get", "--raw", path)
            took_s.append(time.perf_counter() - start_s)
            assert len(json.loads(done.stdout)["items"]) == 3
    assert took_s[0] > 1.5 > took_s[1]
