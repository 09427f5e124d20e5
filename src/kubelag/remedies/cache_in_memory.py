"""Moves a kubectl cache to memory by a link, so that no write of it waits for a disk.

What it changes: a directory on tmpfs, private to the user; a link to it where the cache was; the
former cache, untouched, beside it; and what makes the directory anew at boot. `undo` restores what
was there, exactly; what kubectl has written to memory meanwhile is only cache and is dropped.

How much is linked: the whole cache where the directory is sure to come back after a reboot (see
`kubelag.remedies.survival`), else `http/` alone. Measured on ext4 with about 60 ms per fsync, 74
group-versions, `kubectl get nodes`:

| kubectl | the cache is        | cold   | entries expired |
|---------|---------------------|--------|-----------------|
| 1.20.2  | on disk             | 11.9 s | 12.2 s          |
| 1.20.2  | http/ in memory     | 0.13 s | 1.1 s           |
| 1.20.2  | whole in memory     | 0.14 s | 0.15 s          |
| 1.33    | on disk             | 1.0 s  | 4.3 s           |
| 1.33    | http/ in memory     | 0.15 s | 1.1 s           |
| 1.33    | whole in memory     | 0.16 s | 0.16 s          |

Sources: kubernetes/kubernetes#73570 (users' own fix), #110851 (the fix in 1.25).
"""

import os
import shlex
from dataclasses import replace
from pathlib import Path

from kubelag.errors import KubelagError, RemedyError
from kubelag.kube.command import flag_value
from kubelag.model.evidence import Evidence
from kubelag.model.remedy import Advice, Plan, RemedyState, Status
from kubelag.remedies import memory_place, survival, swap, transaction
from kubelag.remedies.cache_copy import copy_cache
from kubelag.remedies.cache_target import describe, find_target
from kubelag.remedies.contract import Context
from kubelag.remedies.journal import Journal, Journals
from kubelag.remedies.memory_design import ID, changes, design

# What `verify` writes and reads back; its name is none that a client would make.
_PROBE = ".kubelag-probe"


class CacheInMemory:
    """See the module."""

    id = ID
    summary = "link the kubectl cache to a private directory in memory"
    causes = ("discovery_cache_fsync", "cache_metadata_slow")
    is_automatic = True

    def plan(self, context: Context) -> Plan:
        """What apply would change here, or why it would not."""
        empty = Plan(remedy=self.id, summary=self.summary, changes=())
        if journal := _find(context):
            now = _judge(journal, context)
            done = now.state == "applied"
            step = "" if done else now.next_step
            return replace(empty, already_applied=done, warnings=(now.detail,), next_step=step)
        try:
            found = design(context)
        except KubelagError as error:
            return replace(empty, obstacle=error.message, next_step=error.next_step)
        return replace(empty, changes=changes(found), warnings=found.warnings)

    def apply(self, context: Context) -> Status:
        """Move the cache to memory; where that was cut short before, take it back first."""
        journals = Journals(context.state_directory)
        with journals.locked():
            journal = _find(context)
            if journal and journal.phase != "applied":
                transaction.take_all_back(context, journals, journal)
            elif journal:
                return _refresh(journal, context)
            plan = design(context)
            transaction.carry_out(
                context, journals, plan.journal, lambda: _fill(plan.journal, context)
            )
        return self.verify(context)

    def verify(self, context: Context) -> Status:
        """Write and read through the link, and run what will run at boot."""
        journal = _find(context)
        status = self.status(context)
        if journal is None or status.state != "applied" or not _has_memory(journal, context):
            return status
        try:
            _probe(Path(journal.target))
            _check_survival(journal, context)
        except KubelagError as error:
            return _status("broken", error.message, error.next_step)
        return status

    def undo(self, context: Context) -> Status:
        """Restore what was there."""
        journals = Journals(context.state_directory)
        with journals.locked():
            journal = _find(context)
            if journal is None:
                return _status("not_applied", "nothing to undo: it was not applied here")
            note = transaction.take_all_back(context, journals, journal)
        is_there = os.path.lexists(journal.target)
        now = describe(Path(journal.target)) if is_there else "not there"
        detail = f"{journal.target} is {now}, as before"
        return _status("not_applied", f"{detail}; {note}" if note else detail)

    def status(self, context: Context) -> Status:
        """Applied, not applied, broken, or cut short."""
        if journal := _find(context):
            return _judge(journal, context)
        target = find_target(context)
        if target.is_dangling:
            return _status(
                "broken",
                f"{target.root} is {describe(target.root)}; kubelag did not make that link, and"
                " kubectl cannot cache anything",
                "kubelag fix apply repair-cache-link",
            )
        return _status("not_applied", f"{target.root} is {describe(target.root)}")

    def advise(self, evidence: Evidence) -> Advice:
        """Plan, apply, undo."""
        directory = flag_value(evidence.command, "cache-dir")
        which = f" --cache-dir {shlex.quote(directory)}" if directory else ""
        return Advice(
            id=self.id,
            summary=self.summary,
            commands=(f"kubelag fix plan {self.id}{which}", f"kubelag fix apply {self.id}{which}"),
            undo=f"kubelag fix undo {self.id}{which}",
        )


