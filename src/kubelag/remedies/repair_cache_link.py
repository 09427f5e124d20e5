"""Puts a real directory where the kubectl cache is a link to nowhere.

People link the cache to /dev/shm to make an old kubectl fast. After a reboot, and for ordinary
users after their last logout (`RemoveIPC=` in logind.conf(5)), /dev/shm is empty and the link
dangles. kubectl cannot make the target of a link, hence caches nothing and asks for everything at
every command: measured with 74 group-versions, kubectl 1.20.2 sends 232 requests in 11 s instead
of 1 in 0.04 s, kubectl 1.27 to 1.33 send 78.

The link is moved aside and kept; `undo` puts it back.
"""

import os
from dataclasses import replace
from pathlib import Path

from kubelag.errors import KubelagError, RemedyError
from kubelag.kube.cache import layout
from kubelag.model.evidence import Evidence
from kubelag.model.remedy import Advice, Change, Plan, RemedyState, Status
from kubelag.observe.cache_directory import dangling_link
from kubelag.remedies import swap, transaction
from kubelag.remedies.cache_target import describe, find_target, refuse_foreign
from kubelag.remedies.contract import Context
from kubelag.remedies.journal import Journal, Journals

_ID = "repair-cache-link"
_SAVED_SUFFIX = ".kubelag-dangling"


class RepairCacheLink:
    """See the module."""

    id = _ID
    summary = "replace a cache that is a link to nowhere by a directory"
    causes = ("cache_unwritable",)
    is_automatic = True

    def plan(self, context: Context) -> Plan:
        """What apply would change here, or why it would not."""
        empty = Plan(remedy=self.id, summary=self.summary, changes=())
        if _find(context):
            now = self.status(context)
            return replace(empty, already_applied=now.state == "applied", warnings=(now.detail,))
        try:
            path = _dangling(context)
        except KubelagError as error:
            return replace(empty, obstacle=error.message, next_step=error.next_step)
        saved = Change(what="rename", path=str(_saved(path)), before="nothing", after="the link")
        directory = Change(
            what="directory", path=str(path), before=describe(path), after="an empty directory"
        )
        return replace(empty, changes=(saved, directory))

    def apply(self, context: Context) -> Status:
        """Move the link aside and make a directory."""
        journals = Journals(context.state_directory)
        with journals.locked():
            journal = _find(context)
            if journal and journal.phase == "applied":
                return self.status(context)
            if journal:
                transaction.take_all_back(context, journals, journal)
            intent = _journal(_dangling(context))
            transaction.carry_out(context, journals, intent, lambda: None)
        return self.verify(context)

    def verify(self, context: Context) -> Status:
        """The same as its status: a directory is there."""
        return self.status(context)

    def undo(self, context: Context) -> Status:
        """Put the link back; what a client has cached since is dropped."""
        journals = Journals(context.state_directory)
        with journals.locked():
            journal = _find(context)
            if journal is None:
                return _status("not_applied", "nothing to undo: it was not applied here")
            note = transaction.take_all_back(context, journals, journal)
        detail = f"{journal.target} is {describe(Path(journal.target))} again"
        return _status("not_applied", f"{detail}; {note}" if note else detail)

    def status(self, context: Context) -> Status:
        """Applied, not applied (needed or not), or cut short."""
        journal = _find(context)
        if journal is None:
            root = find_target(context).root
            return _status("not_applied", f"{root} is {describe(root)}")
        path = Path(journal.target)
        if journal.phase != "applied":
            return _status(
                "interrupted", "an earlier run stopped half way", f"kubelag fix undo {_ID}"
            )
        if swap.is_replacement(journal, path):
            return _status("applied", f"{path} is {describe(path)}; the link is {journal.saved}")
        return _status(
            "broken",
            f"{path} is {describe(path)}, no longer kubelag's directory",
            f"kubelag fix undo {_ID}",
        )

    def advise(self, evidence: Evidence) -> Advice:  # noqa: ARG002 -- the same for everybody
        """Plan, apply, undo."""
        return Advice(
            id=self.id,
            summary=self.summary,
            commands=(f"kubelag fix plan {self.id}", f"kubelag fix apply {self.id}"),
            undo=f"kubelag fix undo {self.id}",
        )


def _dangling(context: Context) -> Path:
    """The link to nowhere: the cache or a part of it, and ours to change.

    Raises:
        RemedyError: Where there is nothing to repair.
        RefusedError: Where it is somebody else's.
    """
    target = find_target(context)
    found = next((path for path in _places(context) if dangling_link(str(path)) == str(path)), None)
    if found is None:
        raise RemedyError(
            f"{target.root} is {describe(target.root)}, so there is no link to repair",
            "there is nothing to do",
        )
    refuse_foreign(target, context)
    if os.path.lexists(_saved(found)):
        raise RemedyError(f"{_saved(found)} is in the way", "move it away, then try again")
    return found


def _places(context: Context) -> tuple[Path, ...]:
    """Where a dangling link does harm; one of `http/` alone does none."""
    root = find_target(context).root
    return root, root / layout.DISCOVERY


def _journal(path: Path) -> Journal:
    return Journal(
        remedy=_ID,
        target=str(path),
        saved=str(_saved(path)),
        existed=True,
        former_link=str(path.readlink()),
        link=None,
        parent_names=tuple(sorted(os.listdir(path.parent))),  # noqa: PTH208 -- names only
        parent_mtime_ns=path.parent.stat().st_mtime_ns,
    )


def _saved(path: Path) -> Path:
    return path.with_name(path.name + _SAVED_SUFFIX)


def _find(context: Context) -> Journal | None:
    journals = Journals(context.state_directory)
    found = (journals.find(_ID, path) for path in _places(context))
    return next((journal for journal in found if journal), None)


def _status(state: RemedyState, detail: str, next_step: str = "") -> Status:
    return Status(remedy=_ID, state=state, detail=detail, next_step=next_step)
