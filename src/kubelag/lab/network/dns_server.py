"""Name servers for the lab: dead, slow, deaf to AAAA, or slow to say that a name is unknown.

It serves UDP and TCP on several addresses; each is a name server of its own, and all know
the same names. A message that is delayed holds up no other. What is counted, by address:
`ADDRESS TYPE`, questions by type, whether answered or not, and `ADDRESS noise`.

The process is `python -m kubelag.lab.network.dns_server DIR`.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from kubelag.lab.network.dns_answers import (
    DnsSettings,
    NameServer,
    Records,
    Zone,
    checked_servers,
    udp_limit_bytes,
)
from kubelag.lab.network.served import Program
from kubelag.lab.network.serving import Counts, run

__all__ = ["DnsSettings", "NameServer", "Records"]

DNS = Program(
    name="dns",
    module="kubelag.lab.network.dns_server",
    settings=DnsSettings,
    sockets=(socket.SOCK_DGRAM, socket.SOCK_STREAM),
)
TCP_BYTES = 65535
"""Bytes of a message by TCP. Source: RFC 1035, section 4.2.2."""
TCP_IDLE_S = 30.0
"""How long a connection may say nothing. Arbitrary; resolvers of the lab ask at once."""


class DnsServer:
    """All name servers of one process."""

    def __init__(self, sockets: Sequence[socket.socket], counts: Counts) -> None:
        self._sockets = sockets
        self._counts = counts
        self._zone = Zone(DnsSettings())
        self._servers: Mapping[str, NameServer] = {}
        self._serving: list[object] = []

    async def apply(self, settings: DnsSettings) -> None:
        """Know and behave like this from now on.

        Raises:
            LabError: An address is none, or no name server's.
        """
        addresses = frozenset(one.getsockname()[0] for one in self._sockets)
        servers = checked_servers(settings, addresses)
        self._zone, self._servers = Zone(settings), servers
        if not self._serving:
            self._serving = [await self._serve(one) for one in self._sockets]

    async def _serve(self, bound: socket.socket) -> object:
        address = bound.getsockname()[0]
        if bound.type == socket.SOCK_STREAM:
            return await asyncio.start_server(
                lambda reader, writer: self._converse(address, reader, writer), sock=bound
            )
        loop = asyncio.get_running_loop()
        return await loop.create_datagram_endpoint(lambda: _Datagrams(self, address), sock=bound)

    async def _converse(
        self, address: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer question after question, each in its own time."""

        def send(answer: bytes) -> None:
            if not writer.is_closing():
                writer.write(len(answer).to_bytes(2, "big") + answer)

        try:
            with contextlib.suppress(asyncio.IncompleteReadError, TimeoutError, OSError):
                while True:
                    async with asyncio.timeout(TCP_IDLE_S):
                        length = int.from_bytes(await reader.readexactly(2), "big")
                        data = await reader.readexactly(length)
                    self.hear(address, data, TCP_BYTES, send)
        finally:
            writer.close()

    def hear(
        self, address: str, data: bytes, limit_bytes: int, send: Callable[[bytes], None]
    ) -> None:
        """Take one message, and send the answer, if there is one, when its time has come."""
        answer = self._zone.answer(data, self._servers[address])
        self._counts.add(f"{address} {answer.kind}")
        if answer.message is not None:
            packed = answer.packed(limit_bytes)
            asyncio.get_running_loop().call_later(answer.delay_s, send, packed)


class _Datagrams(asyncio.DatagramProtocol):
    """One name server's UDP."""

    def __init__(self, server: DnsServer, address: str) -> None:
        self._server = server
        self._address = address
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        transport = self._transport
        if transport is not None:
            limit_bytes = udp_limit_bytes(data)
            self._server.hear(
                self._address, data, limit_bytes, lambda answer: transport.sendto(answer, addr)
            )


def main() -> None:
    """Serve until told to end."""
    run(DnsSettings, DnsServer)


if __name__ == "__main__":
    main()
