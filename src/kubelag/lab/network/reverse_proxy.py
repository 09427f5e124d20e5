"""HTTP/1.1 requests of one client, passed on one after another, with their answers.

Headers and bodies pass unchanged, bodies piece by piece as they come, so that watches work.
"""

import asyncio
from collections.abc import Awaitable, Callable

import h11

from kubelag.lab.network.streams import HttpLine, pump, until_one_fails

IDLE_S = 120.0
"""How long a client may be silent between requests; longer than any client of the lab idles."""
BAD_GATEWAY, SWITCHING = 502, 101

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


async def relay_http(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    connect: Connect,
    count_request: Callable[[], None],
) -> None:
    """Serve one client until it goes.

    Raises:
        OSError: The client's connection broke.
    """
    client = HttpLine(h11.SERVER, reader, writer)
    upstream = _Upstream(connect)
    try:
        while (request := await _next_request(client)) is not None:
            count_request()
            if not await _exchange(client, upstream, request):
                return
    except h11.ProtocolError as error:
        await client.answer(error.error_status_hint, f"This is not HTTP/1.1: {error}")
    finally:
        upstream.close()


class _Upstream:
    """The one connection that serves this client; made anew when it has ended."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._line: HttpLine | None = None

    async def line(self) -> HttpLine:
        """A connection that is ready for a request."""
        if self._line is not None and _is_ready(self._line):
            return self._line
        self.close()
        reader, writer = await self._connect()
        self._line = HttpLine(h11.CLIENT, reader, writer)
        return self._line

    def close(self) -> None:
        if self._line is not None:
            self._line.writer.close()


class _BadAnswerError(Exception):
    """The upstream is not reached, breaks off, or does not speak HTTP/1.1."""


async def _next_request(client: HttpLine) -> h11.Request | None:
    """None when the client has gone, or has been silent for too long."""
    try:
        async with asyncio.timeout(IDLE_S):
            event = await client.next_event()
    except TimeoutError:
        return None
    return event if isinstance(event, h11.Request) else None


async def _exchange(client: HttpLine, upstream: _Upstream, request: h11.Request) -> bool:
    """Pass on one request and its answer; whether the client may send another."""
    try:
        line = await _sent(upstream, request)
        asking = asyncio.ensure_future(_pass_request(client, line))
        answering = asyncio.ensure_future(_pass_answer(line, client))
        try:
            await asyncio.wait({asking, answering}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                return False  # the client has gone
            answering.result()
        finally:
            await _cancelled(asking, answering)
    except _BadAnswerError as error:
        await client.answer(BAD_GATEWAY, str(error))
        return False
    if client.state.our_state is h11.SWITCHED_PROTOCOL:
        await _pass_anything(client, line)
        return False
    return _begins_again(client) and _begins_again(line)


async def _sent(upstream: _Upstream, request: h11.Request) -> HttpLine:
    try:
        line = await upstream.line()
        await line.send(
            h11.Request(method=request.method, target=request.target, headers=request.headers)
        )
    except OSError as error:
        raise _BadAnswerError(f"The upstream cannot be asked: {error}") from error
    return line


async def _pass_request(client: HttpLine, line: HttpLine) -> None:
    """Pass on the body; then wait until the client goes, which ends a watch."""
    event = await client.next_event()
    while isinstance(event, h11.Data):
        await line.send(event)
        event = await client.next_event()
    if isinstance(event, h11.EndOfMessage):
        await line.send(event)
    while await client.listen():
        pass


async def _pass_answer(line: HttpLine, client: HttpLine) -> None:
    event: object = None
    while not isinstance(event, h11.EndOfMessage):
        try:
            event = await line.next_event()
        except (OSError, h11.RemoteProtocolError) as error:
            raise _BadAnswerError(f"The upstream broke off: {error}") from error
        if not isinstance(
            event, h11.InformationalResponse | h11.Response | h11.Data | h11.EndOfMessage
        ):
            raise _BadAnswerError("The upstream broke off")
        await client.send(event)
        if isinstance(event, h11.InformationalResponse) and event.status_code == SWITCHING:
            return


async def _pass_anything(client: HttpLine, line: HttpLine) -> None:
    """Both speak a protocol that is none of ours from now on."""
    line.writer.write(client.state.trailing_data[0])
    client.writer.write(line.state.trailing_data[0])
    await until_one_fails(pump(client.reader, line.writer), pump(line.reader, client.writer))


def _is_ready(line: HttpLine) -> bool:
    return line.state.our_state is h11.IDLE and not line.reader.at_eof()


def _begins_again(line: HttpLine) -> bool:
    """Whether the connection is ready for another request."""
    try:
        line.state.start_next_cycle()
    except h11.LocalProtocolError:  # one side closes, or did not say all that it began
        return False
    return True


async def _cancelled(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
