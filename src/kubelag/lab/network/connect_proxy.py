"""A CONNECT proxy for the lab: working, slow, silent or refusing.

It resolves names by its settings alone, never by the machine's DNS, and connects from the host on
which it runs. What is counted: `asked` (every CONNECT), `tunnels` (those that came to be),
`refused` (those that were told no), and `not understood`.

The process is `python -m kubelag.lab.network.connect_proxy DIR`.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import h11

from kubelag.errors import LabError
from kubelag.lab.network.served import Program
from kubelag.lab.network.serving import Counts, run
from kubelag.lab.network.streams import (
    HttpLine,
    closing_line,
    pump,
    split_place,
    until_one_fails,
)

HEAD_S = 30.0
"""How long a client may take to say what it wants. Arbitrary; clients of the lab say it at once."""
OK, NOT_ALLOWED, BAD_GATEWAY, GATEWAY_TIMEOUT = 200, 405, 502, 504
REFUSALS = range(400, 600)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """How a proxy behaves; by itself it works."""

    silent: bool = False
    """It accepts, and never answers."""
    delay_s: float = 0.0
    """Before every answer to CONNECT."""
    refusal_status: int = 0
    """Such as 403 or 502: the answer to every CONNECT; 0 for none."""
    connect_timeout_s: float = 10.0
    """How long the way to the other end may take before the answer is 504."""
    hosts: Mapping[str, str] = field(default_factory=dict)
    """Addresses by name, in lower case; other names do not exist."""


PROXY = Program(name="proxy", module="kubelag.lab.network.connect_proxy", settings=ProxySettings)


class ConnectProxy:
    """One proxy."""

    def __init__(self, sockets: Sequence[socket.socket], counts: Counts) -> None:
        self._sockets = sockets
        self._counts = counts
        self._settings = ProxySettings()
        self._serving: list[asyncio.Server] = []

    async def apply(self, settings: ProxySettings) -> None:
        """Behave like this from now on; tunnels that exist stay.

        Raises:
            LabError: The status is none of a refusal, or an address is none.
        """
        _check(settings)
        self._settings = settings
        if not self._serving:
            self._serving = [
                await asyncio.start_server(self._greet, sock=one) for one in self._sockets
            ]

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing_line(writer):
            client = HttpLine(h11.SERVER, reader, writer)
            try:
                async with asyncio.timeout(HEAD_S):
                    request = await client.next_event()
            except h11.RemoteProtocolError as error:
                self._counts.add("not understood")
                await client.answer(error.error_status_hint, "This is no request to a proxy")
                return
            if isinstance(request, h11.Request):
                await self._hear(client, request)

    async def _hear(self, client: HttpLine, request: h11.Request) -> None:
        if request.method != b"CONNECT":
            self._counts.add("not understood")
            await client.answer(NOT_ALLOWED, "This proxy only makes tunnels")
            return
        self._counts.add("asked")
        settings = self._settings
        if settings.silent:
            await _wait_gone(client)
            return
        await asyncio.sleep(settings.delay_s)
        await self._connect(client, request.target.decode("ascii"), settings)

    async def _connect(self, client: HttpLine, target: str, settings: ProxySettings) -> None:
        status, words = settings.refusal_status, "This proxy refuses everything"
        if not status:
            try:
                host, port = _resolved(target, settings.hosts)
                async with asyncio.timeout(settings.connect_timeout_s):
                    reader, writer = await asyncio.open_connection(host, port)
            except ValueError as error:
                status, words = BAD_GATEWAY, str(error)
            except TimeoutError:
                status, words = GATEWAY_TIMEOUT, f"{target} did not answer in time"
            except OSError as error:
                status, words = BAD_GATEWAY, f"{target} cannot be reached: {error.strerror}"
        if status:
            self._counts.add("refused")
            await client.answer(status, words)
            return
        self._counts.add("tunnels")
        with closing_line(writer):
            await _tunnel(client, reader, writer)


def _check(settings: ProxySettings) -> None:
    if settings.refusal_status and settings.refusal_status not in REFUSALS:
        raise LabError(
            f"A proxy does not refuse with {settings.refusal_status}", "choose a status from 400 on"
        )
    for name, address in settings.hosts.items():
        try:
            ipaddress.ip_address(address)
        except ValueError as error:
            raise LabError(f"The name {name} cannot have the address {address}") from error


def _resolved(target: str, hosts: Mapping[str, str]) -> tuple[str, int]:
    """Address and port of what a CONNECT asks for.

    Raises:
        ValueError: It is not of the form `HOST:PORT`, or the name does not exist.
    """
    host, port = split_place(target)
    address = hosts.get(host.lower(), host)
    try:
        ipaddress.ip_address(address)
    except ValueError as error:
        raise ValueError(f"{host} does not exist") from error
    return address, port


async def _wait_gone(client: HttpLine) -> None:
    while await client.reader.read(1024):
        pass


async def _tunnel(
    client: HttpLine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await client.send(h11.Response(status_code=OK, headers=[], reason=b"Connection established"))
    early, _ = client.state.trailing_data  # said before it was answered
    writer.write(early)
    await until_one_fails(pump(client.reader, writer), pump(reader, client.writer))


def main() -> None:
    """Serve until told to end."""
    run(ProxySettings, ConnectProxy)


if __name__ == "__main__":
    main()
