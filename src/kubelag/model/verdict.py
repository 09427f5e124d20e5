"""What a cause says of itself, and what the proof made of that."""

from dataclasses import dataclass
from typing import Literal

from kubelag.model.remedy import Advice

VerdictValue = Literal["proven", "likely", "contributing", "ruled_out", "unknown"]
Standing = Literal["suspected", "ruled_out", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing seen that speaks for or against a cause."""

    text: str
    """A sentence or clause with its figure and unit."""
    observer: str
    """Who saw it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the knowledge comes from."""

    title: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One cause's opinion over evidence and timeline, before any proof."""

    cause: str
    """For example `discovery_cache_fsync`."""
    standing: Standing
    sentence: str
    """The cause in one sentence, with versions; or why it is ruled out, with the figure."""
    factors: tuple[str, ...] = ()
    """The factors of the timeline that it stands for."""
    low_ns: int = 0
    high_ns: int = 0
    """What removing it should save: [exclusive, union] of its factor."""
    waited_ns: int | None = None
    """What the command waited for it; None for its factors' part of the critical path."""
    arithmetic: str = ""
    """The sum by hand, for example `235 fsyncs x 42 ms = 9.9 s`."""
    facts: tuple[Fact, ...] = ()
    missing: tuple[str, ...] = ()
    """What could not be seen, for `unknown`."""
    experiments: tuple[str, ...] = ()
    """Ids of the experiments that remove this factor alone and so can prove it, best first; with a
    label (`direct_backend:master1`) that arm alone, without one all arms of that experiment."""
    dose_ns: int = 0
    """What one round trip costs now, where `experiments` name `delay_response`: the response to the
    doses then says how many of them are waited for."""
    supporting: tuple[str, ...] = ()
    """Ids of experiments that change more than this factor: measured and shown, never decisive."""
    remedies: tuple[str, ...] = ()
    """Ids of remedies that kubelag itself can plan, best first."""
    advice: tuple[Advice, ...] = ()
    """What a person can do where kubelag has no remedy of its own."""
    sources: tuple[Source, ...] = ()
