"""The kernel's own table of a host's TCP connections, for helpers that wait for one. IPv4."""

import ipaddress
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

TABLE = Path("/proc/net/tcp")
ESTABLISHED = "01"
"""Source of the states: include/net/tcp_states.h."""


class Row(NamedTuple):
    """One connection, as the table writes it."""

    local: str
    state: str
    inode: str


def hex_end(address: str, port: int) -> str:
    """As the table writes it: the address as a number of this machine's byte order."""
    number = int.from_bytes(ipaddress.ip_address(address).packed, sys.byteorder)
    return f"{number:08X}:{port:04X}"


def connections_to(remote: str) -> Iterator[Row]:
    """This host's connections to one end, in whatever state."""
    for line in TABLE.read_text(encoding="ascii").splitlines()[1:]:
        # sl local remote state queues timer retransmissions uid timeout inode
        fields = line.split()
        if fields[2] == remote:
            yield Row(local=fields[1], state=fields[3], inode=fields[9])
