"""Every fault of the HA lab acts, is seen to act, costs time, and is gone afterwards."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from kubelag.errors import LabError
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.faults.contract import HaFault, Scene
from kubelag.lab.faults.registry import FAULTS, find_ha_fault
from kubelag.lab.ha.building import build, why_no_ha
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.switches import switch_off, switch_on, switched_on
from kubelag.lab.ha.timing import play
from kubelag.lab.state import Ledger

LISTED = [listed.id for listed in FAULTS if listed.topology == "ha"]
HARMLESS = ("nothing_ha", "proxy_working")
FAILING = ("server_unreachable", "proxy_dead")
"""Where the command cannot succeed; how long it takes to say so is measured all the same."""
PLAIN = ("HOME", "DISABLE_HTTP2")
"""What of a scene's environment stays for the run without the fault."""
NEED_OLD = ("incident_ha",)


@pytest.fixture(scope="module")
def ha(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HaLab]:
    if obstacle := why_no_ha():
        pytest.skip(f"no HA lab here: {obstacle}")
    with Ledger.open(tmp_path_factory.mktemp("faults") / "state") as ledger:
        yield build(ledger, "embedded", ControlPlaneOptions(), lambda _: None)


def wall_s(ha: HaLab, scene: Scene, *, may_fail: bool = False) -> float:
    start_s = time.perf_counter()
    try:
        return play(ha, scene)
    except LabError:
        if not may_fail:
            raise
    return time.perf_counter() - start_s


def is_seen(ha: HaLab, fault: HaFault) -> bool:
    try:
        fault.see(ha)
    except LabError:
        return False
    return True


def machine(ha: HaLab) -> str:
    """What the hosts' links and neighbours look like, without what counts up."""
    hosts = [host.namespace for host in ha.plan.hosts]
    shown = [one.tool("tc", "qdisc", "show", problem="tc") for one in (*hosts, ha.lan)]
    links = [one.tool("ip", "-brief", "link", problem="ip") for one in (*hosts, ha.lan)]
    permanent = [
        one.tool("ip", "neigh", "show", "nud", "permanent", problem="ip")
        for one in (*hosts, ha.lan)
    ]
    return "\n".join((*shown, *links, *permanent))


@pytest.mark.parametrize("name", LISTED)
def test_it_has_its_own_file_and_says_what_it_shows_and_how_to_see_it(name: str) -> None:
    fault = find_ha_fault(name)
    assert fault.id == name
    assert bool(fault.expected) == (name not in HARMLESS)
    assert fault.how_to_see.startswith("kubelag lab exec ")


@pytest.mark.real
@pytest.mark.parametrize("name", LISTED)
def test_it_acts_and_costs_time_and_is_gone_afterwards(
    ha: HaLab,
    name: str,
    request: pytest.FixtureRequest,
) -> None:
    if name in NEED_OLD:
        request.getfixturevalue("old_kubectl")
    fault = find_ha_fault(name)
    before, resolv_conf = machine(ha), ha.resolv_conf.read_text()
    told = switch_on(ha, fault)
    try:
        scene = fault.scene(ha)
        slow_s = wall_s(ha, scene, may_fail=name in FAILING)
    finally:
        assert switch_off(ha, fault)
    # Some scenes lead through a box or to a name that is gone with its fault.
    plain = {one: scene.environment[one] for one in PLAIN if one in scene.environment}
    usual = replace(scene, environment={**ha.environment(), **plain})
    play(ha, usual)  # so that a warm one is warm
    fast_s = min(play(ha, usual) for _ in range(2))
    figures = f"{name}: {slow_s:.2f} s with, {fast_s:.2f} s without; {told}"
    if name not in HARMLESS:
        assert slow_s > 1.3 * fast_s, figures
        assert slow_s > fast_s + 0.3, figures
        assert not is_seen(ha, fault)
    assert ha.is_running()
    assert (machine(ha), ha.resolv_conf.read_text()) == (before, resolv_conf)
    assert ha.haproxies[0].settings == ha.usual_balancer
    assert ha.name_server.settings == ha.usual_names


class HalfMade:
    """A fault that fails when half of it is there."""

    id = "half_made"
    expected = ()
    how_to_see = "kubelag lab exec -- true"
    problem: type[BaseException] = LabError

    def component(self, _ha: HaLab) -> tuple[str, ...]:
        return ()

    def on(self, ha: HaLab) -> None:
        ha.new_directory("half")
        ha.resolve(["192.0.2.1"])
        raise self.problem("half")

    def off(self, ha: HaLab) -> None:
        ha.resolve()

    def see(self, _ha: HaLab) -> str:
        return "seen"

    def scene(self, _ha: HaLab) -> None:
        raise NotImplementedError


@pytest.mark.real
@pytest.mark.parametrize("problem", [LabError, KeyboardInterrupt])
def test_a_fault_that_fails_half_way_is_taken_back(ha: HaLab, problem: type[BaseException]) -> None:
    fault, resolv_conf = HalfMade(), ha.resolv_conf.read_text()
    fault.problem = problem
    with pytest.raises(problem):
        switch_on(ha, fault)
    assert switched_on(ha.directory) is None
    assert ha.resolv_conf.read_text() == resolv_conf
    assert list(ha.directory.glob("half-*")) == []


@pytest.mark.real
def test_a_second_fault_is_refused_until_the_first_is_off_and_off_is_twice_harmless(
    ha: HaLab,
) -> None:
    first, second = find_ha_fault("slow_backend"), find_ha_fault("api_slow")
    switch_on(ha, first)
    try:
        for fault in (first, second):
            with pytest.raises(LabError, match=r"slow_backend is on .*lab fault slow_backend off"):
                switch_on(ha, fault)
        assert not switch_off(ha, second)
        assert is_seen(ha, first)
    finally:
        assert switch_off(ha, first)
    assert not switch_off(ha, first)
