"""Where the API servers of a group are: hosts, addresses, and sockets made inside the hosts."""

import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from kubelag.errors import LabError
from kubelag.lab.control_plane.options import Member
from kubelag.lab.network.namespaces import Namespace

BACKLOG = 512
"""Connections that may wait while a server starts: an old client opens 61 at once."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""A label of a host name. Source: RFC 1123 section 2.1."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one API server of a group is."""

    name: str
    """A host name without dots: of its directory, and in its certificate."""
    namespace: Namespace | None
    """Its host; None for the machine's own network, where only the address is listened on."""
    address: str
    """By which the others know it, and which its host has, now or later."""
    port: int = 6443
    """0 for one that is free."""

    @property
    def member(self) -> Member:
        """As the others know it."""
        return Member(address=self.address, port=self.port)

    @property
    def url(self) -> str:
        """Of its server."""
        return f"https://{self.member.authority}"

    def do(self, action: Callable[[], _T]) -> _T:
        """What an action returns that runs on its host."""
        return self.namespace.do(action) if self.namespace else action()

    @property
    def listen_address(self) -> str:
        """A host of its own is listened on as a whole, with both families where it has them."""
        if self.namespace is None:
            return self.address
        return "::" if self.do(socket.has_dualstack_ipv6) else "0.0.0.0"  # noqa: S104 - a namespace

    def listen(self) -> socket.socket:
        """The socket of its server.

        Raises:
            LabError: The address is not there, or somebody listens on the port.
        """
        address = self.listen_address
        is_whole = address == "::"
        family = socket.AF_INET6 if ":" in address else socket.AF_INET

        def listen() -> socket.socket:
            return socket.create_server(
                (address, self.port), family=family, backlog=BACKLOG, dualstack_ipv6=is_whole
            )

        try:
            return self.do(listen)
        except OSError as error:
            raise LabError(
                f"{self.name} cannot listen on {self.member.authority}: {error.strerror}",
                "give it the address, or end what listens there",
            ) from error


def check_places(places: Sequence[Place]) -> None:
    """Refuse places that could not be told apart.

    Raises:
        LabError: There is none, or a name is taken twice or is no host name.
    """
    if not places:
        raise LabError("A group of API servers needs a place", "name at least one")
    names = [place.name for place in places]
    for name in names:
        if not _NAME.fullmatch(name):
            raise LabError(f"{name!r} is no name for an API server", "use letters and digits")
        if names.count(name) > 1:
            raise LabError(f"Two API servers are named {name}", "name each differently")
