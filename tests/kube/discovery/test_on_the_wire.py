"""How many requests discovery costs, against servers of every look."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kubelag.errors import UnknownResourceError
from kubelag.kube.discovery.snapshot import Snapshot
from kubelag.lab.control_plane.handle import ControlPlane
from kubelag.lab.control_plane.options import Aggregated

if TYPE_CHECKING:
    from conftest import Clock, Counted, Run, StartServer

GROUP_VERSIONS = 38
AGGREGATED = ("v2", "v2beta1", "both")
PAIR = [("/api", 200), ("/apis", 200)]
NOT_MODIFIED = [("/api", 304), ("/apis", 304)]
HOUR_S = 3600.0


def warmed(run: "Run", control_plane: ControlPlane) -> "Counted":
    """A run after another one has filled the cache."""
    first = run(control_plane)
    first.discovery.refresh()
    first.discovery.settle()
    return run(control_plane)


def states(snapshot: Snapshot) -> dict[str, str]:
    """Of whatever is not well."""
    known = snapshot.group_versions.values()
    return {one.name: one.state for one in known if one.state != "ok"}


@pytest.mark.parametrize("aggregated", AGGREGATED)
def test_cold_costs_two_requests_where_the_server_aggregates(
    aggregated: Aggregated, start_server: "StartServer", run: "Run"
) -> None:
    counted = run(start_server(aggregated=aggregated))
    assert counted.discovery.resolve("deploy").api_version == "apps/v1"
    assert counted.asked == PAIR
    snapshot = counted.discovery.snapshot()
    assert snapshot.source == ("v2beta1" if aggregated == "v2beta1" else "v2")
    assert set(snapshot.etags) == {"/api", "/apis"}
    assert len(snapshot.group_versions) == GROUP_VERSIONS
    assert counted.asked == []


def test_cold_costs_one_more_for_each_group_version_where_it_does_not(
    start_server: "StartServer", run: "Run"
) -> None:
    counted = run(start_server())
    assert counted.discovery.resolve("deploy").api_version == "apps/v1"
    asked = counted.asked
    assert asked[:2] == PAIR
    assert len(asked) == len(set(asked)) == GROUP_VERSIONS + 2
    assert counted.discovery.snapshot().source == "legacy"


def test_all_formats_tell_the_same(start_server: "StartServer", run: "Run") -> None:
    found = [run(start_server(aggregated=one)).discovery.refresh() for one in ("none", *AGGREGATED)]
    names = [
        [
            (one.name, [(each["name"], each["kind"], each["verbs"]) for each in one.resources])
            for one in snapshot.group_versions.values()
        ]
        for snapshot in found
    ]
    assert names[1:] == names[:1] * 3
    assert [snapshot.groups for snapshot in found[1:]] == [found[0].groups] * 3


@pytest.mark.parametrize("aggregated", ["none", "v2"])
def test_of_a_cold_core_resource_nothing_is_waited_for_but_its_own_group(
    aggregated: Aggregated, start_server: "StartServer", run: "Run"
) -> None:
    counted = run(start_server(aggregated=aggregated))
    assert counted.discovery.resolve("nodes").api_version == "v1"
    core = [("/api/v1", 200)] if aggregated == "none" else []
    assert counted.asked == PAIR + core
    assert counted.discovery.has_work_left
    counted.discovery.settle()
    rest = GROUP_VERSIONS - 1 if aggregated == "none" else 0
    assert len(counted.asked) == rest
    assert not counted.discovery.has_work_left


def test_whoever_is_eager_leaves_nothing_for_afterwards(
    start_server: "StartServer", run: "Run"
) -> None:
    counted = run(start_server(), is_eager=True)
    counted.discovery.resolve("nodes")
    assert len(counted.asked) == GROUP_VERSIONS + 2


@pytest.mark.parametrize("aggregated", ["none", "v2"])
@pytest.mark.parametrize("name", ["nodes", "po", "deployments.v1.apps", "Deployment"])
def test_warm_costs_nothing(
    name: str, aggregated: Aggregated, start_server: "StartServer", run: "Run"
) -> None:
    counted = warmed(run, start_server(aggregated=aggregated))
    assert counted.discovery.resolve(name)
    counted.discovery.settle()
    assert counted.asked == []
    assert not counted.discovery.has_work_left


@pytest.mark.parametrize("aggregated", AGGREGATED)
def test_an_unknown_name_costs_one_conditional_pair_and_then_none_for_a_while(
    aggregated: Aggregated, start_server: "StartServer", run: "Run", clock: "Clock"
) -> None:
    control_plane = start_server(aggregated=aggregated)
    counted = warmed(run, control_plane)
    for expected in (NOT_MODIFIED, []):
        with pytest.raises(UnknownResourceError, match="has no resource 'nonsense'"):
            counted.discovery.resolve("nonsense")
        assert counted.asked == expected
    counted.discovery.settle()
    for later_s, expected in ((29.0, []), (2.0, NOT_MODIFIED)):
        clock.now_s += later_s
        again = run(control_plane)
        with pytest.raises(UnknownResourceError):
            again.discovery.resolve("nonsense")
        assert again.asked == expected


def test_two_unknown_names_in_one_run_cost_one_pair(
    start_server: "StartServer", run: "Run"
) -> None:
    counted = warmed(run, start_server(aggregated="v2"))
    for name in ("nonsense", "rubbish"):
        with pytest.raises(UnknownResourceError):
            counted.discovery.resolve(name)
    assert counted.asked == NOT_MODIFIED


def test_a_server_that_still_has_the_same_says_so_in_two_answers(
    start_server: "StartServer", run: "Run", clock: "Clock"
) -> None:
    counted = warmed(run, start_server(aggregated="v2"))
    before = counted.discovery.snapshot()
    clock.now_s += HOUR_S
    after = counted.discovery.refresh()
    assert counted.asked == NOT_MODIFIED
    assert after == before.but(fetched_s=clock.now_s)


def test_what_is_old_answers_at_once_and_is_renewed_afterwards(
    start_server: "StartServer", run: "Run", clock: "Clock"
) -> None:
    control_plane = start_server(aggregated="v2")
    warmed(run, control_plane)
    clock.now_s += 7 * HOUR_S
    counted = run(control_plane)
    assert counted.discovery.resolve("deploy")
    assert counted.asked == []
    assert counted.discovery.has_work_left
    counted.discovery.settle()
    assert counted.asked == NOT_MODIFIED
    assert not counted.discovery.has_work_left
    again = run(control_plane)
    again.discovery.resolve("deploy")
    assert not again.discovery.has_work_left


def test_what_is_very_old_is_asked_for_first(
    start_server: "StartServer", run: "Run", clock: "Clock"
) -> None:
    control_plane = start_server(aggregated="v2")
    warmed(run, control_plane)
    clock.now_s += 8 * 24 * HOUR_S
    counted = run(control_plane)
    counted.discovery.resolve("deploy")
    assert counted.asked == NOT_MODIFIED


@pytest.mark.parametrize("aggregated", ["none", "v2"])
def test_one_that_is_down_costs_nothing_but_itself(
    aggregated: Aggregated, start_server: "StartServer", run: "Run", clock: "Clock"
) -> None:
    down = "metrics.example.com/v1"
    control_plane = start_server(aggregated=aggregated, unavailable_group_versions=(down,))
    counted = warmed(run, control_plane)
    assert counted.discovery.resolve("deploy")
    assert counted.asked == []
    expected = "failed" if aggregated == "none" else "stale"
    assert states(counted.discovery.snapshot()) == {down: expected}
    with pytest.raises(UnknownResourceError, match=r"it may be in metrics\.example\.com/v1"):
        counted.discovery.resolve("nodemetrics")
    counted.events.clear()
    clock.now_s += 30.0
    early = run(control_plane)
    early.discovery.snapshot()
    early.discovery.settle()
    assert early.asked == []
    clock.now_s += 61.0
    late = run(control_plane)
    late.discovery.snapshot()
    late.discovery.settle()
    assert late.asked == [(f"/apis/{down}", 503)]


def test_one_that_went_down_keeps_its_last_good_list(
    start_server: "StartServer", run: "Run"
) -> None:
    last = run(start_server()).discovery.refresh()
    broken = start_server(status_by_prefix={"/apis/apps/v1": 503})
    fetcher = run(broken).discovery._ask()
    found = fetcher.fetch(last)
    assert states(found) == {"apps/v1": "failed"}
    assert found.group_versions["apps/v1"].why == "HTTP 503"
    assert found.group_versions["apps/v1"].resources == last.group_versions["apps/v1"].resources


@pytest.mark.parametrize("aggregated", ["none", "v2"])
def test_an_empty_one_is_remembered_as_long_as_any_other(
    aggregated: Aggregated, start_server: "StartServer", run: "Run", clock: "Clock"
) -> None:
    empty = "empty.example.com/v1"
    control_plane = start_server(aggregated=aggregated, empty_group_versions=(empty,))
    assert states(warmed(run, control_plane).discovery.snapshot()) == {empty: "empty"}
    clock.now_s += 5 * HOUR_S
    counted = run(control_plane)
    counted.discovery.resolve("deploy")
    counted.discovery.snapshot()
    counted.discovery.settle()
    assert counted.asked == []


def test_a_damaged_cache_is_no_cache(start_server: "StartServer", run: "Run", root: Path) -> None:
    control_plane = start_server(aggregated="v2")
    warmed(run, control_plane)
    for path in root.rglob("*"):
        if path.is_file():
            os.truncate(path, 0)
    counted = run(control_plane)
    assert counted.discovery.resolve("deploy").api_version == "apps/v1"
    assert [path for path, _ in counted.asked][:2] == ["/api", "/apis"]


def test_without_a_cache_nothing_is_left_for_afterwards(
    start_server: "StartServer", run: "Run"
) -> None:
    client = run(start_server()).client
    client.discovery.resolve("nodes")
    assert not client.discovery.has_work_left
