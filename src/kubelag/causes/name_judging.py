"""How every cause about names judges: what differs is the trouble and the words for it."""

from collections.abc import Callable
from dataclasses import dataclass

from kubelag.causes import name_facts
from kubelag.causes.contract import Case, unknown
from kubelag.causes.name_facts import NameStory, Trouble
from kubelag.model.remedy import Advice
from kubelag.model.units import counted, seconds
from kubelag.model.verdict import Fact, Judgement, Source
from kubelag.timeline.factors import DNS

GO_RESOLVER = Source(
    title="Go's own resolver: timeout 5 s, 2 attempts, 3 name servers (dnsconfig_unix.go)",
    url="https://github.com/golang/go/blob/go1.22.0/src/net/dnsconfig_unix.go",
)
RESOLV_CONF = Source(
    title="resolv.conf(5): nameserver, search, ndots, timeout",
    url="https://man7.org/linux/man-pages/man5/resolv.conf.5.html",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NameCause:
    """What is a cause's own."""

    id: str
    trouble: Trouble
    sentence: Callable[[NameStory], str]
    advice: Advice
    sources: tuple[Source, ...] = (GO_RESOLVER, RESOLV_CONF)


def judge_names(case: Case, cause: NameCause) -> Judgement:
    """Suspect it where this was the trouble; else rule it out with the figure."""
    if missing := name_facts.missing(case):
        return unknown(cause.id, "how names were looked up was not seen", missing)
    story = name_facts.story(case)
    if story.trouble != cause.trouble:
        return Judgement(
            cause=cause.id,
            standing="ruled_out",
            sentence=_innocent(case, story),
            factors=(DNS,),
        )
    return Judgement(
        cause=cause.id,
        standing="suspected",
        sentence=cause.sentence(story),
        factors=(DNS,),
        low_ns=case.exclusive_ns(DNS),
        high_ns=case.union_ns(DNS),
        arithmetic=_arithmetic(story),
        facts=tuple(_facts(case, story)),
        experiments=("address_literal",),
        advice=(cause.advice,),
        sources=cause.sources,
    )


def _innocent(case: Case, story: NameStory) -> str:
    path = case.evidence.path
    if not story.asked:
        literal = path is not None and path.is_literal
        hosts = path is not None and path.resolver is not None and path.resolver.hosts_file
        why = "the server is given as an address, so " if literal else ""
        why = "the name stands in the hosts file, so " if hosts else why
        # Without a capture, a question that was answered between two looks is not seen.
        asked = "no name server was asked" if why else "no question to a name server was seen"
        return f"{why}{asked}"
    asked = counted(len(story.asked), "question")
    slowest = max(one.length_ns for one in story.asked)
    return f"{asked} to name servers, the slowest took {seconds(slowest)}"


def _arithmetic(story: NameStory) -> str:
    longest = max(one.length_ns for one in story.asked)
    asked = counted(len(story.asked), "question")
    return f"{asked}, up to {seconds(longest)} each, in all {seconds(story.spent_ns)} of waiting"


def _facts(case: Case, story: NameStory) -> list[Fact]:
    run = [
        Fact(
            text=f"{one.lookup.kind} {one.lookup.name} at {one.lookup.server}: "
            f"{one.lookup.code or 'no answer'} after {seconds(one.length_ns)}".strip(),
            observer=one.lookup.seen_by,
        )
        for one in sorted(story.asked, key=lambda one: -one.length_ns)[:4]
    ]
    probes = case.evidence.path.names if case.evidence.path else ()
    later = [
        Fact(
            text=f"asked again by kubelag: {probe.kind} {probe.name} at {probe.server}: "
            f"{probe.code} after {seconds(probe.took_ns)}",
            observer="path",
        )
        for probe in probes
        if probe.server == story.server
    ]
    return [*run, *later[:4]]
