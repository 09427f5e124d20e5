"""Causes about names, with evidence for each thing that they can say."""

from dataclasses import replace

import pytest

from asking import asked
from evidence import MS, S, connection, lookup, name_probe, path, without
from judging import judged, suspects
from kubelag.causes.contract import Cause
from kubelag.causes.name_local_domain import NameLocalDomain
from kubelag.causes.name_search_list import NameSearchList
from kubelag.causes.name_server_dead import NameServerDead
from kubelag.causes.name_server_slow import NameServerSlow
from kubelag.causes.name_type_unanswered import NameTypeUnanswered
from kubelag.model.evidence import Evidence

DEAD_SERVER = asked(
    5_020 * MS,
    lookups=(
        lookup(0, None),
        lookup(MS, None, kind="AAAA"),
        lookup(5 * S, 2 * MS, server="10.0.0.3:53"),
    ),
    connections=(connection(5_005 * MS, 40 * MS),),
    path=path(
        names=(
            name_probe("A", code="timeout", took_ns=5 * S),
            name_probe("A", server="10.0.0.3:53"),
        )
    ),
)
SLOW_SERVER = asked(
    1_220 * MS,
    lookups=(lookup(0, 1_200 * MS), lookup(0, 1_200 * MS, kind="AAAA")),
    connections=(connection(1_201 * MS, 40 * MS),),
)
NO_AAAA = asked(
    10_020 * MS,
    lookups=(
        lookup(0, MS),
        lookup(0, None, kind="AAAA"),
        lookup(5 * S, MS),
        lookup(5 * S, None, kind="AAAA"),
    ),
    connections=(connection(10 * S, 40 * MS),),
)
SEARCHED = asked(
    1_230 * MS,
    lookups=(
        *(
            lookup(n * 300 * MS, 300 * MS, name=f"api.example.com.d{n}.test", code="NXDOMAIN")
            for n in range(4)
        ),
        lookup(1_200 * MS, MS),
    ),
    connections=(connection(1_205 * MS, 40 * MS),),
)
LOCAL = replace(SLOW_SERVER, path=path(host="master.local"))


@pytest.mark.parametrize(
    ("seen", "cause", "component", "waited_ns"),
    [
        (DEAD_SERVER, NameServerDead(), "10.0.0.2:53", 5 * S),
        (SLOW_SERVER, NameServerSlow(), "10.0.0.2:53", 1_200 * MS),
        (NO_AAAA, NameTypeUnanswered(), "AAAA", 10 * S),
        (SEARCHED, NameSearchList(), "4 names that do not exist", 1_200 * MS),
        (LOCAL, NameLocalDomain(), ".local", 1_200 * MS),
    ],
    ids=lambda value: getattr(value, "id", None),
)
def test_of_all_causes_only_the_right_one_is_suspected_for_slow_names(
    seen: Evidence, cause: Cause, component: str, waited_ns: int
) -> None:
    found = suspects(seen)
    assert list(found) == [cause.id]
    assert component in found[cause.id].sentence
    assert found[cause.id].low_ns == pytest.approx(waited_ns, rel=0.05)
    assert found[cause.id].experiments == ("address_literal",)


@pytest.mark.parametrize(
    "cause",
    [NameServerDead(), NameServerSlow(), NameTypeUnanswered(), NameSearchList()],
    ids=lambda cause: cause.id,
)
def test_quick_names_are_ruled_out_with_their_figure(cause: Cause) -> None:
    seen = asked(20 * MS, lookups=(lookup(0, 2 * MS), lookup(0, 3 * MS, kind="AAAA")))
    judgement = judged(cause, seen)
    assert judgement.standing == "ruled_out"
    assert judgement.sentence == "2 questions to name servers, the slowest took 3.00 ms"


def test_an_address_asks_no_name_server() -> None:
    judgement = judged(NameServerSlow(), asked(20 * MS, path=path(is_literal=True)))
    assert judgement.sentence == "the server is given as an address, so no name server was asked"


def test_questions_that_were_not_seen_may_have_been_asked() -> None:
    judgement = judged(NameServerSlow(), asked(20 * MS, path=path()))
    assert judgement.sentence == "no question to a name server was seen"


def test_names_that_nobody_watched_are_unknown() -> None:
    blind = without("capture", "syscalls", "sockets", why="no permission")
    judgement = judged(NameServerSlow(), asked(2 * S, looks=blind))
    assert judgement.standing == "unknown"
    assert judgement.missing
