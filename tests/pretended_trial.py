"""A machine that only pretends to run commands, for tests of trials."""

import itertools
from collections.abc import Callable
from typing import Any

from evidence import MS
from kubelag.experiments.contract import (
    Experiment,
    NotApplicableError,
    Situation,
    Treatment,
    Variant,
)
from kubelag.experiments.scratch import Scratch
from kubelag.experiments.timing import Timed
from kubelag.model.experiment import Estimate, Trial

Play = Callable[..., Trial]
UNCHANGED = Variant(argv=("kubectl", "get", "nodes"), env={})
BASE_NS = 1000 * MS


class Removed:
    """An experiment that gives the command another name, or does not apply."""

    def __init__(self, name: str, *, why_not: str = "", cache: str = "as_observed") -> None:
        self.id = name
        self.title = f"without {name}"
        self._why_not, self._cache = why_not, cache

    def vary(self, situation: Situation) -> tuple[Treatment, ...]:
        if self._why_not:
            raise NotApplicableError(self._why_not)
        shown = f"{self.id} shown"
        variant = situation.unchanged.but(argv=(self.id,), cache=self._cache, shown=shown)
        return (Treatment(variant=variant),)


class Several:
    """An experiment with several arms."""

    id = "several"
    title = "another way"

    def __init__(self, *treatments: Treatment) -> None:
        self._treatments = treatments

    def vary(self, situation: Situation) -> tuple[Treatment, ...]:
        assert situation.evidence
        return self._treatments


def arm(label: str, **more: Any) -> Treatment:
    """One whose program is called as its label."""
    return Treatment(label=label, variant=UNCHANGED.but(argv=(label,)), **more)


class Listener:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.titles: list[tuple[int, str]] = []
        self.findings: list[tuple[str, Estimate]] = []

    def running(self, title: str, block: int, elapsed_s: float) -> None:
        assert elapsed_s >= 0
        self.titles.append((block, title))

    def found(self, experiment: Experiment, estimate: Estimate) -> None:
        self.findings.append((experiment.id, estimate))


class Machine:
    """Times every run by its program's name, with a little noise, and moves its own clock."""

    def __init__(self, **walls_ns: int) -> None:
        self.walls_ns = {"kubectl": BASE_NS, **walls_ns}
        self.ran: list[Variant] = []
        self.codes: dict[str, int] = {}
        self.now_s = 0.0
        self.accident: tuple[int, BaseException] | None = None
        self._noise = itertools.cycle([0, 3, -2, 1, 2, -3])

    def run(self, variant: Variant, scratch: Scratch, tick: Callable[[float], None]) -> Timed:
        assert scratch is not None
        self.ran.append(variant)
        if self.accident and len(self.ran) == self.accident[0]:
            raise self.accident[1]
        wall_ns = self.walls_ns[variant.argv[0]] + next(self._noise) * MS
        tick(wall_ns / 1e9)
        self.now_s += wall_ns / 1e9
        return Timed(wall_ns=wall_ns, exit_code=self.codes.get(variant.argv[0], 0))
