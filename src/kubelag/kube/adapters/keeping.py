"""What every adapter asks for: discovery as it is known, and kept for the next process."""

from kubelag.errors import ApiError, TransportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kubelag.kube.discovery.service import Discovery
    from kubelag.kube.discovery.snapshot import Snapshot


def known(discovery: "Discovery") -> "Snapshot":
    """Everything known, from the cache where it can be.

    Raises:
        TransportError: If the server had to be asked and could not be.
        ApiError: If it refused to tell.
    """
    discovery.snapshot()
    settle(discovery)
    return discovery.snapshot()


def renewed(discovery: "Discovery") -> "Snapshot":
    """Everything, asked for now: two conditional requests where nothing has changed.

    Raises:
        TransportError: If the server could not be asked.
        ApiError: If it refused to tell.
    """
    discovery.refresh()
    settle(discovery)
    return discovery.snapshot()


def settle(discovery: "Discovery") -> None:
    """Write what is new and renew what is old, at once.

    Nobody closes a client that is buried in another library, and a process may live for weeks, so
    nothing is left for later. What is old stays good where the server cannot be asked.
    """
    if not discovery.has_work_left:
        return
    try:
        discovery.settle()
    except (ApiError, TransportError):
        return
