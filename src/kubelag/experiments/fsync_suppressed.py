"""The same command with fsync and its relatives turned into no-ops; nothing else changes."""

from kubelag.experiments.contract import NotApplicableError, Situation, Variant
from kubelag.launch import seccomp


class FsyncSuppressed:
    """See the module."""

    id = "fsync_suppressed"
    title = "without fsync"

    def vary(self, situation: Situation) -> Variant:
        """The command under a seccomp filter."""
        if why := seccomp.probe():
            raise NotApplicableError(why)
        command = " ".join(situation.evidence.command)
        return situation.unchanged.but(
            filter="no_sync", shown=f"kubelag run --no-sync -- {command}"
        )
