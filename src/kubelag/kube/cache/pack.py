"""Our own file for one server: a snapshot, sealed, with an index in front for looking names up.

The index is a section of its own, so that resolving a kind neither reads nor parses the rest.
"""

from kubelag.kube.cache import sealed
from kubelag.kube.discovery.resolve import rows_of
from kubelag.kube.discovery.snapshot import Group, GroupVersion, Snapshot
from kubelag.kube.lean import json
from kubelag.kube.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from kubelag.kube.discovery.snapshot import Source

    Stamp = tuple[int, int, int]
    """Time of modification in nanoseconds, size and inode of a file."""
    Row = Sequence[Any]

FORMAT_VERSION = 1
GROUP_VERSION, NAME, SINGULAR_NAME, KIND, NAMESPACED, SHORT_NAMES, CATEGORIES = range(7)
"""Columns of a row."""

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_MISFITS = (ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What taking apart JSON of another shape raises: sealed, but not by this code."""


class Index(Record):
    """What a look-up needs of a snapshot."""

    server: str
    fetched_s: float
    """When the server last vouched for it, seconds since the epoch."""
    source: "Source"
    groups: "tuple[Group, ...]"
    etags: "Mapping[str, str]"
    boot_id: str
    """The boot during which it was written."""
    not_ok: "Mapping[str, GroupVersion]"
    """Group-versions whose state is not `ok`, their resources left out."""
    stamp: "Stamp | None"
    """Of kubectl's servergroups.json when this was written; None where there was none."""
    rows: "tuple[Row, ...]"
    """One for each resource that is no subresource, in the order of discovery: group-version, name,
    singular name, kind, whether namespaced, short names, categories."""


def this_boot() -> str:
    """The id of the running boot; empty where the kernel tells none."""
    try:
        with open(_BOOT_ID, "rb") as file:  # noqa: PTH123 - pathlib costs an import, as text does
            return file.read().decode().strip()
    except (OSError, ValueError):
        return ""


def encode(snapshot: Snapshot, *, stamp: "Stamp | None" = None, boot_id: str = "") -> bytes:
    """The sealed file."""
    resources = {name: each.resources for name, each in snapshot.group_versions.items()}
    front = {
        "server": snapshot.server,
        "fetched_s": snapshot.fetched_s,
        "source": snapshot.source,
        "groups": [[each.name, each.preferred, each.versions] for each in snapshot.groups],
        "etags": dict(snapshot.etags),
        "boot_id": boot_id,
        "not_ok": [
            [each.name, each.state, each.until_s, each.why]
            for each in snapshot.group_versions.values()
            if each.state != "ok"
        ],
        "stamp": stamp,
        "rows": [row for one in snapshot.group_versions.values() for row in rows_of(one)],
    }
    return sealed.seal(FORMAT_VERSION, _json(front), _json(resources))


def decode_index(data: bytes) -> "Index | None":
    """The index of a whole file; None if it is damaged."""
    return _index(sealed.open_first(data, FORMAT_VERSION))


def decode(data: bytes) -> "Snapshot | None":
    """The snapshot; None if the file is damaged."""
    both = decode_both(data)
    return None if both is None else both[1]


def decode_both(data: bytes) -> "tuple[Index, Snapshot] | None":
    """Index and snapshot; None if the file is damaged."""
    sections = sealed.open_both(data, FORMAT_VERSION)
    if sections is None or (index := _index(sections[0])) is None:
        return None
    try:
        return index, _snapshot(index, json.loads(sections[1]))
    except _MISFITS:
        return None


def read_index(path: str, uid: int, now_s: float) -> "Index | None":
    """The index of the file at this path; None if there is none that can be believed."""
    return _index(sealed.read_first(path, FORMAT_VERSION, uid, now_s))


def read_both(path: str, uid: int, now_s: float) -> "tuple[Index, Snapshot] | None":
    """Index and snapshot of the file at this path; None if there is none to be believed."""
    data = sealed.read_all(path, FORMAT_VERSION, uid, now_s)
    return None if data is None else decode_both(data)


def _json(value: object) -> bytes:
    from json import dumps  # noqa: PLC0415 - writing only; it loads `re`

    return dumps(value, separators=(",", ":")).encode("ascii")


def _index(first: "bytes | None") -> "Index | None":
    if first is None:
        return None
    try:
        return _index_of(json.loads(first))
    except _MISFITS:
        return None


def _index_of(front: "Mapping[str, Any]") -> Index:
    return Index(
        server=front["server"],
        fetched_s=front["fetched_s"],
        source=front["source"],
        groups=tuple(
            Group(name=name, preferred=preferred, versions=tuple(versions))
            for name, preferred, versions in front["groups"]
        ),
        etags=front["etags"],
        boot_id=front["boot_id"],
        not_ok={
            name: GroupVersion(name=name, state=state, until_s=until_s, why=why)
            for name, state, until_s, why in front["not_ok"]
        },
        stamp=None if front["stamp"] is None else tuple(front["stamp"]),
        rows=tuple(front["rows"]),
    )


def _snapshot(index: Index, resources: "Mapping[str, list[Any]]") -> Snapshot:
    return Snapshot(
        server=index.server,
        fetched_s=index.fetched_s,
        source=index.source,
        groups=index.groups,
        group_versions={
            name: index.not_ok.get(name, GroupVersion(name=name)).but(resources=tuple(found))
            for name, found in resources.items()
        },
        etags=index.etags,
    )
