"""Questions to name servers as spans: until the answer, or what was done instead of waiting."""

from dataclasses import replace

from evidence import MS, START, S, connection, evidence, lookup, request
from kubelag.model.path import PathMap, Resolver
from kubelag.timeline import factors
from kubelag.timeline.lookups import waited
from kubelag.timeline.spans import answer_times_ns, spans_of


def test_a_name_is_looked_up_from_the_question_to_the_answer() -> None:
    found = evidence(S, lookups=(lookup(10 * MS, 30 * MS),))
    assert [(one.start_ns - START, one.length_ns) for one in waited(found)] == [(10 * MS, 30 * MS)]


def test_twins_are_asked_side_by_side_and_do_not_end_one_another() -> None:
    twins = (lookup(0, None, kind="AAAA"), lookup(MS, 5 * MS))
    ends = [one.end_ns - START for one in waited(evidence(20 * S, lookups=twins))]
    assert ends == [5 * S, 6 * MS]


def test_an_unanswered_question_ends_when_it_is_asked_elsewhere() -> None:
    asked = (lookup(0, None), lookup(5 * S, 2 * MS, server="10.0.0.3:53"))
    dead, alive = waited(evidence(20 * S, lookups=asked))
    assert 4.8 * S < dead.length_ns <= 5 * S
    assert alive.length_ns == 2 * MS


def test_an_unanswered_question_ends_when_the_server_is_dialled() -> None:
    found = evidence(
        20 * S,
        lookups=(lookup(0, None, kind="AAAA"),),
        connections=(connection(2 * S, S),),
        requests=(request("/api", 0, 3 * S),),
    )
    assert waited(found)[0].length_ns == 2 * S


def test_the_patience_is_that_of_resolv_conf() -> None:
    path = PathMap(
        server="https://a:6443",
        host="a",
        port=6443,
        tls_name="a",
        is_literal=False,
        resolver=Resolver(servers=("10.0.0.2:53",), timeout_s=1.0),
    )
    found = evidence(20 * S, lookups=(lookup(0, None, asked_times=2),), path=path)
    assert waited(found)[0].length_ns == 2 * S


def test_nobody_waits_for_an_answer_longer_than_the_run() -> None:
    assert waited(evidence(S, lookups=(lookup(0, None),)))[0].length_ns == S


def test_the_time_for_a_name_is_not_the_servers() -> None:
    found = evidence(
        2 * S, lookups=(lookup(0, S),), requests=(request("/api/v1/nodes", 0, 1_100 * MS),)
    )
    assert [took_ns for _, took_ns in answer_times_ns(found)] == [100 * MS]
    assert {span.factor for span in spans_of(found)} == {factors.DNS, factors.TARGET}


def test_an_anonymous_exchange_counts_as_well() -> None:
    seen = replace(lookup(0, S), name="", kind="", seen_by="sockets")
    assert spans_of(evidence(2 * S, lookups=(seen,)))[0].what == "at 10.0.0.2:53"
