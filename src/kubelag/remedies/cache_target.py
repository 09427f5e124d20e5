"""Finds the cache to work on, makes sure it is the user's own, and says what is there."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from kubelag.errors import RefusedError, RemedyError
from kubelag.kube.cache import layout
from kubelag.remedies.contract import Context, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One client cache."""

    root: Path
    """Links in the path are resolved, but for the last part: that may be the link in question."""
    rule: str
    """Which rule gave it: `--cache-dir`, `KUBECACHEDIR` or `HOME`."""

    def path(self, scope: Scope) -> Path:
        """What is replaced."""
        return self.root if scope == "whole" else self.root / layout.HTTP

    @property
    def is_dangling(self) -> bool:
        """Whether the whole cache is a link to nowhere."""
        return self.root.is_symlink() and not self.root.exists()


def find_target(context: Context) -> Target:
    """The cache by kubectl's own rule.

    Raises:
        RemedyError: Where HOME is not set and no cache is named.
    """
    found = layout.cache_root(
        context.options.cache_dir, context.env, None, str(context.working_directory)
    )
    if found.rule == "working directory":
        raise RemedyError(
            "HOME is not set, so there is no cache of yours",
            "set it, or name the cache with --cache-dir",
        )
    path = Path(found.path)
    return Target(root=Path(os.path.realpath(path.parent)) / path.name, rule=found.rule)


def refuse_foreign(target: Target, context: Context) -> None:
    """Make sure that the cache is this user's: `sudo` often keeps another user's HOME.

    Raises:
        RefusedError: Where it is somebody else's.
    """
    for path in (target.root, target.root.parent):
        found = nearest_existing(path)
        status = found.lstat()
        is_shared = bool(status.st_mode & stat.S_ISVTX)
        if status.st_uid != context.uid and not (is_shared and found != target.root):
            raise RefusedError(
                f"{found} belongs to user {status.st_uid}, and you are {context.user}"
                f" (user {context.uid})",
                "run it as the user whose cache it is, without sudo, or name your own cache with"
                " --cache-dir",
            )


def describe(path: Path) -> str:
    """What is at a path, in words."""
    if path.is_symlink():
        to = path.readlink()
        return f"a link to {to}" + ("" if path.exists() else ", which does not exist")
    if path.is_dir():
        count = sum(len(files) for _, _, files in os.walk(path))
        return f"a directory with {count} file{'' if count == 1 else 's'}"
    return "a file" if path.exists() else "nothing"


def missing_directories(path: Path) -> tuple[str, ...]:
    """Which directories have to be made for this path, outermost first."""
    missing = []
    while not os.path.lexists(path):
        missing.append(str(path))
        path = path.parent
    return tuple(reversed(missing))


def nearest_existing(path: Path) -> Path:
    """The path, or the nearest of its parents that is there, be it a dangling link."""
    while not os.path.lexists(path):
        path = path.parent
    return path
