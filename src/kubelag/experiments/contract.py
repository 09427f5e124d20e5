"""What an experiment is: the same command with one factor removed, in one way or in several.

Each way is an arm. An experiment with one arm calls it by its own id (`fsync_suppressed`); one with
several adds what tells them apart (`direct_backend:master1`). A cause may name either: an id
without a label stands for all arms of that experiment, in the order in which it gives them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Protocol

from kubelag.kube.config.kubeconfig import Kubeconfig
from kubelag.launch.child import Child
from kubelag.model.attribution import Factor
from kubelag.model.evidence import Evidence

if TYPE_CHECKING:
    from kubelag.experiments.workshop import Workshop

CachePlace = Literal["as_observed", "on_memory", "warmed", "own"]
"""Where a run finds its cache. `as_observed`: a private one on the same file system, in the state
that the observed run found (empty, or a copy). `own`: the user's, where it cannot be written
anyway. `on_memory`: as observed, on tmpfs. `warmed`: private, same file system, already filled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way of running the command."""

    argv: tuple[str, ...]
    """In full, secrets included: never shown, never saved."""
    env: Mapping[str, str] = field(repr=False)
    cache: CachePlace = "as_observed"
    child: Child = field(default_factory=Child)
    pass_fds: tuple[int, ...] = ()
    cache_server: str = ""
    """URL of the server where it is not the observed run's: a copied cache must bear its name."""
    stubs: tuple[str, ...] = ()
    """Group-versions that the private cache says to be empty."""
    fills_gaps: bool = False
    """Whether it says so of each one that a copied cache lists and has no resources of."""
    keeps_complaint: bool = False
    """Whether it is wanted how the command complains at its end: where it fails, it must be known
    that it fails alike."""
    shown: str = ""
    """How a user can repeat it by hand."""

    def but(self, **changes: object) -> "Variant":
        """This variant with only the named things changed."""
        return replace(self, **changes)  # type: ignore[arg-type]  # checked by the dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """One arm of an experiment."""

    variant: Variant
    label: str = ""
    """What tells it from the experiment's other arms: a backend's name, an address, a dose."""
    dose_ns: int | None = None
    """Delay added to each round trip; None where nothing is dosed."""
    against: str = ""
    """Label of the arm whose runs it is compared with; empty for the unchanged command."""
    removes: tuple[Factor, ...] = ()
    """Factors that go too, wanted or not; what a cause does not stand for is no proof of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What an experiment may look at and use."""

    evidence: Evidence
    unchanged: Variant
    kubeconfig: Kubeconfig | None
    """None where there is none or it could not be read."""
    workshop: "Workshop"
    """Makes what the arms need, and takes it away again; whoever runs them closes it."""


class NotApplicableError(Exception):
    """The factor is not there, or cannot be removed here; the message says which."""


class NotAtAnEndError(NotApplicableError):
    """A run took so long that it was cut off."""


class Experiment(Protocol):
    """What progress is told of: an experiment, or one arm of it."""

    @property
    def id(self) -> str:
        """For example `direct_backend:master1`."""

    @property
    def title(self) -> str:
        """What is removed, for the progress bar."""


class Kind(Experiment, Protocol):
    """One file in this package."""

    def vary(self, situation: Situation) -> tuple[Treatment, ...]:
        """The arms, best first; at least one.

        Raises:
            NotApplicableError: Where the factor cannot be removed here.
        """
