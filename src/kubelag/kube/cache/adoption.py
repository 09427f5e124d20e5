"""Takes over what kubectl wrote since, without losing what only we know."""

from kubelag.kube.cache.tree import MISSING, read_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kubelag.kube.cache.pack import Index, Stamp
    from kubelag.kube.cache.place import Place
    from kubelag.kube.discovery.snapshot import GroupVersion, Snapshot


def adopt(
    place: "Place", ours: "tuple[Index, Snapshot] | None", now_s: float
) -> "tuple[Snapshot | None, Stamp | None]":
    """The newer of kubectl's tree and our own file, and the stamp of the tree it was compared with.

    Args:
        place: The server's.
        ours: Our own file, where it is whole.
        now_s: Seconds since the epoch.
    """
    reading = read_tree(place, now_s)
    own = None if ours is None else ours[1]
    theirs = reading.snapshot
    if theirs is None or reading.stamp is None:
        return own, reading.stamp
    if own is None:
        return theirs, reading.stamp
    if reading.stamp[0] <= own.fetched_s * 1e9:
        return own, reading.stamp
    return _with_what_we_know(theirs, own), reading.stamp


def _with_what_we_know(theirs: "Snapshot", own: "Snapshot") -> "Snapshot":
    return theirs.but(
        group_versions={
            name: _better(each, own.group_versions.get(name))
            for name, each in theirs.group_versions.items()
        }
    )


def _better(theirs: "GroupVersion", own: "GroupVersion | None") -> "GroupVersion":
    """What is to be known of one group-version.

    Where kubectl has no file, ours is the better word: kubectl never writes an empty or failed one,
    though it asks each time. Of what is damaged the last good list is kept.
    """
    if theirs.state != "failed" or own is None:
        return theirs
    if theirs.why == MISSING and own.state != "ok":
        return own
    return theirs.but(resources=own.resources)
