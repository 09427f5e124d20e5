"""Several connections, so that every backend is met, and one that stalls holds up nobody."""

import threading
import time
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.kube.transport.endpoint import Endpoint
from kubelag.model.path import AddressProbe, Backend, Certificate
from kubelag.observe.path import rounds
from kubelag.observe.path.probing import Limits, Probe
from kubelag.observe.path.rounds import Round, go_round, go_rounds, name_backends, rounds_for

PROBE = Probe(
    address="192.0.2.1:1", hop="front", server=Endpoint(scheme="http", host="192.0.2.1", port=1)
)
DISTRUST = "its certificate is not trusted: unknown"


def seen(
    error: str = "", digest: str = "", address: str = "192.0.2.1:1", ends: str = ""
) -> AddressProbe:
    certificate = Certificate(sha256=digest, ends_at=ends) if digest else None
    return AddressProbe(
        address=address, hop="front", at_ns=0, error=error, certificate=certificate, connect_ns=1
    )


def test_all_are_made_where_all_is_well() -> None:
    made = go_round(Round(probe=PROBE, times=7), lambda _: seen())
    assert len(made) == 7


def test_two_failures_and_no_success_are_enough() -> None:
    assert len(go_round(Round(probe=PROBE, times=7), lambda _: seen("connection refused"))) == 2


def test_one_dead_backend_does_not_end_the_round() -> None:
    answers = iter(("", "dead", "", "dead", "dead"))
    made = go_round(Round(probe=PROBE, times=5), lambda _: seen(next(answers)))
    assert [one.error for one in made] == ["", "dead", "", "dead", "dead"]


def test_one_that_stalls_is_overtaken_and_kept_in_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rounds, "_OVERTAKE_S", 0.01)
    others_done, numbers = threading.Event(), count()

    def ask(_: Probe) -> AddressProbe:
        number = next(numbers)
        if number == 1:
            assert others_done.wait(20)
        elif number == 3:
            others_done.set()
        return seen(f"number {number}" if number == 1 else "")

    made = go_round(Round(probe=PROBE, times=4), ask)
    assert [one.error for one in made] == ["", "number 1", "", ""]


def test_nothing_begins_after_the_deadline() -> None:
    late = replace(PROBE, limits=Limits(deadline_s=time.monotonic()))
    assert go_round(Round(probe=late, times=5), lambda _: seen()) == ()


def test_what_is_not_trusted_is_looked_at_without_trust() -> None:
    def ask(probe: Probe) -> AddressProbe:
        return seen(DISTRUST) if probe.is_verified else seen(digest="a")

    made = go_round(Round(probe=PROBE, times=2), ask)
    assert [(one.error, bool(one.certificate)) for one in made] == [
        (DISTRUST, False),
        (DISTRUST, True),
        (DISTRUST, True),
    ]


def test_only_the_backend_with_the_bad_certificate_is_blamed() -> None:
    turn = count()

    def ask(probe: Probe) -> AddressProbe:
        if next(turn) % 2:
            ended = seen(digest="bad", ends="2020-01-01T00:00:00Z")
            return seen(DISTRUST) if probe.is_verified else ended
        return seen(digest="good")

    made = go_round(Round(probe=PROBE, times=5), ask)
    blamed = "its certificate is not trusted: it ended on 2020-01-01T00:00:00Z"
    assert [one.error for one in made] == ["", DISTRUST, "", blamed, "", blamed]


def test_rounds_run_side_by_side_in_their_order() -> None:
    meet = threading.Barrier(2, timeout=20)

    def ask(probe: Probe) -> AddressProbe:
        meet.wait()
        return seen(address=probe.address)

    other = replace(PROBE, address="192.0.2.2:1")
    made = go_rounds([Round(probe=PROBE, times=1), Round(probe=other, times=1)], ask)
    assert [one.address for one in made] == ["192.0.2.1:1", "192.0.2.2:1"]
    assert go_rounds([]) == ()


@given(st.integers(1, 10))
def test_every_backend_is_met_twice(backends: int) -> None:
    dealt = [turn % backends for turn in range(rounds_for(backends))]
    assert all(dealt.count(one) >= 2 for one in range(backends))


def test_an_unknown_number_and_a_large_one_are_bounded() -> None:
    assert (rounds_for(0), rounds_for(3), rounds_for(1000)) == (7, 7, 21)


def test_certificates_name_backends_unless_they_are_shared() -> None:
    backends = [
        Backend(name=name, address=f"192.0.2.{at}:6443", source="--backend")
        for at, name in enumerate(("a", "b", "c"))
    ]
    behind = [
        seen(digest=digest, address=one.address)
        for digest, one in zip(("x", "y", "y"), backends, strict=True)
    ]
    front = [seen(digest="x"), seen(digest="y"), seen(digest="z"), seen("dead")]
    assert [one.backend for one in name_backends(front, behind, backends)] == ["a", "", "", ""]
