"""Copies a client cache, so that the first command after the move finds it as warm as before."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# HTTP caches are never emptied and have grown to 100 GB (kubernetes/kubernetes#109963). The cache
# of a cluster with 77 group-versions takes 1 MB; what is larger than this stays behind. Arbitrary.
LIMIT_BYTES = 32 * 1024 * 1024


def copy_cache(source: Path, target: Path) -> int:
    """Copy files and directories with their times and modes; links are left behind.

    A copy is a favour, not a duty: what cannot be read is left out, and what is too large is not
    copied at all.

    Returns:
        How many files were copied.
    """
    files = tuple(_files(source))
    if sum(size for _, size in files) > LIMIT_BYTES:
        return 0
    count = 0
    for path, _ in files:
        copied = target / path.relative_to(source)
        with suppress(OSError):
            copied.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            shutil.copy2(path, copied, follow_symlinks=False)
            count += 1
    return count


def _files(source: Path) -> Iterator[tuple[Path, int]]:
    for directory, _, names in os.walk(source):
        for name in names:
            path = Path(directory) / name
            if path.is_file() and not path.is_symlink():
                with suppress(OSError):
                    yield path, path.stat().st_size
