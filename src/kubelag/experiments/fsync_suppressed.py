"""The same command with fsync and its relatives turned into no-ops; nothing else changes."""

from kubelag.experiments.contract import NotApplicableError, Situation, Treatment
from kubelag.launch import seccomp


class FsyncSuppressed:
    """See the module."""

    id = "fsync_suppressed"
    title = "without fsync"

    def vary(self, situation: Situation) -> tuple[Treatment, ...]:
        """The command under a seccomp filter."""
        if why := seccomp.probe():
            raise NotApplicableError(why)
        unchanged = situation.unchanged
        shown = f"kubelag run --no-sync -- {' '.join(situation.evidence.command)}"
        child = unchanged.child.under("no_sync")
        return (Treatment(variant=unchanged.but(child=child, shown=shown)),)
