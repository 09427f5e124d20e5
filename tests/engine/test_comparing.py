"""The same command on several machines side by side."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import MS, START, S, cache, evidence, incident, lookup, path, request
from kubelag.bundle import Bundle
from kubelag.causes.catalogue import CAUSES
from kubelag.engine.comparing import side_by_side
from kubelag.engine.traits import NOT_KNOWN
from kubelag.model.evidence import Client, Evidence
from kubelag.model.experiment import Trial
from kubelag.model.path import Resolver
from kubelag.model.side_by_side import SideBySide


def on(host: str, seen: Evidence) -> Evidence:
    return replace(seen, machine=replace(seen.machine, hostname=host))


def compared(*runs: Evidence, places: tuple[str, ...] = ()) -> SideBySide:
    named = places or tuple(f"/tmp/{n}" for n in range(len(runs)))
    bundles = [
        (place, Bundle(evidence=seen, trial=Trial(), kubelag_version="0"))
        for place, seen in zip(named, runs, strict=True)
    ]
    return side_by_side(bundles, CAUSES)


def quick(host: str, wall_ns: int = 900 * MS) -> Evidence:
    """The incident's command on a healthy master."""
    newer = Client(
        name="kubectl",
        path="/usr/bin/kubectl",
        real_path="/usr/bin/kubectl",
        kind="kubectl",
        version="1.27.3",
    )
    asked = tuple(request(f"/apis/g{n}/v1", 0, wall_ns - 50 * MS) for n in range(70))
    return on(host, evidence(wall_ns, client=newer, requests=asked, cache=cache(device="nvme0n1")))


def test_the_quickest_machine_is_the_reference_and_the_costliest_difference_comes_first() -> None:
    found = compared(on("bad", incident()), quick("good"))
    assert [machine.name for machine in found.machines] == ["good", "bad"]
    assert found.factors[0].factor == "cache_fsync"
    assert found.factors[0].seconds == pytest.approx((0.0, 9.6), abs=0.3)
    assert found.headline.startswith("bad is the slowest: 10.0 s against 900 ms on good; 9.")
    assert found.headline.endswith("went into syncing cache entries to disk")
    assert found.outlier == ""


def test_what_differs_is_listed_in_the_order_of_what_it_may_cost() -> None:
    found = compared(on("bad", incident()), quick("good"))
    traits = {one.trait: one for one in found.traits}
    assert traits["client"].values == ("kubectl 1.27.3", "kubectl 1.20.2")
    assert traits["cache lies on"].values == ("ext4 on nvme0n1", "ext4 on loop0")
    costs = [one.cost_s for one in found.traits]
    assert costs == sorted(costs, reverse=True)


def test_what_a_quick_machine_has_too_costs_nothing() -> None:
    """The old client is quick on a quick disk: it is the disk."""
    old = on("a", replace(incident(), syscalls=(), run=quick("a").run))
    old = replace(old, cache=cache(device="nvme0n1"))
    found = compared(old, quick("b"), on("c", incident()))
    traits = {one.trait: one for one in found.traits}
    assert traits["client"].cost_s == 0
    assert traits["cache lies on"].cost_s == pytest.approx(9.6, abs=0.3)
    assert found.traits[0].trait == "cache lies on"


def test_of_three_the_one_that_is_not_as_the_others_is_the_outlier() -> None:
    found = compared(quick("a"), on("b", incident()), quick("c", 950 * MS))
    assert found.outlier == "b"
    assert found.headline.startswith("b is the outlier: 10.0 s against 900 ms on a")


def test_where_all_differ_nobody_stands_out() -> None:
    found = compared(quick("a", 1 * S), quick("b", 3 * S), quick("c", 5 * S))
    assert found.outlier == ""
    assert found.headline.startswith("c is the slowest")


def test_equal_machines_are_alike() -> None:
    found = compared(quick("a"), quick("b", 910 * MS))
    assert found.headline == "All are alike: 900 ms to 910 ms"
    assert found.factors == ()
    assert found.traits == ()


