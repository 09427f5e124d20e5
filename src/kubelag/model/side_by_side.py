"""The same command on several machines side by side, as `kubelag compare --format json` has it."""

from dataclasses import dataclass
from typing import Literal

from kubelag.model.verdict import VerdictValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One machine's run."""

    name: str
    """The host's name; the bundle's where two hosts have the same."""
    bundle: str
    """The bundle's directory as it was given."""
    command: tuple[str, ...]
    wall_s: float
    verdict: VerdictValue | None
    """What is said of its first cause, None where none is accused."""
    cause: str
    """That cause in one sentence, empty where none is accused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorDifference:
    """One factor on every machine."""

    factor: str
    title: str
    seconds: tuple[float, ...]
    """Its part of each machine's critical path, in the order of the machines."""
    cost_s: float
    """How much more the slowest machine spent on it than the reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraitDifference:
    """One thing that is not the same on every machine."""

    trait: str
    """For example `client` or `cache lies on`."""
    values: tuple[str, ...]
    """As each machine has it, in the order of the machines; `not known` where it was not seen."""
    cost_s: float
    """What the factors that it bears on cost more there: what it costs at the most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBySide:
    """The whole comparison."""

    schema: Literal["kubelag/compare-1"] = "kubelag/compare-1"
    kubelag_version: str = ""
    machines: tuple[Machine, ...]
    """The quickest first: it is the reference."""
    outlier: str = ""
    """Which of three or more is not as the others are, empty where none stands out."""
    headline: str
    factors: tuple[FactorDifference, ...]
    """What costs most first; those that differ by nothing worth a word are left out."""
    traits: tuple[TraitDifference, ...]
    """Those that bear on what costs most first."""
    warnings: tuple[str, ...] = ()
    """Why this compares what is not alike."""
