"""What an experiment is: one way of running the same command with one factor removed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from kubelag.kube.config.kubeconfig import Kubeconfig
from kubelag.launch.child import Child
from kubelag.model.evidence import Evidence

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
    shown: str = ""
    """How a user can repeat it by hand."""

    def but(self, **changes: object) -> "Variant":
        """This variant with only the named things changed."""
        return replace(self, **changes)  # type: ignore[arg-type]  # checked by the dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What an experiment may look at."""

    evidence: Evidence
    unchanged: Variant
    kubeconfig: Kubeconfig | None
    """None where there is none or it could not be read."""


class NotApplicableError(Exception):
    """The factor is not there, or cannot be removed here; the message says which."""


class Experiment(Protocol):
    """One file in this package."""

    id: str
    title: str
    """What is removed, for the progress bar."""

    def vary(self, situation: Situation) -> Variant:
        """The treated variant.

        Raises:
            NotApplicableError: Where the factor cannot be removed here.
        """
