"""Names that a server knows nothing of, kept for seconds: a loop that asks costs no requests."""

import json

from kubelag.kube.cache import sealed
from kubelag.kube.cache.directory import OWN_FILE_MODE, as_clause, open_host
from kubelag.kube.cache.layout import UNKNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kubelag.kube.cache.place import Place

_FORMAT_VERSION = 1
_MOST_NAMES = 100
"""Arbitrary; a bound on what a mistyping loop can write. The oldest go first."""


def is_unknown(place: "Place", name: str, now_s: float) -> bool:
    """Whether the name is kept and its time has not passed."""
    return _read(place, now_s).get(name, 0.0) > now_s


def remember(place: "Place", name: str, until_s: float, now_s: float, troubles: list[str]) -> None:
    """Keep a name.

    Args:
        place: Beside the pack.
        name: As it was asked for.
        until_s: Until when, seconds since the epoch.
        now_s: The same clock; names whose time has passed are dropped.
        troubles: Where it is told, in a clause, if it could not be written.
    """
    live = {each: until for each, until in _read(place, now_s).items() if until > now_s}
    live.pop(name, None)
    kept = [*live.items(), (name, until_s)][-_MOST_NAMES:]
    content = sealed.seal(_FORMAT_VERSION, json.dumps(dict(kept)).encode("ascii"))
    try:
        with open_host(place.root, place.relative, place.uid, is_made=True) as host:
            host.write(UNKNOWN, content, OWN_FILE_MODE)
    except OSError as error:
        troubles.append(as_clause(error))


def decode(data: bytes) -> "dict[str, float] | None":
    """Names and until when; None if the file is damaged."""
    first = sealed.open_first(data, _FORMAT_VERSION)
    try:
        names = None if first is None else json.loads(first)
    except (ValueError, RecursionError):
        return None
    if not isinstance(names, dict):
        return None
    return {name: until for name, until in names.items() if isinstance(until, (int, float))}


def _read(place: "Place", now_s: float) -> dict[str, float]:
    path = f"{place.path}/{UNKNOWN}"
    data = sealed.read_all(path, _FORMAT_VERSION, place.uid, now_s)
    return (None if data is None else decode(data)) or {}
