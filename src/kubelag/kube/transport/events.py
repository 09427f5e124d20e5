"""What a client's observer is told: where each request's time went, and how it ended.

Clock: `time.perf_counter_ns`, nanoseconds.
"""

from kubelag.kube.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    PhaseKind = Literal[
        "dns", "connect", "proxy", "tls", "credential", "server", "transfer", "wait", "cache"
    ]


class Phase(Record):
    """A stretch of time with one name."""

    kind: "PhaseKind"
    """`dns`: a name was looked up. `connect`: TCP, one for each address tried. `proxy`: the proxy
    was asked for a way through. `tls`: the handshake. `credential`: a plugin ran. `server`: from
    the request's last byte to the answer's first. `transfer`: from there to its last. `wait`: the
    server asked for patience (Retry-After). `cache`: the discovery cache was read."""
    began_ns: int
    ended_ns: int
    request: "int | None" = None
    """Number of the request, counted by the client from 1; None where it serves several."""
    connection: "int | None" = None
    """Number of the connection, counted by the client from 1."""
    detail: str = ""
    """The name looked up, the address, the TLS version, what failed: never a credential."""
    is_failure: bool = False


class RequestDone(Record):
    """One request came to its end."""

    request: int
    connection: "int | None"
    """None where none could be made."""
    method: str
    target: str
    status: "int | None"
    """None where no whole answer came; `why` says why."""
    began_ns: int
    """When it was handed to the client, before a connection was looked for."""
    ended_ns: int
    received_bytes: int = 0
    why: str = ""


class Waiting(Record):
    """Another second has passed in which nothing came; so that somebody can be told."""

    server: str
    """`HOST:PORT`."""
    waited_s: float
    """Since the last sign of life."""
    answers: int
    """How many answers are still owed; 0 while a connection is being made."""


if TYPE_CHECKING:
    Event = Phase | RequestDone | Waiting
    Observer = Callable[[Event], None]


def no_observer(_event: "Event") -> None:
    """Looks away."""