def test_a_slow_name_server_on_one_machine_is_what_differs() -> None:
    slow = evidence(
        2 * S,
        lookups=(lookup(0, 1_900 * MS),),
        requests=(request("/api/v1/nodes", 0, 1_950 * MS),),
        path=path(resolver=Resolver(servers=("10.9.9.9:53",))),
    )
    good = evidence(100 * MS, requests=(request("/api/v1/nodes", 0, 50 * MS),))
    found = compared(on("a", good), on("b", slow))
    assert found.factors[0].factor == "dns"
    trait = next(one for one in found.traits if one.trait == "name servers")
    assert trait.values == ("10.0.0.2:53, 10.0.0.3:53", "10.9.9.9:53")
    assert trait.cost_s == pytest.approx(1.9, abs=0.01)


def test_what_was_not_seen_on_one_machine_differs_in_nothing() -> None:
    found = compared(on("a", evidence(S, path=None)), on("b", evidence(S)))
    assert "name servers" not in {one.trait for one in found.traits}
    three = compared(
        on("a", evidence(S, path=None)),
        on("b", evidence(S)),
        on("c", evidence(S, path=path(resolver=Resolver(servers=("10.9.9.9:53",))))),
    )
    trait = next(one for one in three.traits if one.trait == "name servers")
    assert NOT_KNOWN in trait.values


def test_what_is_not_alike_is_said_first() -> None:
    other = replace(
        quick("b"),
        command=("kubectl", "get", "pods"),
        cold=False,
        run=replace(quick("b").run, exit_code=1),
    )
    warnings = " / ".join(compared(quick("a"), other).warnings)
    assert "the commands are not the same: kubectl get nodes; kubectl get pods" in warnings
    assert "cold" in warnings
    assert "on b it failed with exit code 1" in warnings


def test_places_in_a_command_are_no_difference() -> None:
    moved = replace(quick("b"), command=("/opt/kubectl", "get", "nodes", "--cache-dir=/x"))
    assert compared(quick("a"), moved).warnings == ()


def test_two_runs_of_one_machine_go_by_their_bundles() -> None:
    found = compared(quick("a"), quick("a", 950 * MS), places=("runs/before", "runs/after"))
    assert [machine.name for machine in found.machines] == ["before", "after"]
    same = compared(quick("a"), quick("a", 950 * MS), places=("x/run", "y/run"))
    assert [machine.name for machine in same.machines] == ["x/run", "y/run"]


@given(st.lists(st.integers(1, 10_000), min_size=2, max_size=6), st.randoms())
def test_the_order_in_which_bundles_are_given_changes_nothing(
    walls_ms: list[int], random: object
) -> None:
    runs = [quick(f"h{n}", wall * MS) for n, wall in enumerate(walls_ms)]
    shuffled = list(runs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' Random
    one, other = compared(*runs), compared(*shuffled)
    assert (one.headline, one.outlier) == (other.headline, other.outlier) or len(
        set(walls_ms)
    ) < len(walls_ms)
    assert {m.wall_s for m in one.machines} == {wall / 1e3 for wall in walls_ms}
    assert START > 0


def test_another_cluster_is_told() -> None:
    good = quick("good")
    elsewhere = tuple(
        replace(one, url=one.url.replace("127.0.0.1:6443", "b.example:8443"))
        for one in good.requests
    )
    found = compared(good, replace(on("other", good), requests=elsewhere))
    assert found.warnings == (
        "the API servers are not the same: good asked 127.0.0.1:6443, other asked b.example:8443",
    )
    assert found.headline == "All are alike: 900 ms"


def test_where_no_request_was_seen_the_way_tells_the_server() -> None:
    good = replace(quick("good"), requests=())
    elsewhere = replace(on("other", good), path=path(host="b.example", port=8443))
    assert "other asked b.example:8443" in compared(good, elsewhere).warnings[0]
