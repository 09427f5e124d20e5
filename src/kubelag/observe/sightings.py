"""Puts what was recorded and what was seen in flight together; pure."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from kubelag.model.evidence import Syscall
from kubelag.observe.in_flight import Sighting


def complete(
    calls: Iterable[Syscall],
    sightings: Sequence[Sighting],
    recorded: Collection[str],
    start_ns: int,
) -> tuple[Syscall, ...]:
    """Recorded calls with the files that only sightings know, and sampled calls of other kinds.

    Args:
        calls: What a recorder wrote down.
        sightings: What was seen in flight.
        recorded: Names of the calls of which the recorder wrote down every one.
        start_ns: What was seen before was our own preparation.

    Returns:
        All calls by start time.
    """
    known = _by_thread(sightings)
    told = (_with_target(call, known.get(call.pid, ())) for call in calls)
    sampled = _sampled(sightings, recorded, start_ns)
    return tuple(sorted((*told, *sampled), key=lambda call: (call.start_ns, call.pid)))


def _by_thread(sightings: Sequence[Sighting]) -> Mapping[int, list[Sighting]]:
    known: dict[int, list[Sighting]] = {}
    for sighting in sorted(sightings, key=lambda one: one.last_ns):
        known.setdefault(sighting.tid, []).append(sighting)
    return known


def _with_target(call: Syscall, sightings: Sequence[Sighting]) -> Syscall:
    """With the file or address of the first sighting of this very call: same thread, name, time."""
    if call.path or call.address:
        return call
    for sighting in sightings[bisect_left(sightings, call.start_ns, key=lambda one: one.last_ns) :]:
        if sighting.first_ns > call.end_ns:
            break
        if sighting.name == call.name:
            return replace(call, path=sighting.path, address=sighting.address)
    return call


def _sampled(
    sightings: Iterable[Sighting], recorded: Collection[str], start_ns: int
) -> Iterator[Syscall]:
    for one in sightings:
        # A descriptor of a socket or pipe is no file.
        is_file = one.path is not None and one.path.startswith("/")
        if is_file and one.name not in recorded and one.last_ns >= start_ns:
            yield Syscall(
                pid=one.tid,
                name=one.name,
                start_ns=max(one.start_ns, start_ns),
                end_ns=one.end_ns,
                path=one.path,
                is_sampled=True,
            )
