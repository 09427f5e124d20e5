"""Decides how a cache is moved to memory on this machine; reads everything, changes nothing."""

import os
from dataclasses import dataclass
from pathlib import Path

from kubelag.errors import RefusedError, RemedyError
from kubelag.model.remedy import Change
from kubelag.observe.mounts import file_system_of, is_in_memory
from kubelag.remedies.cache_target import Target, describe, find_target, missing_directories
from kubelag.remedies.cache_target import refuse_foreign as refuse_foreign_cache
from kubelag.remedies.contract import Context, Scope
from kubelag.remedies.journal import Journal
from kubelag.remedies.memory_place import Place, choose_directory, find_place
from kubelag.remedies.survival import Survival, find_survival

ID = "cache-in-memory"
SAVED_SUFFIX = ".kubelag-saved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What will be done, and what the user should know of it."""

    target: Target
    place: Place
    journal: Journal
    warnings: tuple[str, ...]


def design(context: Context) -> Design:
    """The best that is safe here.

    Raises:
        RefusedError: Where it would harm: a foreign cache, or a link that dangles after a reboot.
        RemedyError: Where it cannot be done or is not needed.
    """
    target = find_target(context)
    refuse_foreign_cache(target, context)
    place = find_place(context)
    if place is None:
        raise RemedyError(
            "there is no file system in memory (tmpfs) here with room that you may write to",
            "use `kubelag run --no-sync -- kubectl …`, or a kubectl from 1.25 on",
        )
    directory = choose_directory(place, context, target.root)
    survival = find_survival(context, place, directory)
    scope = _choose_scope(context, survival)
    found = survival if isinstance(survival, Survival) else None
    _refuse_needless(target, scope, found)
    if not (place.is_private or found or context.options.until_reboot):
        _refuse_readable_link(target.path(scope))
    journal = _journal(target.path(scope), directory, scope, found)
    return Design(
        target=target,
        place=place,
        journal=journal,
        warnings=_warnings(context, target, scope, survival),
    )


def _choose_scope(context: Context, survival: Survival | str) -> Scope:
    wanted = context.options.scope
    if isinstance(survival, Survival) or context.options.until_reboot:
        return wanted or "whole"
    if wanted == "whole":
        raise RefusedError(
            f"the whole cache would be a dangling link after a reboot: {survival}; then kubectl"
            " asks for everything at every command",
            "use --scope http, which is safe without, or accept it with --until-reboot",
        )
    return "http"


def _refuse_needless(target: Target, scope: Scope, survival: Survival | None) -> None:
    """Stop where the cache is in memory already, or nothing can be put into it."""
    if target.is_dangling and scope == "http":
        raise RemedyError(
            f"{target.root} is {describe(target.root)}", "type: kubelag fix apply repair-cache-link"
        )
    path = target.path(scope)
    is_link = path.is_symlink()
    # Somebody's own link to memory may dangle after a reboot; ours is better where it survives.
    if path.exists() and is_in_memory(path) and not (is_link and survival):
        kind = file_system_of(path)
        raise RemedyError(
            f"{path} is in memory already ({describe(path)}, on {kind})",
            "make sure that something makes its target at boot, or use --scope http"
            if is_link and scope == "whole"
            else "there is nothing to do",
        )
    if os.path.lexists(_saved(path)):
        raise RemedyError(
            f"{_saved(path)} is in the way; a former cache may have been left there",
            "move it away, then try again",
        )


def _refuse_readable_link(path: Path) -> None:
    """Stop where others can read the link: after a reboot they could make what it names.

    Raises:
        RefusedError: Where no directory on the way to the link is closed to others.
    """
    if any(one.exists() and not one.stat().st_mode & 0o001 for one in path.parents):
        return
    if not path.parent.exists():  # it will be made closed
        return
    raise RefusedError(
        f"every user of this machine can look into {path.parent}, and could hand you a cache of"
        " his making in /dev/shm after a reboot",
        f"type: chmod o-rx {path.parent}, then try again",
    )


def _journal(path: Path, directory: Path, scope: Scope, survival: Survival | None) -> Journal:
    files = survival.files if survival else ()
    parents = [path.parent, *(Path(one.path).parent for one in files)]
    missing = dict.fromkeys(name for parent in parents for name in missing_directories(parent))
    exists = path.parent.is_dir()
    return Journal(
        remedy=ID,
        target=str(path),
        saved=str(_saved(path)),
        existed=os.path.lexists(path),
        former_link=str(path.readlink()) if path.is_symlink() else None,
        link=str(directory),
        memory=str(directory),
        files=files,
        made_directories=tuple(missing),
        parent_names=tuple(sorted(os.listdir(path.parent))) if exists else (),  # noqa: PTH208 -- names only
        parent_mtime_ns=path.parent.stat().st_mtime_ns if exists else None,
        scope=scope,
        survival=survival.name if survival else "",
    )


def _saved(path: Path) -> Path:
    return path.with_name(path.name + SAVED_SUFFIX)


def _warnings(
    context: Context, target: Target, scope: Scope, survival: Survival | str
) -> tuple[str, ...]:
    warnings = []
    if isinstance(survival, str) and scope == "whole":
        warnings.append(
            "after a reboot the link dangles and kubectl becomes slower than ever, until"
            f" `kubelag fix apply {ID}` or `kubelag fix undo {ID}`: {survival}"
        )
    elif isinstance(survival, str):
        warnings.append(
            f"only the HTTP part of the cache is linked, since {survival}; it is the part that"
            " kubectl 1.24 and older syncs, and its link does no harm when it dangles"
        )
    if target.rule == "KUBECACHEDIR":
        warnings.append(
            "KUBECACHEDIR is set and kubectl 1.24 and older does not read it; for those add"
            f" --cache-dir {context.env.get('HOME', '~')}/.kube/cache"
        )
    return tuple(warnings)


def changes(plan: Design) -> tuple[Change, ...]:
    """Everything that would be different, in the order of doing."""
    journal = plan.journal
    made = tuple(
        Change(what="directory", path=path, before="nothing", after="a directory")
        for path in journal.made_directories
    )
    files = tuple(
        Change(
            what="link" if one.link else "file",
            path=one.path,
            before=describe(Path(one.path)),
            after=f"a link to {one.link}" if one.link else (one.text or ""),
        )
        for one in journal.files
    )
    memory = Change(
        what="directory",
        path=_shown(plan),
        before="nothing",
        after="a directory in memory, mode 0700, with a copy of the cache",
    )
    target = Path(journal.target)
    kept = Change(
        what="rename", path=journal.saved, before="nothing", after=f"what is now at {target}"
    )
    link = Change(
        what="link", path=str(target), before=describe(target), after=f"a link to {_shown(plan)}"
    )
    return (*made, *files, memory, *((kept,) if journal.existed else ()), link)


def _shown(plan: Design) -> str:
    """The directory in memory, before its unguessable name is chosen for good."""
    directory = Path(plan.journal.memory or "")
    return str(directory if plan.place.is_private else directory.parent / "(a random name)")
