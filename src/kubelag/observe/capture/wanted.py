"""What is asked of a capture, and what is answered."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubelag.model.network import CaptureFile, Connection, Lookup, PathMessage

# numpy takes 0.1 s to load, and who only begins a capture does not need it yet.
if TYPE_CHECKING:
    from kubelag.observe.capture.frames import Flags, Ints

DNS_PORT = 53


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which packets are looked at."""

    servers: frozenset[str] | None = None
    """`IP:port` of each; None for every TCP connection whose server's side can be told."""
    name_server_ports: frozenset[int] = frozenset({DNS_PORT})
    start_ns: int | None = None
    """Packets before it are left out."""
    end_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """By what one connection is known again in a capture of the other end."""

    client_isn: int
    """Sequence number that offsets of the client count from; its SYN's where that was seen."""
    server_isn: int
    has_begin: bool
    """Whether both SYNs were seen, so that offsets count from the connection's begin."""
    random: bytes = b""
    """The client's TLS random, empty where it was not captured."""
    client_acked: int = 0
    """Offset up to which the server was seen to acknowledge the client."""
    server_acked: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Segments with payload, in order of connection and time; all columns are of one length."""

    connection: "Ints"
    """Index into the capture's connections."""
    from_server: "Flags"
    ns: "Ints"
    start: "Ints"
    """Offset of the first byte from the side's ISN."""
    end: "Ints"
    until_ns: int
    """All before it are here; later ones found no room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureSeen:
    """All that was read from one capture."""

    file: CaptureFile
    connections: tuple[Connection, ...]
    """In the order of their first segments."""
    lookups: tuple[Lookup, ...]
    messages: tuple[PathMessage, ...]
    identities: tuple[Identity, ...]
    """One for each connection."""
    trace: Trace
    covered_ns: tuple[int, int]
    """From when to when its packets were looked at."""
