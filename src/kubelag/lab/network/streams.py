"""Bytes from one connection to another, and HTTP/1.1 on a connection."""

import asyncio
import contextlib
import http.client
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager

import h11

CHUNK_BYTES = 65536
HEAD_BYTES = 65536
"""The longest head of a message; what is longer is refused. Arbitrary; API servers take 1 MiB, and
kubectl sends less than 4 KiB."""


class HttpLine:
    """One end of an HTTP/1.1 conversation."""

    def __init__(
        self,
        role: type[h11.SERVER] | type[h11.CLIENT],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.state = h11.Connection(role, max_incomplete_event_size=HEAD_BYTES)

    async def next_event(self) -> h11.Event | type[h11.PAUSED]:
        """The next thing that the peer says.

        Raises:
            h11.RemoteProtocolError: It is not HTTP/1.1, or ends too soon.
            OSError: The connection broke.
        """
        while (event := self.state.next_event()) is h11.NEED_DATA:
            await self.listen()
        return event  # type: ignore[return-value] # NEED_DATA is excluded by the loop

    async def listen(self) -> bool:
        """Take what the peer sends next, for later; whether it may send more."""
        data = await self.reader.read(CHUNK_BYTES)
        self.state.receive_data(data)
        return bool(data)

    async def send(self, event: h11.Event) -> None:
        """Say something.

        Raises:
            h11.LocalProtocolError: It must not be said now.
            OSError: The connection broke.
        """
        if data := self.state.send(event):
            self.writer.write(data)
            await self.writer.drain()

    async def answer(self, status: int, words: str) -> None:
        """Give an answer of our own, if it is not too late for one, and no other after it."""
        if self.state.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return
        body = f"{words}\n".encode()
        headers = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ]
        # Go's clients show nothing but these words
        phrase = http.client.responses.get(status, "").encode()
        await self.send(h11.Response(status_code=status, headers=headers, reason=phrase))
        with contextlib.suppress(h11.LocalProtocolError):  # to HEAD there is no body
            await self.send(h11.Data(data=body))
            await self.send(h11.EndOfMessage())


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass everything on until the end, and then the end."""
    while data := await reader.read(CHUNK_BYTES):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
    else:  # TLS has no half of an end
        writer.close()


async def until_one_fails(*ways: Awaitable[None]) -> None:
    """Run all ways to their ends; the first that breaks ends the others.

    Raises:
        OSError: One way broke.
    """
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


@contextmanager
def closing_line(writer: asyncio.StreamWriter) -> Iterator[None]:
    """Close a connection in the end; one that broke is no trouble."""
    try:
        with contextlib.suppress(OSError):
            yield
    finally:
        writer.close()


def split_place(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`, where an IPv6 address stands in brackets.

    Raises:
        ValueError: It is not of that form.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ValueError(f"{text} is not HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)
