"""Private cache directories for runs, so that the user's own cache is never touched."""

import ctypes
import errno
import json
import os
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Self

from kubelag.experiments.contract import CachePlace, NotApplicableError
from kubelag.experiments.private_place import make_private, memory_place, sweep
from kubelag.kube.cache import layout
from kubelag.model.evidence import CacheDirectory

# A discovery cache of 400 group-versions is 3 MB; grown HTTP caches reach gigabytes
# (kubernetes#109963) and are not needed to repeat a run.
_SNAPSHOT_LIMIT_BYTES = 64 * 2**20
GROUP_VERSION = re.compile(r"(?:[a-z0-9][a-z0-9.-]*/)?[a-z0-9]+", re.ASCII)
"""A group-version as it may become a path: nothing in it climbs out."""


class Scratch:
    """Makes and removes the private directories of one explanation."""

    def __init__(self, cache: CacheDirectory | None) -> None:
        self._cache = cache
        self._made: list[Path] = []
        self._snapshot: Path | None = None
        self._warmed: Path | None = None

    def __enter__(self) -> Self:
        """What a killed run left in memory goes first: it may hold credentials."""
        if place := memory_place():
            sweep(place)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def snapshot(self, *, cold: bool) -> None:
        """Keep a copy of the user's cache as it is now, times included, before a run changes it.

        Cold runs start from nothing, so nothing is kept for them.
        """
        if cold or self._cache is None or self._cache.state not in {"warm", "expired"}:
            return
        copy = self._make(memory_place())
        _copy_cache(Path(self._cache.root), copy, self._cache.host_directory)
        self._snapshot = copy

    def place(
        self,
        plan: CachePlace,
        *,
        server: str = "",
        stubs: Iterable[str] = (),
        fills_gaps: bool = False,
    ) -> Path | None:
        """A fresh directory for one run; None where the run uses the user's own.

        Args:
            plan: Where, and filled with what.
            server: URL of the server that the run talks to, where it is another than the user's:
                a client looks for its discovery cache by that. What it has in `http/` is found by
                URL and stays unfound: a cache past its time is then asked for in full, not by ETag.
            stubs: Group-versions that are to be cached as empty.
            fills_gaps: Whether each that the cache lists and has no resources of is, too.

        Raises:
            NotApplicableError: Where such a directory cannot be made here.
        """
        if plan == "own":
            return None
        on_memory = plan == "on_memory" or not self.same_file_system()
        made = self._make(memory_place() if on_memory else self.same_file_system())
        source = self._warmed if plan == "warmed" else self._snapshot
        if source is not None:
            _copy_tree(source, made)
        host = made / self._rename_host(made, server)
        for stub in (*stubs, *(_gaps(host) if fills_gaps else ())):
            _write_stub(host, stub)
        return made

    def _rename_host(self, made: Path, server: str) -> Path:
        """Give the server's directory the name that the run will look for; it need not exist.

        Returns:
            That directory, relative to the root.
        """
        known = self._cache.host_directory if self._cache else None
        old = Path(known).relative_to(self._cache.root) if self._cache and known else None
        if not server:
            return old or Path(layout.DISCOVERY)
        new = Path(layout.host_directory("", server).lstrip("/"))
        is_filled = (made / layout.DISCOVERY).is_dir()
        if is_filled and (old is None or not (made / old).is_dir()):
            raise NotApplicableError("which part of the cache is this server's cannot be told")
        if is_filled and old is not None and old != new:
            # A name may lie below the other's where URLs have a path, so it goes by a third.
            aside = made / ".renamed"
            (made / old).rename(aside)
            (made / new).parent.mkdir(parents=True, exist_ok=True)
            aside.rename(made / new)
        return new

    def keep_as_warmed(self) -> None:
        """Take the last directory that a run filled as the one that `warmed` copies from."""
        self._warmed = self._made[-1]

    def same_file_system(self) -> Path | None:
        """The nearest existing directory on the cache's file system that we may write to."""
        if self._cache is None:
            return None
        root = Path(self._cache.real_root or self._cache.root)
        device = _device_of(root)
        for parent in (root.parent, root, *root.parent.parents):
            if parent.is_dir() and os.access(parent, os.W_OK) and _device_of(parent) == device:
                return parent
        return None

    def settle(self, directory: Path | None) -> None:
        """Write out what earlier runs left unsynced, so that no run pays for another's writes."""
        if directory is None:
            return
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            ctypes.CDLL(None, use_errno=True).syncfs(fd)
        finally:
            os.close(fd)

    def close(self) -> None:
        """Remove everything that was made."""
        while self._made:
            shutil.rmtree(self._made.pop(), ignore_errors=True)

    def _make(self, parent: Path | None) -> Path:
        if parent is None:
            raise NotApplicableError("no writable directory for a private cache was found")
        made = make_private(parent)
        self._made.append(made)
        return made


def _device_of(path: Path) -> int | None:
    for existing in (path, *path.parents):
        with suppress(OSError):
            return existing.stat().st_dev
    return None


def _copy_cache(root: Path, target: Path, host_directory: str | None) -> None:
    """Copy this server's discovery tree, and the HTTP cache where it is small."""
    host = Path(host_directory) if host_directory else root / "discovery"
    if not host.is_dir():  # its published name is redacted where the URL carries a user
        host = root / "discovery"
    for part in (host.relative_to(root), Path("http")):
        if (root / part).is_dir() and _size_bytes(root / part) <= _SNAPSHOT_LIMIT_BYTES:
            # What cannot be read is of no use to the client either.
            with suppress(OSError, shutil.Error):
                shutil.copytree(root / part, target / part, copy_function=_copy_file)


def _gaps(host: Path) -> list[str]:
    """The group-versions of which the cache has a list and no resources."""
    try:
        groups = json.loads((host / layout.SERVER_GROUPS).read_bytes())["groups"]
        names = [version["groupVersion"] for group in groups for version in group["versions"] or ()]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise NotApplicableError("the copied cache has no list of group-versions") from error
    # Where a name is none, the client has no use for it either.
    known = (name for name in names if isinstance(name, str) and GROUP_VERSION.fullmatch(name))
    return [name for name in known if not (host / layout.resources_file(name)).exists()]


def _write_stub(host: Path, group_version: str) -> None:
    """A list of no resources, which a client takes from its cache though it never writes one."""
    if not GROUP_VERSION.fullmatch(group_version):
        raise NotApplicableError(f"{group_version!r} is no group-version")
    document = {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": [],
    }
    file = host / layout.resources_file(group_version)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document), encoding="ascii")


def _copy_tree(source: Path, target: Path) -> None:
    try:
        shutil.copytree(source, target, copy_function=_copy_file, dirs_exist_ok=True)
    except (OSError, shutil.Error) as error:
        raise NotApplicableError(f"the cache could not be copied whole to {target}") from error


def _copy_file(source: str, target: str) -> None:
    """Half a cache is another cache, so a full disk ends the copying at once."""
    try:
        shutil.copy2(source, target)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            message = f"there is no room for a copy of the cache in {Path(target).parent}"
            raise NotApplicableError(message) from error
        raise


def _size_bytes(directory: Path) -> int:
    """The size of a tree; stops counting once it is past the limit."""
    total = 0
    for parent, _, names in os.walk(directory):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118 - hot loop
        if total > _SNAPSHOT_LIMIT_BYTES:
            break
    return total
