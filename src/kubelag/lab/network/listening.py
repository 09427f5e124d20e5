"""Sockets bound on a host of the lab, to be handed to a server that starts after them."""

import errno
import itertools
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from kubelag.errors import LabError
from kubelag.lab.network.namespaces import Namespace

BACKLOG = 512
"""Connections that may wait while the server starts: an old client opens 61 at once."""
PORT_TRIES = 5
"""How often a port is drawn until it is free for every socket. Arbitrary; one does as a rule."""


@contextmanager
def bound_sockets(
    namespace: Namespace | None,
    addresses: Sequence[str],
    port: int,
    kinds: Sequence[socket.SocketKind] = (socket.SOCK_STREAM,),
) -> Iterator[tuple[socket.socket, ...]]:
    """One socket for each address and kind, all with the same port; streams listen.

    Args:
        namespace: The host to which they belong for good; None for this machine.
        addresses: IPv4 or IPv6, in figures.
        port: 0 for one that is free for all of them.
        kinds: Of sockets.

    Raises:
        LabError: One cannot be bound; says which.
    """
    with ExitStack() as stack:
        yield _bind_all(stack, namespace, tuple(itertools.product(addresses, kinds)), port)


def _bind_all(
    stack: ExitStack,
    namespace: Namespace | None,
    wanted: Sequence[tuple[str, socket.SocketKind]],
    port: int,
) -> tuple[socket.socket, ...]:
    for tries_left in reversed(range(PORT_TRIES if port == 0 else 1)):
        sockets: list[socket.socket] = []
        common = port
        for address, kind in wanted:
            try:
                sockets.append(stack.enter_context(_bind(namespace, address, common, kind)))
            except OSError as error:
                if tries_left and error.errno == errno.EADDRINUSE:
                    stack.close()
                    break
                raise LabError(
                    f"{address} port {common} cannot be served: {error.strerror or error}",
                    "see whether the host has the address, and who has the port (`ss -lntup`)",
                ) from error
            common = sockets[0].getsockname()[1]
        else:
            return tuple(sockets)
    raise AssertionError  # the last try either returns or raises


def _bind(
    namespace: Namespace | None, address: str, port: int, kind: socket.SocketKind
) -> socket.socket:
    def make() -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        if kind is socket.SOCK_STREAM:
            return socket.create_server((address, port), family=family, backlog=BACKLOG)
        made = socket.socket(family, kind)
        try:
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.bind((address, port))
        except OSError:
            made.close()
            raise
        return made

    return namespace.do(make) if namespace else make()
