"""Which card answers for an address of the local network: the kernel's neighbour table.

Asked through rtnetlink (rtnetlink(7), RTM_GETNEIGH), which needs no privilege and sends nothing
onto the network. An address behind a router has no entry of its own. A virtual IP that fails over
shows as the same address with another MAC.
"""

import socket
import struct
import time
from collections.abc import Callable, Collection
from contextlib import closing

from kubelag.model.path import Neighbour
from kubelag.observe.sock_diag import SocketListError, attributes, ip_text, messages

_GET_NEIGHBOURS, _NEW_NEIGHBOUR, _DONE = 30, 28, 3
_DUMP = 0x301
_ADDRESS, _CARD = 1, 2
_HEADER = struct.Struct("=IHHII")
_ENTRY = struct.Struct("=BBHiHBB")
_STATES = (
    (0x02, "REACHABLE"),
    (0x80, "PERMANENT"),
    (0x40, "NOARP"),
    (0x04, "STALE"),
    (0x08, "DELAY"),
    (0x10, "PROBE"),
    (0x01, "INCOMPLETE"),
    (0x20, "FAILED"),
)
_RECEIVE_BYTES = 1 << 18
TIMEOUT_S = 1.0
"""The kernel answers at once; this only keeps a broken one from holding us. Arbitrary."""


def encode_request(sequence: int) -> bytes:
    """The question for every neighbour, of both families."""
    length = _HEADER.size + _ENTRY.size
    header = _HEADER.pack(length, _GET_NEIGHBOURS, _DUMP, sequence, 0)
    return header + _ENTRY.pack(socket.AF_UNSPEC, 0, 0, 0, 0, 0, 0)


def decode(data: bytes, sequence: int, at_ns: int) -> tuple[list[Neighbour], bool]:
    """The neighbours in one piece of the answer, and whether it was the last.

    An entry without a card yet (nobody has answered) has an empty `mac`.

    Raises:
        SocketListError: Where the kernel refuses, or the bytes are no such answer.
    """
    found: list[Neighbour] = []
    for kind, body in messages(data, sequence):
        if kind == _DONE:
            return found, True
        entry = _neighbour(body, at_ns) if kind == _NEW_NEIGHBOUR else None
        if entry is not None:
            found.append(entry)
    return found, False


def _neighbour(body: memoryview, at_ns: int) -> Neighbour | None:
    """None for what is no neighbour of an IP network (a bridge's table)."""
    if len(body) < _ENTRY.size:
        raise SocketListError(f"the kernel's answer has a neighbour of {len(body)} bytes")
    family, _, _, _, state, _, _ = _ENTRY.unpack_from(body)
    if family not in {socket.AF_INET, socket.AF_INET6}:
        return None
    told = dict(attributes(body[_ENTRY.size :]))
    if _ADDRESS not in told:
        return None
    return Neighbour(
        at_ns=at_ns,
        address=ip_text(family, bytes(told[_ADDRESS])),
        mac=bytes(told.get(_CARD, b"")).hex(":"),
        state=next((name for bit, name in _STATES if state & bit), "NONE"),
    )


def read_neighbours(
    addresses: Collection[str], clock_ns: Callable[[], int] = time.time_ns
) -> tuple[Neighbour, ...]:
    """The entries of some IP addresses; those that have none are not in the answer.

    Raises:
        SocketListError: Where the kernel does not tell.
    """
    if not addresses:
        return ()
    found: list[Neighbour] = []
    try:
        with closing(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)) as nl:
            nl.settimeout(TIMEOUT_S)
            nl.send(encode_request(1))
            is_last = False
            while not is_last:
                some, is_last = decode(nl.recv(_RECEIVE_BYTES), 1, clock_ns())
                found += some
    except OSError as error:
        raise SocketListError(f"the kernel does not list neighbours: {error}") from error
    return tuple(entry for entry in found if entry.address in addresses)
