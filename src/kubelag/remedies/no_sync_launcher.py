"""Starts single commands without disk syncs; changes nothing, and so needs no undo."""

import shlex

from kubelag.launch import seccomp
from kubelag.model.evidence import Evidence
from kubelag.remedies.by_hand import ByHand, Instructions
from kubelag.remedies.contract import Context

_EXAMPLE = "kubelag run --no-sync -- kubectl get nodes"


def remedy() -> ByHand:
    """The remedy."""
    return ByHand(
        id="no-sync-launcher",
        summary="start the command with fsync as a no-op, for itself alone",
        causes=("discovery_cache_fsync",),
        instruct=_instruct,
        recommend=_recommend,
        why_not="the launcher works for one command at a time and is not installed anywhere",
    )


def _instruct(_context: Context) -> Instructions:
    if why := seccomp.probe():
        return Instructions(commands=(), detail=f"it does not work here: {why}")
    return Instructions(
        commands=(_EXAMPLE,),
        notes=("only for commands that write nothing but caches",),
        detail="it works here, for one command at a time",
    )


def _recommend(evidence: Evidence) -> tuple[str, ...]:
    return (f"kubelag run --no-sync -- {shlex.join(evidence.command)}",)
