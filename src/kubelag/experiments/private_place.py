"""Private directories: for caches beside the user's own, and in memory for what is secret.

Every directory is made by mkdtemp (0700, a name nobody can guess, never following a link) and
carries our process id and where it holds, so that what a killed run left behind is swept by the
next one.
"""

import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from kubelag.experiments.contract import NotApplicableError
from kubelag.observe.mounts import is_in_memory

_PREFIX = ".kubelag-"
_NAME = re.compile(re.escape(_PREFIX) + r"(?P<place>[0-9a-f]+)-(?P<pid>\d+)-")
# Where Linux keeps files in memory, best first: a place of our own before a shared one.
_MEMORY_PLACES = ("XDG_RUNTIME_DIR", "/dev/shm", "/run")  # noqa: S108 - see make_private
# A directory serves one explanation; none takes a day. Arbitrary.
_OLD_S = 86_400.0


def make_private(parent: Path) -> Path:
    """A new directory of ours; those of killed runs beside it are swept first.

    Raises:
        NotApplicableError: Where none can be made.
    """
    sweep(parent)
    try:
        return Path(tempfile.mkdtemp(prefix=own_prefix(), dir=parent))
    except OSError as error:
        message = f"no private directory could be made in {parent}: {error.strerror}"
        raise NotApplicableError(message) from error


def memory_place() -> Path | None:
    """A directory on tmpfs that we may write to, None where there is none.

    Where others may rename what we make in it they could put a kubeconfig of their own in the place
    of ours, and a kubeconfig names programs to run: it must be ours or root's, and what others may
    write to must be sticky.
    """
    for place in _MEMORY_PLACES:
        path = Path(os.environ.get(place, place))
        if (
            path.is_absolute()
            and os.access(path, os.W_OK)
            and _is_safe(path)
            and is_in_memory(path)
        ):
            return path
    return None


def _is_safe(parent: Path) -> bool:
    """Whether nobody else can rename what we make in it (sticky(7))."""
    status = parent.stat()
    is_others = bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
    return status.st_uid in {0, os.getuid()} and (
        not is_others or bool(status.st_mode & stat.S_ISVTX)
    )


def sweep(parent: Path) -> None:
    """Remove directories of ours whose process is gone, as far as we can see processes.

    A shared home holds those of other machines and containers too, and those of this one before it
    was started anew, whose ids mean nothing here: they are left alone until they are old. By then
    an id may have come to another process of this machine, too.
    """
    here = _place()
    for path in _ours(parent):
        if match := _NAME.match(path.name):
            is_over = match["place"] == here and _is_gone(match["pid"])
            if is_over or _age_s(path) > _OLD_S:
                shutil.rmtree(path, ignore_errors=True)


def _is_gone(pid: str) -> bool:
    return not Path("/proc", pid).exists()


def _age_s(path: Path) -> float:
    """Since something was made in it; of what has gone meanwhile, nothing."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def own_prefix() -> str:
    """How the names of this process's directories begin."""
    return f"{_PREFIX}{_place()}-{os.getpid()}-"


def _place() -> str:
    """This boot of this machine and this namespace of process ids."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
    return f"{boot}{Path('/proc/self/ns/pid').stat().st_ino:x}"


def _ours(parent: Path) -> Iterator[Path]:
    with suppress(OSError):
        for entry in os.scandir(parent):
            status = entry.stat(follow_symlinks=False)
            is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
            if is_ours and entry.name.startswith(_PREFIX):
                yield Path(entry.path)
