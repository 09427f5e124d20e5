"""Puts one thing in the place of another atomically, and takes it back exactly.

The former content is renamed, never copied, so its inode, mode, owner, times and everything below
it stay as they were. One name beside the target, `saved`, serves both for the replacement before
the exchange and for the former content after it. Hence every state in which a crash can leave us
can be told from the two names alone, and undo is the same from each of them.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from kubelag.errors import RemedyError
from kubelag.remedies.journal import Journal
from kubelag.renaming import exchange, rename_to_new

# With what a write that was cut short leaves.
_DISCOVERY_ENTRY = re.compile(r"server(groups|resources)\.json(\.?\d+)?")
_HTTP_ENTRY = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}|\d+")


def put(journal: Journal) -> None:
    """Put the link or an empty directory in the target's place.

    Raises:
        RemedyError: Where somebody else changed the target meanwhile; the former state is kept.
    """
    target, saved = Path(journal.target), Path(journal.saved)
    _make_replacement(journal, saved)
    if not journal.existed:
        rename_to_new(saved, target)
    elif not exchange(saved, target):
        _remove_replacement(journal, saved)
        target.rename(saved)
        # Should a client make the target again just now, this fails, and undo says what to do.
        _make_replacement(journal, target)


def take_back(journal: Journal) -> str:
    """Restore what was at the target, from whatever state a crash left.

    Returns:
        What could not be restored and why, in one sentence; empty where all is as before.

    Raises:
        RemedyError: Where the target holds something that is neither ours nor the former content.
    """
    target, saved = Path(journal.target), Path(journal.saved)
    if is_replacement(journal, saved):
        # Not exchanged yet, or exchanged back and not cleaned up.
        _remove_replacement(journal, saved)
    if not _exists(saved):
        return _without_saved(journal, target)
    if not _exists(target):
        saved.rename(target)
        return ""
    if not is_replacement(journal, target):
        raise RemedyError(
            f"{target} is no longer what kubelag put there; the former content is in {saved}",
            f"move {target} away, then undo again",
        )
    _refuse_foreign(journal, target)
    if exchange(saved, target):
        _remove_replacement(journal, saved)
    else:
        _remove_replacement(journal, target)
        saved.rename(target)
    return ""


def _without_saved(journal: Journal, target: Path) -> str:
    """Nothing is waiting beside the target: it was not put away yet, or is back, or is lost."""
    is_former = journal.former_link is not None and journal.former_link == journal.link
    if is_former or not is_replacement(journal, target):
        return ""
    _remove_replacement(journal, target)
    return f"{journal.saved} with the former content was gone" if journal.existed else ""


def is_replacement(journal: Journal, path: Path) -> bool:
    """Whether this path is the replacement that the journal speaks of."""
    if journal.link is not None:
        return path.is_symlink() and str(path.readlink()) == journal.link
    return path.is_dir() and not path.is_symlink()


def _make_replacement(journal: Journal, path: Path) -> None:
    if journal.link is not None:
        path.symlink_to(journal.link)
    else:
        path.mkdir(mode=0o750)


def _remove_replacement(journal: Journal, path: Path) -> None:
    if journal.link is not None:
        path.unlink()
    else:
        _refuse_foreign(journal, path)
        shutil.rmtree(path)


def _refuse_foreign(journal: Journal, path: Path) -> None:
    """What clients have cached since may be removed; anything else is somebody's own."""
    if journal.link is not None:
        return
    if foreign := next(_not_cached(path, Path(journal.target).name), None):
        raise RemedyError(
            f"{foreign} came into the repaired directory since, and no kubectl caches it",
            f"move {foreign} away, then undo again",
        )


def _not_cached(directory: Path, name: str) -> Iterator[Path]:
    """What is no entry of a kubectl cache in a directory of that name (see kube.cache.layout)."""
    for parent, directories, names in os.walk(directory):
        inside = (name, *Path(parent).relative_to(directory).parts)
        entry = _HTTP_ENTRY if "http" in inside else _DISCOVERY_ENTRY
        yield from (Path(parent, one) for one in sorted(names) if not entry.fullmatch(one))
        links = (Path(parent, one) for one in sorted(directories))
        yield from (link for link in links if link.is_symlink())


def _exists(path: Path) -> bool:
    return os.path.lexists(path)


def restore_parent_time(journal: Journal) -> None:
    """Give the target's directory its former time back, if it holds what it held then."""
    parent = Path(journal.target).parent
    with suppress(OSError):
        if journal.parent_mtime_ns is None or not parent.is_dir():
            return
        if tuple(sorted(os.listdir(parent))) == journal.parent_names:  # noqa: PTH208 -- names only
            os.utime(parent, ns=(parent.stat().st_atime_ns, journal.parent_mtime_ns))
