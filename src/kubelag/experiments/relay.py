"""A relay on this machine that changes one thing about the way to a server. Run as a program.

It listens on 127.0.0.1, prints its port, passes every connection on to one address, and ends when
its standard input closes. It sees only what TLS has sealed, and is told no secret.

A delay stands for a longer way: the first bytes of a connection wait for it once, since a real
handshake would have, and so does every byte that the server says. All of them are late by the same,
so that a stream loses no speed, and each exchange that is waited for costs exactly one delay more.
Two things that a longer way costs are out of its reach: looking up names, and the growth of TCP's
window, whose acknowledgements the kernel gives at once on either side of the relay.

With a segment size the kernel neither sends nor accepts larger segments on the way to the server
(TCP_MAXSEG, told in the SYN).
"""

import argparse
import asyncio
import ipaddress
import selectors
import socket
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

_CHUNK_BYTES = 65_536
# Chunks that may wait for their time in one connection; 16 MB, arbitrary. Then nothing more is read
# until one has left.
_WAITING_CHUNKS = 256
_BACKLOG = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """Where to, and what is changed on the way."""

    host: str
    port: int
    delay_s: float = 0.0
    segment_bytes: int | None = None

    async def serve(self) -> asyncio.Server:
        """Listen on a port of 127.0.0.1 that is free."""
        return await asyncio.start_server(self._pass_on, "127.0.0.1", 0, backlog=_BACKLOG)

    async def _pass_on(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            far_reader, far_writer = await self._connect()
        except OSError:
            writer.transport.abort()
            return
        way = _Way(self.delay_s)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(way.send(reader, far_writer))
                group.create_task(way.receive(far_reader, writer))
        except* OSError:
            pass  # whichever end has gone, the other is told below
        finally:
            for one in (far_writer, writer):
                one.close()

    async def _connect(self) -> tuple[StreamReader, StreamWriter]:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        outgoing = socket.socket(family, socket.SOCK_STREAM)
        try:
            outgoing.setblocking(False)  # noqa: FBT003 - its only form
            outgoing.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.segment_bytes is not None:
                outgoing.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, self.segment_bytes)
            await asyncio.get_running_loop().sock_connect(outgoing, (self.host, self.port))
            return await asyncio.open_connection(sock=outgoing)
        except BaseException:
            outgoing.close()
            raise


class _Way:
    """One connection's two directions."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._time = asyncio.get_running_loop().time

    async def send(self, reader: StreamReader, writer: StreamWriter) -> None:
        """From the client to the server."""
        chunk = await reader.read(_CHUNK_BYTES)
        await self._wait_until(self._time() + self._delay_s)
        while chunk:
            writer.write(chunk)
            await writer.drain()
            chunk = await reader.read(_CHUNK_BYTES)
        writer.write_eof()

    async def receive(self, reader: StreamReader, writer: StreamWriter) -> None:
        """From the server to the client, each chunk when it is due."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_WAITING_CHUNKS)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._deliver(waiting, writer))
            chunk = b"-"
            while chunk:
                chunk = await reader.read(_CHUNK_BYTES)
                await waiting.put((self._time() + self._delay_s, chunk))

    async def _deliver(
        self, waiting: "asyncio.Queue[tuple[float, bytes]]", writer: StreamWriter
    ) -> None:
        while True:
            due_s, chunk = await waiting.get()
            await self._wait_until(due_s)
            if not chunk:
                writer.write_eof()
                return
            writer.write(chunk)
            await writer.drain()

    async def _wait_until(self, due_s: float) -> None:
        if (rest_s := due_s - self._time()) > 0:
            await asyncio.sleep(rest_s)


def _precise_loop() -> asyncio.AbstractEventLoop:
    """By select: epoll counts in whole milliseconds, a fifth of the least dose.

    It knows 1,024 descriptors, some ten times those of a client without HTTP/2.
    """
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


async def _run(relay: Relay) -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    # Nobody writes to it: it becomes readable when it is closed, whatever closed it.
    loop.add_reader(sys.stdin.fileno(), over.set)
    server = await relay.serve()
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - the one thing it says
    await over.wait()
    server.close()


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser(prog="kubelag.experiments.relay")
    parser.add_argument("--target", required=True)
    parser.add_argument("--delay-s", type=float, default=0.0)
    parser.add_argument("--segment-bytes", type=int)
    told = parser.parse_args(argv)
    host, _, port = told.target.rpartition(":")
    relay = Relay(
        host=str(ipaddress.ip_address(host.strip("[]"))),
        port=int(port),
        delay_s=told.delay_s,
        segment_bytes=told.segment_bytes,
    )
    # The terminal's Ctrl-C reaches it too; we end it ourselves.
    with suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=_precise_loop) as runner:
        runner.run(_run(relay))


if __name__ == "__main__":
    main()
