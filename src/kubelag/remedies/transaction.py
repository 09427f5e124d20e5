"""Carries a journal out step by step, and takes it back step by step, from wherever it stopped."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from kubelag.errors import KubelagError, RemedyError
from kubelag.remedies import memory_place, swap
from kubelag.remedies.contract import Context
from kubelag.remedies.journal import Journal, Journals, MadeFile
from kubelag.remedies.told import told


def carry_out(
    context: Context, journals: Journals, journal: Journal, fill: Callable[[], None]
) -> Journal:
    """Do what the journal says; on any failure take everything back and let the failure through.

    Args:
        context: Where.
        journals: Where to keep the journal.
        journal: The intent.
        fill: Makes what the replacement leads to; called before the replacement is put in place.
    """
    journals.write(journal)
    context.after_step("journal")
    try:
        _change(context, journal, fill)
        applied = journals.mark(journal, "applied")
    except (KubelagError, OSError, KeyboardInterrupt) as error:
        take_all_back(context, journals, journal)
        if isinstance(error, OSError):
            raise RemedyError(
                f"{journal.target} was not changed: {error.strerror} ({error.filename})"
            ) from error
        raise
    context.after_step("applied")
    return applied


def _change(context: Context, journal: Journal, fill: Callable[[], None]) -> None:
    for directory in journal.made_directories:
        with suppress(FileExistsError), told(Path(directory)):
            Path(directory).mkdir(mode=0o750)
    context.after_step("directories")
    for one in journal.files:
        _make_file(one)
    context.after_step("files")
    fill()
    context.after_step("filled")
    swap.put(journal)
    context.after_step("put")


def take_all_back(context: Context, journals: Journals, journal: Journal) -> str:
    """Restore the former state; may be called again after it was cut short.

    Returns:
        What could not be restored and why; empty where all is as before.
    """
    journals.mark(journal, "undoing")
    context.after_step("undoing")
    with told(Path(journal.target)):
        note = swap.take_back(journal)
    context.after_step("taken back")
    if journal.memory:
        memory_place.remove_directory(Path(journal.memory), context.uid)
    context.after_step("memory removed")
    notes = [note, *(_remove_file(one) for one in journal.files)]
    context.after_step("files removed")
    for directory in reversed(journal.made_directories):
        with suppress(OSError):  # somebody keeps something in it by now
            Path(directory).rmdir()
    swap.restore_parent_time(journal)
    context.after_step("directories removed")
    journals.forget(journal)
    context.after_step("forgotten")
    return "; ".join(one for one in notes if one)


def is_unchanged(one: MadeFile) -> bool:
    """Whether a file that we made is there as we made it."""
    path = Path(one.path)
    try:
        if one.link is not None:
            return str(path.readlink()) == one.link
        return not path.is_symlink() and path.read_text() == one.text
    except (OSError, UnicodeDecodeError):
        return False


def _make_file(one: MadeFile) -> None:
    path = Path(one.path)
    if is_unchanged(one):
        return
    if os.path.lexists(path):
        raise RemedyError(f"{path} is there already and is not ours", "move it away")
    with told(path):
        if one.link is not None:
            path.symlink_to(one.link)
            return
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_text(one.text or "")
        temporary.chmod(0o644)
        temporary.replace(path)


def _remove_file(one: MadeFile) -> str:
    path = Path(one.path)
    path.with_name(f".{path.name}.new").unlink(missing_ok=True)
    if not os.path.lexists(path):
        return ""
    if not is_unchanged(one):
        return f"{path} was left, since somebody has changed it"
    with told(path):
        path.unlink()
    return ""
