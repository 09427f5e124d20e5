"""What goes over a connection, and what comes back; shared by HTTP/1.1 and HTTP/2."""

from kubelag.kube.record import Record, hidden

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol as Interface


class Request(Record):
    """One request, as it is sent."""

    method: str = "GET"
    target: str
    """Path and query, beginning with `/`, percent-encoded."""
    headers: "tuple[tuple[str, str], ...]" = hidden(default=())
    """Lower-case names; may hold a credential. Host, lengths and connection are the protocol's."""
    body: bytes = hidden(default=b"")


class Response(Record):
    """One whole answer."""

    status: int
    headers: "Mapping[str, str]"
    """Lower-case names; of a repeated header all values, joined by `, `."""
    body: bytes = hidden(default=b"")
    """As it was sent, its transfer coding taken off, its content coding not."""


class Head(Record):
    """The final status and headers of one stream have come (1xx answers are passed over)."""

    stream: int
    status: int
    headers: "Mapping[str, str]"


class Data(Record):
    """A piece of one stream's body has come."""

    stream: int
    data: bytes


class End(Record):
    """One stream is complete."""

    stream: int


class Broken(Record):
    """One stream came to an end without a whole answer; other streams may go on."""

    stream: int
    why: str
    """A clause: `the server reset the stream (REFUSED_STREAM)`."""
    is_unprocessed: bool = False
    """Whether the server is known not to have acted on it, so that any request may be repeated."""


Event = Head | Data | End | Broken


class ProtocolError(Exception):
    """The peer does not speak the protocol, and says why; the connection is of no more use."""


if TYPE_CHECKING:

    class Conversation(Interface):
        """The protocol of one connection, without its socket (sans-I/O)."""

        def capacity(self) -> int:
            """How many more requests may be sent now; 0 when the connection takes no more ever."""

        def is_open(self) -> bool:
            """Whether another request can ever be sent on this connection."""

        def send(self, request: Request) -> int:
            """Queue a request; its stream number, unique on this connection, rising."""

        def data_to_send(self) -> bytes:
            """What is to be written to the socket now; empty where nothing is."""

        def receive(self, data: bytes) -> list[Event]:
            """Take what was read from the socket; empty data is the peer's end of stream.

            Raises:
                ProtocolError: If it is no HTTP of this version.
            """
