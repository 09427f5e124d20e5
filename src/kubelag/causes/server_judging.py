"""How causes about a part of the server judge: what differs is the part and the words for it."""

from collections.abc import Callable
from dataclasses import dataclass

from kubelag.causes import server_facts
from kubelag.causes.contract import Case, could_not_look, innocent, unknown
from kubelag.causes.server_facts import Part, ServerStory
from kubelag.model.remedy import Advice
from kubelag.model.units import counted, seconds
from kubelag.model.verdict import Fact, Judgement, Source
from kubelag.timeline.factors import DISCOVERY, TARGET

_NAMES = {
    "health": "/livez as nobody",
    "health_as_user": "/livez as the user",
    "again": "the command's own request",
    "from_memory": "the same with resourceVersion=0",
}

_ALIKE = "a health check has the same priority level as the request, so that a queue looks the same"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCause:
    """What is a cause's own."""

    id: str
    part: Part
    sentence: Callable[[Case, ServerStory], str]
    advice: Advice
    sources: tuple[Source, ...]
    is_removable: bool = False
    """Whether leaving requests out shows what this part costs."""


def judge_server(case: Case, cause: ServerCause) -> Judgement:
    """Suspect it where this part was slow; else rule it out with the figure."""
    if missing := could_not_look(case, ["debug_log"]):
        return unknown(cause.id, "how long requests took was not seen", missing)
    story = server_facts.story(case)
    if story.part == cause.part:
        return _suspected(case, cause, story)
    if story.part == "either" and cause.part in {"authentication", "queue"}:
        missing = (f"server_probes: {_ALIKE}",)
        return unknown(cause.id, "whether it is authentication or a queue was not seen", missing)
    is_open = story.part in {"general", "connections"} and not story.probes
    if is_open and case.evidence.requests:
        missing = could_not_look(case, ["server_probes"])
        if missing:
            return unknown(cause.id, "which part of the server is slow was not tried", missing)
    return innocent(cause.id, _innocent(story), DISCOVERY, TARGET)


def _suspected(case: Case, cause: ServerCause, story: ServerStory) -> Judgement:
    factors = (DISCOVERY, TARGET)
    without = server_facts.without_requests if cause.is_removable else server_facts.without_anything
    removal = without(case)
    return Judgement(
        cause=cause.id,
        standing="suspected",
        sentence=cause.sentence(case, story),
        factors=factors,
        low_ns=removal.low_ns,
        high_ns=removal.high_ns,
        arithmetic=(
            f"{counted(len(story.answers), 'request')}, {seconds(story.typical_ns)} each (median), "
            f"{seconds(case.critical_ns(*factors))} of waiting"
        ),
        facts=tuple(probe_facts(story)),
        experiments=removal.experiments,
        advice=(cause.advice,),
        sources=cause.sources,
    )


def probe_facts(story: ServerStory) -> list[Fact]:
    """What kubelag's own requests took, side by side."""
    return [
        Fact(
            text=f"kubelag's own client: {name} took {seconds(took_ns)} of the server's time",
            observer="server_probes",
        )
        for purpose, name in _NAMES.items()
        if (took_ns := story.probe_ns(purpose)) is not None
    ]


def _innocent(story: ServerStory) -> str:
    slowest = max((ns for _, ns in story.answers), default=0)
    told = f"{counted(len(story.answers), 'request')}, the slowest waited {seconds(slowest)}"
    probes = [
        f"{name} {seconds(took_ns)}"
        for purpose, name in _NAMES.items()
        if (took_ns := story.probe_ns(purpose)) is not None
    ]
    return f"{told}; by kubelag's own client: {', '.join(probes)}" if probes else told
