"""The report as `--format json` publishes it (schema/report-1.json). Seconds throughout."""

from dataclasses import dataclass, field
from typing import Literal

from kubelag.model.remedy import Advice
from kubelag.model.verdict import Fact, Source, VerdictValue


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorLine:
    """One factor's line; the shares and the unexplained share add up to 1."""

    id: str
    title: str
    exclusive_s: float
    union_s: float
    critical_s: float
    """Its part of the critical path; with `unexplained_s` these add up to `wall_s`."""
    share: float
    """critical_s / wall_s, from 0 to 1."""
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofArm:
    """One arm's timings."""

    name: str
    median_s: float
    walls_s: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The counterfactual that decided a verdict."""

    experiment: str
    saving_s: float
    ci95_s: tuple[float, float]
    pairs: int
    arms: tuple[ProofArm, ...]
    same_against_same_s: tuple[float, float] | None
    """95 % interval of unchanged against unchanged: this machine's noise."""
    placebo_s: tuple[float, float] | None
    """95 % interval of the same wrapper with nothing removed."""
    knock_on_s: float
    """Time that moved elsewhere once the factor was gone."""
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictLine:
    """One cause with its verdict."""

    cause: str
    verdict: VerdictValue
    sentence: str
    predicted_saving_s: tuple[float, float]
    """[exclusive, union] of its factor; with a proof, in proportion to the timed runs."""
    critical_s: float = 0.0
    """Its part of the observed run's critical path."""
    arithmetic: str
    proof: Proof | None
    evidence: tuple[Fact, ...]
    """What speaks for it; for `unknown`, what could not be seen."""
    sources: tuple[Source, ...]
    remedies: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuledOut:
    """Something that was looked at and is innocent."""

    cause: str
    sentence: str
    """With the figure."""
    evidence: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CouldNotLook:
    """Something that was not seen; it may be guilty."""

    observer: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserverLine:
    """What watching cost."""

    kind: str
    """For example `strace --seccomp-bpf, narrow`."""
    events: int
    lost: int
    overhead_s: float | None
    """Observed wall time minus the median unobserved one; None where nothing was run again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WayLine:
    """One hop of the way to the server, or what the run itself saw of it."""

    hop: str
    """For example `DNS 10.0.0.2:53`, `VIP/balancer 10.0.0.10:8443`, `API server master1`."""
    sentence: str
    """With the figures."""
    is_well: bool = True
    """Whether it answered, and within 0.1 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """What was explained."""

    argv: tuple[str, ...]
    exit_code: int | None
    signal: int | None
    interrupted: bool
    cold: bool
    repeatable: bool
    client: str
    """For example `kubectl 1.20.2`."""
    client_path: str
    wrappers: tuple[str, ...]
    stderr_tail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheLine:
    """Where the client's cache is."""

    root: str
    rule: str
    state: str
    fresh_until: str | None
    """ISO 8601 with offset UTC."""
    file_system: str | None
    device: str | None
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that kubelag says about one command."""

    schema: Literal["kubelag/report-1"] = "kubelag/report-1"
    kubelag_version: str = ""
    started_at: str = ""
    """ISO 8601, UTC."""
    host: str = ""
    command: CommandLine
    wall_s: float
    expected_s: float | None
    """What it should be: the fastest arm's median, None where nothing was run again."""
    expected_why: str = ""
    headline: str
    """The cause in one sentence, or that there is none."""
    factors: tuple[FactorLine, ...]
    unexplained_s: float
    unexplained_share: float
    incomplete: bool
    """True where more than 20 % is unexplained (design threshold, arbitrary)."""
    verdicts: tuple[VerdictLine, ...]
    ruled_out: tuple[RuledOut, ...]
    could_not_look: tuple[CouldNotLook, ...]
    remedies: tuple[Advice, ...]
    observer: ObserverLine
    cache: CacheLine | None = None
    way: tuple[WayLine, ...] = ()
    """The hops in the order in which a request meets them."""
    silences: tuple[str, ...] = ()
    """Who kept the connections waiting, in sentences."""
    notes: tuple[str, ...] = ()
    """Sentences that matter and have no other place, for example that the cache was warm."""
    errors: tuple[str, ...] = field(default=())
    """Causes or experiments that crashed; never silently skipped."""
