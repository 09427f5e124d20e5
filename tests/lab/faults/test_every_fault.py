"""Every fault makes its command slow, and leaves the machine as it was."""

import functools
import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kubelag.errors import LabError
from kubelag.lab.control_plane.handle import ControlPlane
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.faults.contract import LabParts, Scene
from kubelag.lab.faults.registry import FAULTS, find_fault, find_ha_fault, find_listed
from kubelag.lab.faults.stage import play
from kubelag.lab.mounts import mounts_below
from kubelag.lab.session import start_control_plane
from kubelag.lab.state import Ledger

SINGLE = [listed.id for listed in FAULTS if listed.topology == "single"]
SLOW = [name for name in SINGLE if name != "nothing"]


@pytest.fixture(scope="module")
def parts(
    tmp_path_factory: pytest.TempPathFactory, new_kubectl: Path, old_kubectl_or_none: Path | None
) -> Iterator[LabParts]:
    place = tmp_path_factory.mktemp("faults")
    numbers = itertools.count()
    with Ledger.open(place / "state") as ledger:

        def start(options: ControlPlaneOptions) -> ControlPlane:
            directory = place / f"control-plane-{next(numbers)}"
            return start_control_plane(directory, "embedded", options, ledger)

        yield LabParts(
            directory=place,
            ledger=ledger,
            kubectl=new_kubectl,
            find_old_kubectl=lambda: old_kubectl_or_none,
            start_control_plane=start,
        )


def wall_s(scene: Scene) -> float:
    """Of one run, cold if the scene is."""
    if not scene.cold:
        return play(scene)
    cache = Path(scene.environment["HOME"]) / "cold-cache"
    try:
        return play(scene, cache_directory=cache)
    finally:
        shutil.rmtree(cache)


def test_every_fault_has_its_own_file_and_says_what_it_shows() -> None:
    for name in SINGLE:
        fault = find_fault(name)
        assert fault.id == name
        assert bool(fault.expected) == (name != "nothing")


def test_the_incident_is_known_by_that_name() -> None:
    assert find_fault("incident").id == "discovery_cache_fsync"
    assert find_fault("cpu-throttled").id == "cpu_throttled"
    assert find_ha_fault("incident").id == "incident_ha"


def test_a_name_of_both_topologies_is_the_single_one_unless_the_other_is_asked_for() -> None:
    assert find_listed("incident").topology == "single"
    assert find_listed("nothing", "ha").id == "nothing_ha"
    assert find_listed("dead-backend").topology == "ha"
    with pytest.raises(LabError, match="no fault dead_backend in the topology single"):
        find_listed("dead_backend", "single")


def test_a_fault_that_is_misspelt_is_answered_with_what_was_meant() -> None:
    with pytest.raises(LabError, match=r"no fault dead-bakend; did you mean dead_backend or"):
        find_listed("dead-bakend")
    with pytest.raises(LabError, match=r"did you mean journal_wait\?"):
        find_fault("journal_wai")


def test_an_unknown_fault_is_answered_with_those_there_are() -> None:
    with pytest.raises(LabError, match=r"no fault gremlins in .*; choose from .*journal_wait"):
        find_fault("gremlins")


@pytest.fixture(scope="module")
def unhurt_s(parts: LabParts) -> Callable[[Path, bool], float]:
    """The best of three ordinary runs of a kubectl, warm where the scene is not cold."""

    @functools.cache
    def measure(kubectl: Path, is_cold: bool) -> float:
        with find_fault("nothing").inject(parts) as plain:
            command = (str(kubectl), *plain.command[1:])
            usual = replace(plain, command=command, cold=is_cold)
            return min(wall_s(usual) for _ in range(3))

    return measure


@pytest.mark.real
@pytest.mark.parametrize("name", SLOW)
def test_a_fault_makes_its_command_slow_and_is_gone_afterwards(
    parts: LabParts, unhurt_s: Callable[[Path, bool], float], name: str
) -> None:
    fault = find_fault(name)
    if fault.obstacle():
        pytest.skip(fault.obstacle())
    entries = parts.ledger.entries
    with fault.inject(parts) as scene:
        slow_s = wall_s(scene)
    old = parts.find_old_kubectl()
    fast_s = unhurt_s(old if old and scene.command[0] == str(old) else parts.kubectl, scene.cold)
    assert slow_s > 1.3 * fast_s
    assert slow_s > fast_s + 0.3
    assert parts.ledger.entries == entries
    assert mounts_below(parts.directory) == ()
    assert not (parts.directory / name).exists()


@pytest.mark.real
def test_a_credential_plugin_gets_its_token_from_a_file_and_not_from_an_argument(
    parts: LabParts,
) -> None:
    with find_fault("credential_plugin_slow").inject(parts) as scene:
        plugin = next(parts.directory.glob("credential_plugin_slow/lab-login"))
        kubeconfig = Path(scene.environment["KUBECONFIG"]).read_text()
    assert plugin.name in kubeconfig
    assert "token" not in kubeconfig


@pytest.mark.real
def test_the_users_own_variables_do_not_reach_the_scene(
    parts: LabParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECACHEDIR", "/somewhere/else")
    monkeypatch.setenv("HTTPS_PROXY", "http://192.0.2.1:1")
    with find_fault("nothing").inject(parts) as scene:
        assert "KUBECACHEDIR" not in scene.environment
        assert "HTTPS_PROXY" not in scene.environment
        assert wall_s(scene) > 0
