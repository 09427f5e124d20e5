"""Progress on standard error: a live line on a terminal, a few plain lines elsewhere.

Nothing here runs in a thread: between fork and exec of a timed run no other thread may exist.
"""

import sys
from typing import TYPE_CHECKING, TextIO

from kubelag.experiments.contract import Experiment
from kubelag.model.experiment import Estimate
from kubelag.model.units import seconds

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


# What the bar fills against where the budget follows from the observed run.
_TYPICAL_BUDGET_S = 120.0


class QuietTeller:
    """Says nothing."""

    def stage(self, text: str) -> None:
        """Nothing."""

    def watching(self, elapsed_s: float) -> None:
        """Nothing."""

    def running(self, title: str, block: int, elapsed_s: float) -> None:
        """Nothing."""

    def found(self, experiment: Experiment, estimate: Estimate) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class LineTeller(QuietTeller):
    """One line for each stage and block, for logs and pipes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._block = 0

    def stage(self, text: str) -> None:
        """One line."""
        print(f"kubelag: {text}", file=self._stream, flush=True)

    def running(self, title: str, block: int, elapsed_s: float) -> None:  # noqa: ARG002 - a line a block is enough
        """One line when a block begins."""
        if block != self._block:
            self._block = block
            self.stage(f"experiments, block {block}")

    def found(self, experiment: Experiment, estimate: Estimate) -> None:
        """One line."""
        self.stage(f"  {_finding(experiment, estimate)}")


class LiveTeller(QuietTeller):
    """One live line: what runs now, for how long, and what was found so far."""

    def __init__(self, budget_s: float | None) -> None:
        from rich.console import Console  # noqa: PLC0415 - only where something is drawn
        from rich.progress import BarColumn, TextColumn  # noqa: PLC0415 - the same
        from rich.progress import Progress as Bar  # noqa: PLC0415 - the same

        self._bar: Progress = Bar(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[now]}"),
            TextColumn("[dim]{task.fields[found]}"),
            console=Console(stderr=True),
            auto_refresh=False,
            transient=True,
        )
        self._budget_s = budget_s or _TYPICAL_BUDGET_S
        self._task: TaskID | None = None
        self._findings: dict[str, str] = {}
        self._spent_s = 0.0
        self._last_s = 0.0

    def stage(self, text: str) -> None:
        """A new stage replaces the last one."""
        self.close()
        self._bar.start()
        self._task = self._bar.add_task(text, total=None, now="", found="")
        self._bar.refresh()

    def watching(self, elapsed_s: float) -> None:
        """The stage's clock."""
        self._show(now=f"{elapsed_s:.1f} s")

    def running(self, title: str, block: int, elapsed_s: float) -> None:
        """The arm's name and clock; the bar fills as the budget is spent."""
        if elapsed_s < self._last_s:
            self._spent_s += self._last_s
        self._last_s = elapsed_s
        self._show(
            description=f"proving, block {block}" if block else "preparing",
            total=self._budget_s,
            completed=min(self._budget_s, self._spent_s + elapsed_s),
            now=f"{title} {elapsed_s:.1f} s",
            found=" · ".join(self._findings.values()),
        )

    def found(self, experiment: Experiment, estimate: Estimate) -> None:
        """Shown until the end of the trial."""
        self._findings[experiment.id] = _finding(experiment, estimate)

    def close(self) -> None:
        """Take the line away."""
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._bar.stop()
            self._task = None

    def _show(self, **fields: object) -> None:
        if self._task is not None:
            self._bar.update(self._task, **fields)  # type: ignore[arg-type]  # rich takes any field
            self._bar.refresh()


def teller_for(*, quiet: bool, budget_s: float | None) -> QuietTeller:
    """The one that suits where standard error goes."""
    if quiet:
        return QuietTeller()
    return LiveTeller(budget_s) if sys.stderr.isatty() else LineTeller(sys.stderr)


def _finding(experiment: Experiment, estimate: Estimate) -> str:
    low, high = seconds(estimate.low_ns), seconds(estimate.high_ns)
    return f"{experiment.title}: saves {seconds(estimate.saving_ns)} ({low} to {high})"
