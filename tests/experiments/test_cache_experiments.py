"""The experiments that change nothing but where and how full the cache is."""

from dataclasses import replace
from typing import Any

import pytest

from evidence import cache, evidence
from kubelag.experiments import cache_on_memory, fsync_suppressed
from kubelag.experiments.cache_on_memory import CacheOnMemory
from kubelag.experiments.cache_warm import CacheWarm
from kubelag.experiments.catalogue import EXPERIMENTS
from kubelag.experiments.contract import Kind, NotApplicableError, Situation, Variant
from kubelag.experiments.fsync_suppressed import FsyncSuppressed
from kubelag.experiments.workshop import Workshop
from kubelag.launch import seccomp
from kubelag.launch.child import Child

UNCHANGED = Variant(
    argv=("kubectl", "get", "nodes", "--token=planted"),
    env={"A": "b"},
    child=Child(cgroup_procs=("/group",)),
)


def situation(**changes: Any) -> Situation:
    observed = evidence(cache=cache(**changes))
    return Situation(evidence=observed, unchanged=UNCHANGED, kubeconfig=None, workshop=Workshop())


def only(experiment: Kind) -> Variant:
    """The variant of an experiment with one arm."""
    (treatment,) = experiment.vary(situation())
    assert treatment.label == ""
    return treatment.variant


@pytest.fixture(autouse=True)
def a_whole_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a tmpfs, and filters can be set."""
    monkeypatch.setattr(cache_on_memory, "memory_place", lambda: "/dev/shm")
    monkeypatch.setattr(seccomp, "probe", lambda: None)


def test_in_memory_only_the_place_of_the_cache_changes() -> None:
    varied = only(CacheOnMemory())
    assert replace(varied, cache="as_observed", shown="") == UNCHANGED
    assert varied.cache == "on_memory"
    assert varied.shown == "kubectl --cache-dir=$(mktemp -d -p /dev/shm) get nodes"


def test_a_cache_that_is_in_memory_already_cannot_be_moved_there() -> None:
    with pytest.raises(NotApplicableError, match="in memory already"):
        CacheOnMemory().vary(situation(file_system="tmpfs"))


def test_without_a_tmpfs_there_is_no_memory_to_move_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_on_memory, "memory_place", lambda: None)
    with pytest.raises(NotApplicableError, match="there is no tmpfs"):
        CacheOnMemory().vary(situation())


def test_warm_only_the_state_of_the_cache_changes() -> None:
    varied = only(CacheWarm())
    assert replace(varied, cache="as_observed", shown="") == UNCHANGED
    assert varied.cache == "warmed"
    assert varied.shown.count("kubectl --cache-dir=$d get nodes") == 2


def test_a_cache_that_was_warm_cannot_be_warmed() -> None:
    with pytest.raises(NotApplicableError, match="warm already"):
        CacheWarm().vary(situation(state="warm"))


def test_without_syncs_only_the_filter_changes() -> None:
    varied = only(FsyncSuppressed())
    assert varied.child == Child(filter="no_sync", cgroup_procs=("/group",))
    assert replace(varied, child=UNCHANGED.child, shown="") == UNCHANGED
    assert varied.shown == "kubelag run --no-sync -- kubectl get nodes"


def test_where_no_filter_can_be_set_syncs_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "probe", lambda: "the container forbids it")
    with pytest.raises(NotApplicableError, match="the container forbids it"):
        FsyncSuppressed().vary(situation())
    assert fsync_suppressed.seccomp is seccomp


def test_what_a_user_is_shown_never_has_the_secret_arguments() -> None:
    for experiment in (CacheOnMemory(), CacheWarm(), FsyncSuppressed()):
        assert "planted" not in only(experiment).shown


def test_every_experiment_has_an_id_and_a_title_of_its_own() -> None:
    assert len({experiment.id for experiment in EXPERIMENTS}) == len(EXPERIMENTS)
    assert len({experiment.title for experiment in EXPERIMENTS}) == len(EXPERIMENTS)
