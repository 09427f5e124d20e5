"""The parts that are the same in every remedy which only says what to type."""

from collections.abc import Callable
from dataclasses import dataclass

from kubelag.errors import RefusedError
from kubelag.model.evidence import Evidence
from kubelag.model.remedy import Advice, Plan, Status
from kubelag.remedies.contract import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Instructions:
    """What to type here, and what to know about it."""

    commands: tuple[str, ...]
    notes: tuple[str, ...] = ()
    is_done: bool = False
    """Whether the machine is already as the remedy would have it."""
    detail: str
    """How it stands, in one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ByHand:
    """A remedy that changes nothing itself."""

    id: str
    summary: str
    causes: tuple[str, ...]
    instruct: Callable[[Context], Instructions]
    recommend: Callable[[Evidence], tuple[str, ...]]
    """The commands for the reader of a report."""
    why_not: str
    """Why apply refuses, in one sentence."""
    undo_command: str = ""
    is_automatic: bool = False

    def plan(self, context: Context) -> Plan:
        """What to type."""
        found = self.instruct(context)
        return Plan(
            remedy=self.id,
            summary=self.summary,
            changes=(),
            warnings=found.notes,
            already_applied=found.is_done,
            commands=found.commands,
        )

    def apply(self, context: Context) -> Status:
        """Refuse, with the commands.

        Raises:
            RefusedError: Always, unless there is nothing to do.
        """
        found = self.instruct(context)
        if found.is_done:
            return self.status(context)
        typed = f"type: {' && '.join(found.commands)}" if found.commands else found.detail
        raise RefusedError(self.why_not, typed)

    def verify(self, context: Context) -> Status:
        """The same as its status."""
        return self.status(context)

    def undo(self, context: Context) -> Status:  # noqa: ARG002 -- nothing was changed anywhere
        """Nothing was changed, so nothing is restored."""
        return Status(
            remedy=self.id,
            state="not_applied",
            detail="nothing to undo: kubelag changes nothing for this remedy",
        )

    def status(self, context: Context) -> Status:
        """Whether there is anything to do."""
        found = self.instruct(context)
        return Status(
            remedy=self.id,
            state="applied" if found.is_done else "not_applied",
            detail=found.detail,
            next_step=f"kubelag fix plan {self.id}" if found.commands else "",
        )

    def advise(self, evidence: Evidence) -> Advice:
        """The commands for what was observed."""
        return Advice(
            id=self.id,
            summary=self.summary,
            commands=self.recommend(evidence),
            undo=self.undo_command,
        )
