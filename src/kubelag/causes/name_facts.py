"""What was wrong with looking up names: one division that all causes about names share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kubelag.causes.contract import Case, could_not_look
from kubelag.model.path import NameProbe
from kubelag.model.stretches import covered_ns
from kubelag.timeline.factors import DNS
from kubelag.timeline.lookups import Waited, waited

Trouble = Literal["none", "dead", "unanswered_type", "missing_names", "local", "slow"]
"""`dead`: a server answers nothing. `unanswered_type`: it answers A and not AAAA. `missing_names`:
names that do not exist are asked for first. `local`: answers for a `.local` name come late, which
ordinary name servers do not know. `slow`: answers come late."""

# A question answered within this is not worth a word: the pause that people perceive (contract).
SLOW_ANSWER_NS = 100_000_000
_SILENT = frozenset({"timeout", "refused"})
_HALF = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class NameStory:
    """What the look-ups of one run were like."""

    trouble: Trouble
    server: str = ""
    """The name server that it is about, `IP:port`."""
    spent_ns: int = 0
    """How long the command waited for names in all."""
    asked: tuple[Waited, ...] = ()
    """The questions that took the time."""


def missing(case: Case) -> tuple[str, ...]:
    """Why nothing can be said of names; empty where somebody saw the questions."""
    seers = ("capture", "syscalls", "sockets")
    if case.evidence.lookups or any(case.evidence.has_looked(name) for name in seers):
        return ()
    return could_not_look(case, seers)


def story(case: Case) -> NameStory:
    """The one trouble that took most of the time spent on names."""
    spent_ns = case.critical_ns(DNS)
    asked = waited(case.evidence)
    if not case.is_waited_for(DNS) or not asked:
        return NameStory(trouble="none", spent_ns=spent_ns, asked=asked)
    longest = max(asked, key=lambda one: one.length_ns)
    probes = case.evidence.path.names if case.evidence.path else ()
    unanswered = [one for one in asked if one.lookup.answered_ns is None]
    if dead := _dead_server(asked, unanswered, probes):
        return _told("dead", dead, spent_ns, asked)
    if typed := _server_without_answers_for_aaaa(asked, unanswered, probes):
        return _told("unanswered_type", typed, spent_ns, asked)
    if case.evidence.path and case.evidence.path.host.rstrip(".").endswith(".local"):
        return _told("local", longest.lookup.server, spent_ns, asked)
    gone = [one for one in asked if one.lookup.code == "NXDOMAIN"]
    if covered_ns(gone) > _HALF * covered_ns(asked):
        return NameStory(
            trouble="missing_names",
            server=max(gone, key=lambda one: one.length_ns).lookup.server,
            spent_ns=spent_ns,
            asked=tuple(gone),
        )
    return _told("slow", longest.lookup.server, spent_ns, asked)


def _told(trouble: Trouble, server: str, spent_ns: int, asked: Sequence[Waited]) -> NameStory:
    mine = tuple(one for one in asked if one.lookup.server == server)
    return NameStory(trouble=trouble, server=server, spent_ns=spent_ns, asked=mine)


def _dead_server(
    asked: Sequence[Waited], unanswered: Sequence[Waited], probes: Sequence[NameProbe]
) -> str:
    """A server that answered nothing, in the run and afterwards; empty where there is none."""
    answering = {one.lookup.server for one in asked if one.lookup.answered_ns is not None}
    later = {probe.server for probe in probes if probe.code not in _SILENT}
    for one in unanswered:
        if one.lookup.server not in answering | later:
            return one.lookup.server
    return ""


def _server_without_answers_for_aaaa(
    asked: Sequence[Waited], unanswered: Sequence[Waited], probes: Sequence[NameProbe]
) -> str:
    """A server that answers A and not AAAA; empty where there is none."""
    given = {one.lookup.server for one in asked if one.lookup.kind == "A" and one.lookup.code}
    kept = {one.lookup.server for one in unanswered if one.lookup.kind == "AAAA"}
    given |= {probe.server for probe in probes if probe.kind == "A" and probe.code not in _SILENT}
    kept |= {probe.server for probe in probes if probe.kind == "AAAA" and probe.code in _SILENT}
    concerned = {one.lookup.server for one in unanswered}
    return next(iter(sorted(given & kept & concerned)), "")
