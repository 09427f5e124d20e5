"""Looks at a client's discovery cache without touching it: where, on what, how fresh, writable?

Nothing is created, written or locked. How many files exist and how old they are comes from the
list of group-versions in `servergroups.json`, since directories of removed ones stay behind and
would look expired for ever.
"""

import json
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kubelag.kube.cache import layout
from kubelag.kube.command import flag_value
from kubelag.kube.redact import REDACTED
from kubelag.model.evidence import CacheDirectory, CacheState, Look
from kubelag.observe.mounts import Mount, block_device, mount_of, read_mounts
from kubelag.observe.writable import owner, why_not_writable

OBSERVER = "cache_directory"
# The names become paths, so nothing that could climb out is followed.
_GROUP_VERSION = re.compile(r"(?:[a-z0-9][a-z0-9.-]*/)?[a-z0-9]+", re.ASCII | re.IGNORECASE)
# On a slow file system hundreds of looks would take longer than the command; arbitrary, and half
# of what kubelag may add to a run.
_TIME_S = 0.25
_USER_INFORMATION = re.compile(r"(?<=://)[^/@]+(?=@)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Contents:
    """What is in one server's directory."""

    entries: int = 0
    oldest_ns: int | None = None
    """Last modification of the oldest entry; None where there is no usable list of groups."""
    problem: str | None = None
    """Why an entry could not be written anew."""


def look(  # noqa: PLR0913 -- the client's whole situation, and two roots for tests
    argv: Sequence[str],
    env: Mapping[str, str],
    version: str | None,
    server: str | None,
    *,
    now_ns: int | None = None,
    working_directory: str | None = None,
    mounts: Sequence[Mount] | None = None,
    sys: Path = Path("/sys"),
    clock_s: Callable[[], float] = time.monotonic,
) -> CacheDirectory:
    """Look at the cache directory that this command would use.

    Args:
        argv: The command line, for `--cache-dir`.
        env: The client's environment.
        version: The client's version, None where unknown.
        server: The server's URL as the client's config spells it, None where unknown.
        now_ns: The moment for which the state holds, since the epoch; now where None.
        working_directory: The client's; this process's where None.
        mounts: The mounts; this process's where None.
        sys: Where sysfs is.
        clock_s: A monotonic clock, for the time that looking may take.
    """
    here = working_directory or os.getcwd()  # noqa: PTH109 -- text throughout
    root = layout.cache_root(flag_value(argv, "cache-dir"), env, version, here)
    host = layout.host_directory(root.path, server) if server else None
    # Only discovery counts: an HTTP cache that cannot be written costs next to nothing.
    place = host or f"{root.path}/{layout.DISCOVERY}"
    dangling = dangling_link(place)
    contents = _contents(host, clock_s) if host else _Contents()
    seen = read_mounts() if mounts is None else mounts
    mount = mount_of(_nearest_existing(f"{root.path}/{layout.HTTP}"), seen)
    ttl_s = layout.ttl_s(version)
    fresh_until_ns = None if contents.oldest_ns is None else contents.oldest_ns + ttl_s * 10**9
    problem = _problem(place, dangling, mount) or contents.problem
    return CacheDirectory(
        root=root.path,
        rule=root.rule,
        host_directory=_published(root.path, server, host),
        state=_state(host, dangling, problem, fresh_until_ns, now_ns or time.time_ns()),
        fresh_until_ns=fresh_until_ns,
        ttl_s=ttl_s,
        entries=contents.entries,
        file_system=mount.file_system if mount else None,
        mount_point=mount.mount_point if mount else None,
        device=block_device(mount, seen, sys) if mount else None,
        real_root=os.path.realpath(root.path),
        link_target=_link_target(dangling or root.path),
        problem=problem,
    )


def say(cache: CacheDirectory) -> Look:
    """What this observer says about itself, having looked."""
    how = f"stat of the cache below {cache.root} before the command ran"
    return Look(observer=OBSERVER, state="looked", how=how, events=cache.entries)


def dangling_link(path: str) -> str | None:
    """The first part of a path that is a link to nothing (or in a circle), None where none is."""
    for part in _parts(path):
        try:
            if os.path.islink(part) and not os.path.exists(part):  # noqa: PTH110,PTH114 -- text
                return part
        except OSError:
            return None
    return None


def _parts(path: str) -> Iterator[str]:
    """`/a/b` gives `/a` and `/a/b`."""
    begin = path.find("/", 1)
    while begin > 0:
        yield path[:begin]
        begin = path.find("/", begin + 1)
    yield path


def _nearest_existing(path: str) -> str:
    """The path with links resolved, or the nearest of its parents that exists."""
    real = os.path.realpath(path)
    while real != "/" and not os.path.exists(real):  # noqa: PTH110 -- text
        real = os.path.dirname(real)  # noqa: PTH120 -- text
    return real


def _contents(host: str, clock_s: Callable[[], float]) -> _Contents:
    """Look at the listed entries, as far as the time goes."""
    until_s = clock_s() + _TIME_S
    listed = _group_versions(f"{host}/{layout.SERVER_GROUPS}")
    groups_ns = _modified_ns(f"{host}/{layout.SERVER_GROUPS}")
    if listed is None or groups_ns is None:
        return _Contents()
    times = [groups_ns]
    closed: str | None = None
    for name in listed:
        if clock_s() > until_s:
            break
        modified_ns = _modified_ns(f"{host}/{layout.resources_file(name)}")
        times += [] if modified_ns is None else [modified_ns]
        closed = closed or _closed(f"{host}/{name}")
    return _Contents(entries=len(times), oldest_ns=min(times), problem=closed)


def _closed(directory: str) -> str | None:
    """Why an entry's directory cannot be written: `sudo kubectl` leaves such behind."""
    may = os.access(directory, os.W_OK | os.X_OK, effective_ids=True)
    if may or not os.path.isdir(directory):  # noqa: PTH112 -- text
        return None
    return f"{directory} may not be written ({owner(directory)})"


def _group_versions(path: str) -> tuple[str, ...] | None:
    """The group-versions in `servergroups.json`; None where the client would ask anew."""
    try:
        document = json.loads(Path(path).read_bytes())
        groups = document["groups"]
        found = [one["groupVersion"] for group in groups for one in group["versions"] or ()]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return tuple(name for name in found if isinstance(name, str) and _GROUP_VERSION.fullmatch(name))


def _modified_ns(path: str) -> int | None:
    try:
        found = os.stat(path)  # noqa: PTH116 -- hundreds of them, text is enough
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns if stat.S_ISREG(found.st_mode) else None


def _problem(place: str, dangling: str | None, mount: Mount | None) -> str | None:
    if dangling:
        return f"{dangling} is a link to {_link_target(dangling)}, which does not exist"
    return why_not_writable(place, _nearest_existing(place), mount)


def _state(
    host: str | None,
    dangling: str | None,
    problem: str | None,
    fresh_until_ns: int | None,
    now_ns: int,
) -> CacheState:
    """A fresh cache serves as well where it cannot be written; then `problem` warns of its end."""
    if dangling:
        return "dangling_link"
    if fresh_until_ns is not None and now_ns <= fresh_until_ns:
        return "warm"
    if problem:
        return "unwritable"
    if host is None:
        return "unknown"
    return "cold" if fresh_until_ns is None else "expired"


def _link_target(path: str) -> str | None:
    try:
        return os.readlink(path)  # noqa: PTH115 -- text
    except OSError:
        return None


def _published(root: str, server: str | None, host: str | None) -> str | None:
    """The host directory as it may be told: user information in a URL becomes part of the name."""
    if server is None or host is None or not _USER_INFORMATION.search(server):
        return host
    return layout.host_directory(root, _USER_INFORMATION.sub(REDACTED, server))
