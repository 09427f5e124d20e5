"""What an arm takes away besides, as the observed run had it."""

from dataclasses import replace

from evidence import MS, S, evidence, lookup, path
from kubelag.experiments.besides import besides
from kubelag.model.path import NameProbe
from kubelag.timeline.factors import CONNECT, DNS


def test_it_is_what_was_waited_for_at_all() -> None:
    seen = evidence(S, lookups=(lookup(10 * MS, 30 * MS),))
    assert besides(seen, (DNS, CONNECT)) == ((DNS, 30 * MS),)
    assert besides(seen, (CONNECT,)) == ()
    assert besides(seen, ()) == ()


def test_where_nobody_saw_the_commands_own_questions_ours_stand_in() -> None:
    asked = tuple(
        NameProbe(name="api", kind=kind, server="10.0.0.2:53", took_ns=took_ns, code="NOERROR")
        for kind, took_ns in (("A", 20 * MS), ("AAAA", 700 * MS))
    )
    blind = replace(evidence(S, path=path(names=asked)), looks=())
    assert besides(blind, (DNS,)) == ((DNS, 700 * MS),)
    assert besides(evidence(S, path=path(names=asked)), (DNS,)) == (), "it was looked, and seen not"
