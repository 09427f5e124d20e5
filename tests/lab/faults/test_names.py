"""Names and addresses that cost time: who is asked, how often, and what is dialled in vain."""

import importlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from kubelag.errors import LabError
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.faults.contract import HaFault
from kubelag.lab.ha.building import build, why_no_ha
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.switches import switch_off, switch_on
from kubelag.lab.ha.timing import backends_met
from kubelag.lab.network.keepalived import addresses_on
from kubelag.lab.processes import find_marked
from kubelag.lab.state import Ledger
from kubelag.lab.waiting import wait_until

pytestmark = pytest.mark.real
FIRST, SECOND = "10.75.0.53", "10.75.0.54"
BOTH = ("A", "AAAA")
QUESTIONS: Mapping[str, Mapping[str, int]] = {
    "dns_slow": {FIRST: 1},
    "dns_dead_first": {FIRST: 1, SECOND: 1},
    "dns_aaaa_dropped": {FIRST: 1},
    "dns_search_list": {FIRST: 6},
    "dns_nxdomain_slow": {FIRST: 2},
    "dns_local_domain": {FIRST: 1},
}
"""Questions of each type for one connection, by name server."""
LEAST_S = {
    "dns_slow": 1.5,
    "dns_dead_first": 5.0,
    "dns_aaaa_dropped": 5.0,
    "dns_search_list": 1.0,
    "dns_nxdomain_slow": 2.0,
    "dns_local_domain": 2.0,
}
ADDRESSES = ("dead_first_address", "ipv6_blackhole")
COUNTED_S = 5.0


class Run(NamedTuple):
    """One cold run of a scene's command."""

    wall_s: float
    opened: int
    """Connections that the client's node dialled."""
    served: int
    """Connections that a balancer handed on."""
    asked: Mapping[str, int]
    """Questions, as the name servers count them."""
    printed: str


@pytest.fixture(scope="module")
def ha(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HaLab]:
    if obstacle := why_no_ha():
        pytest.skip(f"no HA lab here: {obstacle}")
    with Ledger.open(tmp_path_factory.mktemp("names") / "state") as ledger:
        yield build(ledger, "embedded", ControlPlaneOptions(), lambda _: None)
    assert find_marked(ledger.token) == ()


def find(name: str) -> HaFault:
    fault: HaFault = importlib.import_module(f"kubelag.lab.faults.{name}").FAULT
    return fault


@contextmanager
def switched_on(ha: HaLab, fault: HaFault) -> Iterator[None]:
    switch_on(ha, fault)
    try:
        yield
    finally:
        assert switch_off(ha, fault)


def opened(ha: HaLab) -> int:
    """TCP connections that the client's node has dialled so far, of both families."""
    table = ha.client.namespace.do(Path("/proc/thread-self/net/snmp").read_text)
    names, values = [line.split() for line in table.splitlines() if line.startswith("Tcp:")]
    return int(values[names.index("ActiveOpens")])


def run(ha: HaLab, fault: HaFault) -> Run:
    """The scene's command, with what the lab counts before and after."""
    scene = fault.scene(ha)
    if scene.cold:
        ha.forget()
    before = (opened(ha), sum(backends_met(ha).values()), ha.name_server.counts)
    start_s = time.perf_counter()
    done = ha.run(*scene.command, environment=scene.environment)
    wall_s = time.perf_counter() - start_s
    asked = settled_counts(ha)
    return Run(
        wall_s=wall_s,
        opened=opened(ha) - before[0],
        served=sum(backends_met(ha).values()) - before[1],
        asked={one: count - before[2].get(one, 0) for one, count in asked.items()},
        printed=done.stdout,
    )


def settled_counts(ha: HaLab) -> Mapping[str, int]:
    """What the name servers have counted once nothing has been added for a while."""
    seen: list[Mapping[str, int]] = []

    def is_settled() -> bool:
        seen.append(ha.name_server.counts)
        return len(seen) > 10 and all(one == seen[-1] for one in seen[-10:])

    wait_until(is_settled, timeout_s=COUNTED_S, problem="The name servers go on counting")
    return seen[-1]


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_look_up_waits_and_asks_whom_it_should(ha: HaLab, name: str) -> None:
    fault = find(name)
    with switched_on(ha, fault):
        resolv_conf = ha.resolv_conf.read_text()
        slow = run(ha, fault)
        told = fault.see(ha)
    assert slow.wall_s > LEAST_S[name]
    assert "node3" in slow.printed
    expected = {
        f"{server} {kind}": count for server, count in QUESTIONS[name].items() for kind in BOTH
    }
    assert {one: count for one, count in slow.asked.items() if count} == expected
    assert all(f"{one} {count}" in told for one, count in expected.items())
    assert resolv_conf.startswith(f"nameserver {fault.component(ha)[0]}\n")
    with pytest.raises(LabError):
        fault.see(ha)


@pytest.mark.parametrize("name", ADDRESSES)
def test_the_dead_address_is_dialled_first_in_every_run(ha: HaLab, name: str) -> None:
    fault = find(name)
    with switched_on(ha, fault):
        runs = [run(ha, fault) for _ in range(2)]
        assert fault.see(ha)
    usual = run(ha, fault)
    assert usual.opened == usual.served
    for slow in runs:
        assert slow.opened > slow.served > 0  # the rest was dialled in vain
        assert "node3" in slow.printed
    with pytest.raises(LabError):
        fault.see(ha)


def test_a_dead_address_costs_half_of_the_dialers_patience(ha: HaLab) -> None:
    fault = find("dead_first_address")
    with switched_on(ha, fault):
        slow = run(ha, fault)
    assert 15 < slow.wall_s < 25
    assert (slow.opened, slow.served) == (2, 1)


@pytest.mark.parametrize("name", [*QUESTIONS, *ADDRESSES])
def test_it_goes_away_twice_and_when_whoever_made_it_has_died(ha: HaLab, name: str) -> None:
    before = state(ha)
    first = ha.ledger.mark()
    find(name).on(ha)
    assert state(ha) != before
    ha.ledger.reap(range(first, ha.ledger.mark()))  # what a successor does before anything else
    for _ in range(2):
        find(name).off(ha)
    assert state(ha) == before


def state(ha: HaLab) -> tuple[object, ...]:
    """All that a trouble with names changes."""
    neighbours = ha.client.namespace.tool("ip", "neigh", "show", "nud", "permanent", problem="x")
    addresses = sorted(addresses_on(ha.client))
    return ha.resolv_conf.read_text(), ha.name_server.settings, neighbours, addresses
