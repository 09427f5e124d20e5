"""Two boxes that stand between clients and API servers, for the lab.

- `http1`: ends TLS and speaks only HTTP/1.1, so that clients need one connection for each request
  in flight. It asks an upstream over a TLS connection of its own, so client certificates cannot
  pass; bearer tokens do, as all headers.
- `slow_tls`: passes bytes on, and holds back the first that the server says, which answer the
  client's hello.

Upstreams are taken in turn, one for each connection. What is counted: `connections`, `requests`
(http1), `UPSTREAM`, connections to that upstream, and `unreachable UPSTREAM`.

The process is `python -m kubelag.lab.network.middlebox DIR`.
"""

import asyncio
import itertools
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kubelag.errors import LabError
from kubelag.lab.network.reverse_proxy import relay_http
from kubelag.lab.network.served import Program
from kubelag.lab.network.serving import Counts, run
from kubelag.lab.network.streams import (
    CHUNK_BYTES,
    closing_line,
    pump,
    split_place,
    until_one_fails,
)

CONNECT_S = 10.0
"""How long an upstream may take to accept. Arbitrary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MiddleboxSettings:
    """Which box, and what is behind it."""

    mode: Literal["http1", "slow_tls"]
    upstreams: tuple[str, ...]
    """`HOST:PORT`, where HOST is an address; IPv6 in brackets."""
    delay_s: float = 0.0
    """slow_tls: how long the server's first bytes are held back."""
    certificate: Path | None = None
    """http1: PEM file with the chain that clients see."""
    key: Path | None = None
    """http1: PEM file with its key."""
    handshake_s: float = 0.0
    """http1: how long a TLS handshake keeps the whole box from anything else."""
    upstream_ca: Path | None = None
    """http1: PEM file of the authority that the upstreams' certificates must be from."""
    upstream_name: str = ""
    """http1: the name or address in the upstreams' certificates; empty for each one's HOST."""


MIDDLEBOX = Program(
    name="middlebox", module="kubelag.lab.network.middlebox", settings=MiddleboxSettings
)


class Middlebox:
    """One box."""

    def __init__(self, sockets: Sequence[socket.socket], counts: Counts) -> None:
        self._sockets = sockets
        self._counts = counts
        self._serving: list[asyncio.Server] = []

    async def apply(self, settings: MiddleboxSettings) -> None:
        """Be this box for every connection from now on; those that exist stay as they are.

        Raises:
            LabError: There is no upstream, or a file is missing or not what it should be.
        """
        upstreams = Upstreams(settings, self._counts)
        line = _Http1(upstreams) if settings.mode == "http1" else _SlowTls(upstreams, settings)
        tls = _server_context(settings) if settings.mode == "http1" else None
        former = self._serving
        # a copy of each socket is closed with its server; clients wait in the one that stays
        self._serving = [
            await asyncio.start_server(line.converse, sock=one.dup(), ssl=tls)
            for one in self._sockets
        ]
        for server in former:
            server.close()


class Upstreams:
    """What is behind the box, in turn.

    Raises:
        LabError: There is none, or it is not an address with a port.
    """

    def __init__(self, settings: MiddleboxSettings, counts: Counts) -> None:
        self._places = tuple(_place(text) for text in settings.upstreams)
        if not self._places:
            raise LabError("A middlebox needs an upstream", "name one as HOST:PORT")
        self._turns: Iterator[int] = itertools.cycle(range(len(self._places)))
        self._texts = settings.upstreams
        self._tls = _client_context(settings) if settings.mode == "http1" else None
        self._name = settings.upstream_name
        self.counts = counts

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the next one.

        Raises:
            OSError: It cannot be reached, or cannot be trusted.
        """
        turn = next(self._turns)
        host, port = self._places[turn]
        name = (self._name or host) if self._tls else None
        self.counts.add(self._texts[turn])
        try:
            async with asyncio.timeout(CONNECT_S):  # its TimeoutError is an OSError
                return await asyncio.open_connection(
                    host, port, ssl=self._tls, server_hostname=name
                )
        except OSError:
            self.counts.add(f"unreachable {self._texts[turn]}")
            raise


class _Http1:
    """The box that ends TLS."""

    def __init__(self, upstreams: Upstreams) -> None:
        self._upstreams = upstreams

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        counts = self._upstreams.counts
        counts.add("connections")
        with closing_line(writer):
            await relay_http(
                reader, writer, self._upstreams.connect, lambda: counts.add("requests")
            )


class _SlowTls:
    """The box that holds back the answer to the hello."""

    def __init__(self, upstreams: Upstreams, settings: MiddleboxSettings) -> None:
        self._upstreams = upstreams
        self._delay_s = settings.delay_s

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._upstreams.counts.add("connections")
        with closing_line(writer):
            behind, towards = await self._upstreams.connect()
            with closing_line(towards):
                await until_one_fails(pump(reader, towards), self._answer(behind, writer))

    async def _answer(self, behind: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await behind.read(CHUNK_BYTES)
        await asyncio.sleep(self._delay_s)
        writer.write(first)
        await pump(behind, writer)


def _server_context(settings: MiddleboxSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    # Called for each hello, in the one thread that there is: as a signature would, it blocks.
    context.sni_callback = lambda *_hello: time.sleep(settings.handshake_s)
    if settings.certificate is None or settings.key is None:
        raise LabError("A middlebox that ends TLS needs a certificate and its key")
    try:
        context.load_cert_chain(settings.certificate, settings.key)
    except OSError as error:
        raise LabError(
            f"{settings.certificate} with {settings.key} is no certificate: {error}"
        ) from error
    return context


def _client_context(settings: MiddleboxSettings) -> ssl.SSLContext:
    if settings.upstream_ca is None:
        raise LabError("A middlebox that ends TLS needs the authority of its upstreams")
    try:
        context = ssl.create_default_context(cafile=settings.upstream_ca)
    except OSError as error:
        raise LabError(f"{settings.upstream_ca} holds no authority: {error}") from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def _place(text: str) -> tuple[str, int]:
    try:
        return split_place(text)
    except ValueError as error:
        raise LabError(f"The upstream {error}") from error


def main() -> None:
    """Serve until told to end."""
    run(MiddleboxSettings, Middlebox)


if __name__ == "__main__":
    main()