def _find(context: Context) -> Journal | None:
    """The journal for this cache, whatever part of it was linked."""
    target = find_target(context)
    journals = Journals(context.state_directory)
    return journals.find(ID, target.path("whole")) or journals.find(ID, target.path("http"))


def _judge(journal: Journal, context: Context) -> Status:
    target = Path(journal.target)
    if journal.phase != "applied":
        return _status(
            "interrupted",
            f"an earlier run stopped half way ({journal.phase})",
            f"kubelag fix undo {ID}",
        )
    if not swap.is_replacement(journal, target):
        return _status(
            "broken",
            f"{target} is {describe(target)}, no longer kubelag's link",
            f"kubelag fix undo {ID}",
        )
    if _has_memory(journal, context):
        return _status("applied", f"{target} is {describe(target)}{_how_long(journal)}")
    if journal.scope == "http":
        return _status(
            "applied",
            f"{target} leads to {journal.memory}, which is gone since a reboot or logout; kubectl"
            " does without it, and stays fast",
            f"kubelag fix apply {ID}",
        )
    problem = memory_place.directory_problem(Path(journal.memory or ""), context.uid)
    return _status(
        "broken",
        f"{journal.memory}, to which {target} leads, {problem}",
        f"kubelag fix apply {ID}",
    )


def _how_long(journal: Journal) -> str:
    if journal.survival:
        return f", made anew at every boot by {journal.survival}"
    return ", until the next reboot" if journal.scope == "whole" else ""


def _has_memory(journal: Journal, context: Context) -> bool:
    return memory_place.directory_problem(Path(journal.memory or ""), context.uid) == ""


def _refresh(journal: Journal, context: Context) -> Status:
    """Applied before: make only the directory anew, should it be gone."""
    status = _judge(journal, context)
    if not swap.is_replacement(journal, Path(journal.target)):
        raise RemedyError(status.detail, f"type: {status.next_step}")
    if context.options.scope not in {None, journal.scope}:
        raise RemedyError(
            f"it is applied to {journal.target} already", f"first type: kubelag fix undo {ID}"
        )
    if not _has_memory(journal, context):
        _make_memory(journal, context)
    return _judge(journal, context)


def _fill(journal: Journal, context: Context) -> None:
    """Make the directory in memory, warm."""
    _make_memory(journal, context)
    copy_cache(Path(journal.target), Path(journal.memory or ""))


def _make_memory(journal: Journal, context: Context) -> None:
    """Make the directory the way it will be made at boot, so that the way is proven."""
    directory = Path(journal.memory or "")
    if journal.survival:
        survival.create_now(journal.survival, journal.files[0].path, directory, context)
    memory_place.make_directory(directory, context.uid)


def _probe(target: Path) -> None:
    """Write and read back through the link.

    Raises:
        RemedyError: Where that does not work.
    """
    path = target / _PROBE
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            os.write(fd, b"kubelag")
            is_right = os.pread(fd, 16, 0) == b"kubelag"
        finally:
            os.close(fd)
            path.unlink()
    except OSError as error:
        raise RemedyError(f"{target} cannot be written: {error.strerror}") from error
    if not is_right:
        raise RemedyError(f"{target} does not keep what is written there")


def _check_survival(journal: Journal, context: Context) -> None:
    """Run what runs at boot.

    Raises:
        RemedyError: Where a file is missing or changed, or systemd-tmpfiles does not accept it.
    """
    for one in journal.files:
        if not transaction.is_unchanged(one):
            raise RemedyError(
                f"{one.path}, which makes the directory anew at boot, is missing or changed",
                f"type: kubelag fix undo {ID}, then apply again",
            )
    if journal.survival:
        directory = Path(journal.memory or "")
        survival.create_now(journal.survival, journal.files[0].path, directory, context)


def _status(state: RemedyState, detail: str, next_step: str = "") -> Status:
    return Status(remedy=ID, state=state, detail=detail, next_step=next_step)
