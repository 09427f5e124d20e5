"""What is wrong with one item of a cache: judged, and told with what it means for kubectl."""

import stat

from kubelag.kube.cache import pack, sealed, unknown
from kubelag.kube.cache.directory import why_not_ours
from kubelag.kube.cache.examine import parse_groups, parse_resources, stat_problem
from kubelag.kube.cache.http_entries import decode_entry
from kubelag.kube.cache.layout import ttl_s
from kubelag.kube.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kubelag.kube.cache.examine import Problem
    from kubelag.kube.cache.walk import Item, Kind

LEFTOVER_S = 60
"""A temporary older than this has no writer any more. Arbitrary; a write takes milliseconds."""
MOST_ENTRIES = 10_000
MOST_HTTP_BYTES = 200_000_000
"""More than this in http/ is bloat. Arbitrary: a server's OpenAPI and discovery take a few
megabytes; kubectl never evicts, and 100 GB were seen (kubernetes/kubernetes#109963)."""

HARMLESS = frozenset({"expired"})
"""Problems that need no healing."""

_READ_BY_NOBODY = "nobody reads it; it only takes space"
_FETCHED_AGAIN = "kubectl notices and fetches it again, at the cost of a request"
_SUMMED = "kubectl sees that its checksum is wrong and fetches it again"
_DUMPED = (
    "kubectl up to 1.24 has no checksum here, and may fail or serve what is left of the answer "
    "as long as the server says that it is unchanged"
)
_OURS = "kubelag does not believe it and asks the server"
_REMOVED = "it is removed; whoever needs it next asks the server for it"
_EMPTY_LIST = (
    "kubectl takes it for a valid list without resources, without a word and without asking again: "
    "the group's kinds are unknown until its time to live is over or another look-up fails. It is "
    "what a crash leaves of an unsynced file"
)
_EMPTY_GROUPS = "kubectl takes it for a valid list without groups, or fetches it again"


class Finding(Record):
    """One thing that is wrong in a cache."""

    path: str
    problem: "Problem"
    meaning: str
    """What it does to kubectl."""
    healing: str
    """What repair does about it; empty where there is nothing to be done."""


def problem_of(item: "Item", now_s: float, uid: int) -> "Problem | None":
    """What is wrong with an item; the gravest, if several.

    Raises:
        OSError: If it cannot be read.
    """
    if item.kind == "directory":
        return _directory_problem(item, uid)
    if item.kind == "temporary":
        return _temporary_problem(item, now_s, uid)
    life_s = ttl_s(None) if item.kind in {"groups", "resources"} else float("inf")
    problem = stat_problem(item.found, uid=uid, now_s=now_s, ttl_s=life_s)
    if item.kind == "lock" and problem == "zero-length":
        return None
    if problem not in {None, "expired"}:
        return problem
    if item.kind in {"pack", "unknown"} and not sealed.is_believable(item.found, uid, now_s):
        return "writable by others"
    data, _ = item.directory.read(item.name)
    return _damage(item, data) or problem


def finding_of(item: "Item", problem: "Problem") -> Finding:
    """The problem in words."""
    return Finding(
        path=item.path,
        problem=problem,
        meaning=_meaning(item.kind, problem),
        healing=_healing(item, problem),
    )


def bloat_of(path: str, entries: int, size_bytes: int) -> "Finding | None":
    """Whether http/ has grown too large."""
    if entries <= MOST_ENTRIES and size_bytes <= MOST_HTTP_BYTES:
        return None
    return Finding(
        path=path,
        problem="bloat",
        meaning=f"{entries} entries of {size_bytes / 1e6:.0f} MB; kubectl never evicts any",
        healing="the oldest are removed until half of what is tolerated is left",
    )


def unreadable(error: OSError) -> Finding:
    """What could not be looked at, which is not to be taken for healthy."""
    return Finding(
        path=str(error.filename),
        problem="unreadable",
        meaning=f"kubelag could not look: {error.strerror}",
        healing="",
    )


def _directory_problem(item: "Item", uid: int) -> "Problem | None":
    if item.is_link:
        return "symlink"
    if not why_not_ours(item.found, uid):
        return None
    return "foreign owner" if item.found.st_uid != uid else "writable by others"


def _temporary_problem(item: "Item", now_s: float, uid: int) -> "Problem | None":
    if item.is_link:
        return "symlink"
    age_s = now_s - item.found.st_mtime
    if -sealed.FUTURE_S <= age_s <= LEFTOVER_S:
        return None
    return "leftover" if item.found.st_uid == uid else "foreign owner"


def _damage(item: "Item", data: bytes) -> "Problem | None":
    if not data.strip(b"\0") and item.kind != "lock":
        return "NUL-filled" if data else "zero-length"
    if item.kind == "groups":
        return parse_groups(data)[1]
    if item.kind == "resources":
        return _resources_damage(item, data)
    return None if _is_whole(item.kind, data) else "damaged"


def _is_whole(kind: "Kind", data: bytes) -> bool:
    if kind == "pack":
        return pack.decode_both(data) is not None
    if kind == "unknown":
        return unknown.decode(data) is not None
    return kind == "lock" or decode_entry(data, is_summed=kind == "summed") is not None


def _resources_damage(item: "Item", data: bytes) -> "Problem | None":
    document, problem = parse_resources(data, None)
    if document is None:
        return problem
    name = document.get("groupVersion")
    lies_right = isinstance(name, str) and name and item.directory.path.endswith(f"/{name}")
    return None if lies_right else "wrong kind"


def _meaning(kind: "Kind", problem: "Problem") -> str:
    by_problem = {
        "expired": "kubectl fetches it again by itself",
        "future mtime": "kubectl believes it until that time comes, however old it is",
        "foreign owner": (
            "another user decides what kubectl takes for the server's word, and kubectl may be "
            "unable to read it or to write it anew"
        ),
        "writable by others": "other users can make kubectl take anything for the server's word",
        "symlink": "kubectl follows it to wherever it leads",
        "not a regular file": "kubectl cannot read it, and asks the server each time",
        "leftover": _READ_BY_NOBODY,
    }
    if problem in by_problem:
        return by_problem[problem]
    if problem == "zero-length" and kind in {"resources", "groups"}:
        return _EMPTY_LIST if kind == "resources" else _EMPTY_GROUPS
    by_kind = {"summed": _SUMMED, "dump": _DUMPED, "pack": _OURS, "unknown": _OURS}
    return by_kind.get(kind, _FETCHED_AGAIN)


def _healing(item: "Item", problem: "Problem") -> str:
    if problem in HARMLESS:
        return ""
    if problem == "foreign owner":
        return "it is left alone, unless repair is told that it may"
    if item.kind == "directory":
        writable = problem == "writable by others"
        return "the permission is taken away" if writable else "it is left alone: whose is it?"
    if stat.S_ISDIR(item.found.st_mode):
        return "it is left alone: a directory where a file should be"
    return "it is removed" if problem == "leftover" else _REMOVED
