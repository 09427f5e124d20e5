"""How a cache is written: what every policy offers, and the choice among them by name."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from kubelag.kube.cache.place import Place
    from kubelag.kube.discovery.snapshot import Snapshot
    from kubelag.kube.transport.messages import Response

    class Policy(Protocol):
        """One way of writing. Nothing raises OSError; what could not be is told in `troubles`."""

        def put(self, url: str, response: "Response", accept: str) -> None:
            """Take one answer to a discovery request.

            Args:
                url: As kubectl would send it, with its query.
                response: Whatever the server answered.
                accept: The Accept header that was sent.
            """

        def save(self, snapshot: "Snapshot", stamp: "tuple[int, int, int] | None") -> None:
            """Take what is to be known from now on.

            Args:
                snapshot: Replaces what was known.
                stamp: Of the servergroups.json that it was made from, where it was.
            """

        def flush(self) -> None:
            """Write what is not written yet."""


CHECKSUMMED = "checksummed"
SYNCED = "synced"
POLICIES = (CHECKSUMMED, SYNCED)


def make_policy(
    name: str, place: "Place", now: "Callable[[], float]", troubles: list[str]
) -> "Policy":
    """The policy of that name.

    Args:
        name: One of `POLICIES`.
        place: Where it writes.
        now: Seconds since the epoch.
        troubles: Where it tells, in clauses, what could not be written.
    """
    if name == SYNCED:
        from kubelag.kube.cache.synced import Synced  # noqa: PLC0415 - only if chosen

        return Synced(place, now, troubles)
    from kubelag.kube.cache.checksummed import Checksummed  # noqa: PLC0415 - only if chosen

    return Checksummed(place, now, troubles)
