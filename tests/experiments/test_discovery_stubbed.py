"""Stubs for group-versions that fail or are empty: which, and on which cache."""

from dataclasses import replace
from typing import Any

import pytest

from evidence import MS, START, cache, evidence, request
from kubelag.experiments.contract import NotApplicableError, Situation, Treatment, Variant
from kubelag.experiments.discovery_stubbed import DiscoveryStubbed, troubled
from kubelag.experiments.workshop import Workshop
from kubelag.kube.versions import Version
from kubelag.model.evidence import ClientNote, Evidence, Request

BAD, FINE = "metrics.example.com/v1", "apps/v1"


def asked(group_version: str, status: int | None = 200) -> Request:
    path = f"apis/{group_version}" if "/" in group_version else f"api/{group_version}"
    one = request(f"/{path}?timeout=32s", 0, MS)
    return replace(one, status=status)


def complaint(subject: str, kind: Any = "discovery_failed") -> ClientNote:
    return ClientNote(kind=kind, at_ns=START, subject=subject)


def seen(version: str, state: Any = "cold", *, cold: bool = False, **changes: Any) -> Evidence:
    base = evidence(cold=cold, cache=cache(state=state), **changes)
    return replace(base, client=replace(base.client, version=version))


def arms(found: Evidence, **unchanged: Any) -> dict[str, Treatment]:
    variant = Variant(argv=("kubectl", "get", "nodes"), env={}, **unchanged)
    situation = Situation(evidence=found, unchanged=variant, kubeconfig=None, workshop=Workshop())
    return {one.label: one for one in DiscoveryStubbed().vary(situation)}


@pytest.mark.parametrize("status", [None, 503, 404])
def test_what_failed_is_troubled(status: int | None) -> None:
    found = seen("1.33.4", requests=(asked(FINE), asked(BAD, status), asked("v1")))
    assert troubled(found, Version(1, 33)) == [BAD]


def test_what_the_client_complained_of_is_troubled() -> None:
    notes = (
        complaint(f"{BAD}: the server is currently unable to handle the request"),
        complaint("Get https://h:1/api: refused"),
        complaint("the server has asked for the client to provide credentials"),
    )
    assert troubled(seen("1.33.4", notes=notes), Version(1, 33)) == [BAD]


def test_an_old_client_asks_again_for_what_is_empty() -> None:
    requests = (asked(FINE), asked(BAD), asked(BAD), asked("v1"), asked(BAD))
    assert troubled(seen("1.20.2", requests=requests), Version(1, 20)) == [BAD]
    assert troubled(seen("1.33.4", requests=requests), Version(1, 33)) == []


def test_an_old_client_with_a_full_cache_asks_for_nothing_else() -> None:
    found = seen("1.20.2", "warm", requests=(asked(BAD), request("/api/v1/nodes", 0, MS)))
    assert troubled(found, Version(1, 20)) == [BAD]


def test_an_old_client_gets_stubs_in_the_state_that_it_found() -> None:
    (treatment,) = arms(seen("1.20.2", requests=(asked(BAD, 503),))).values()
    assert (treatment.variant.stubs, treatment.variant.cache) == ((BAD,), "as_observed")
    assert BAD in treatment.variant.shown


@pytest.mark.parametrize("version", ["1.20.2", "1.33.4"])
def test_the_gaps_of_a_full_cache_are_filled(version: str) -> None:
    (treatment,) = arms(seen(version, "warm", requests=(asked(BAD, 503),))).values()
    assert treatment.variant.fills_gaps
    assert (treatment.variant.stubs, treatment.variant.cache) == ((), "as_observed")


def test_a_newer_client_is_compared_on_full_caches_where_its_own_was_empty() -> None:
    notes = (complaint("no resources found", "cache_skipped"),)
    found = arms(seen("1.33.4", notes=notes))
    assert list(found) == ["stubbed", "full"]
    assert found["stubbed"].against == "full"
    assert {one.variant.cache for one in found.values()} == {"warmed"}
    assert found["stubbed"].variant.fills_gaps
    assert not found["full"].variant.fills_gaps


@pytest.mark.parametrize(
    ("found", "unchanged", "why"),
    [
        (seen("1.20.2", requests=(asked(FINE),)), {}, "seen to fail"),
        (seen("1.20.2", requests=(asked(BAD, 503),)), {"cache": "own"}, "cannot be written"),
        (seen("", requests=(asked(BAD, 503),)), {}, "is not known"),
        (
            seen("1.20.2", notes=(complaint("no resources found", "cache_skipped"),)),
            {},
            "was not seen",
        ),
    ],
)
def test_otherwise_it_does_not_apply(found: Evidence, unchanged: Any, why: str) -> None:
    with pytest.raises(NotApplicableError, match=why):
        arms(found, **unchanged)


def test_no_name_from_a_log_becomes_a_path_that_climbs() -> None:
    found = seen("1.20.2", requests=(asked("../v1", 503), asked("a/..", 503)))
    assert troubled(found, Version(1, 20)) == []
