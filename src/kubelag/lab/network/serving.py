"""The inner side of a small server: its settings, read again on SIGHUP, and its orderly end.

The server's directory holds what it was ordered (`start.json`), what it is to be like
(`settings.json`), which of these settings act (`acting.json`) and what it has seen
(`counts.json`).
"""

import asyncio
import logging
import signal
import socket
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from kubelag.errors import LabError
from kubelag.lab.control_plane.tether import tie_to_parent
from kubelag.lab.private_files import write_private

ORDERS_FILE = "start.json"
SETTINGS_FILE = "settings.json"
ACTING_FILE = "acting.json"
COUNTS_FILE = "counts.json"
COUNTS_S = 0.05
"""How long counts may lag behind, so that many at once cost one write. Arbitrary."""

_T = TypeVar("_T")
_Settings_contra = TypeVar("_Settings_contra", contravariant=True)
_Kind = TypeVar("_Kind")


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What a server is told once."""

    listen_fds: tuple[int, ...]
    parent_pid: int | None
    """The process whose death ends the server; None for a daemon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a server is to be like."""

    generation: int
    """Grows with every change."""
    settings: msgspec.Raw


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """What a server says of its settings."""

    generation: int
    """The last one that it looked at."""
    problem: str = ""
    """Why the former one still acts; empty where this one does."""


def read_wish(directory: Path) -> Wish:
    """What the server in this directory is to be like."""
    return msgspec.json.decode((directory / SETTINGS_FILE).read_bytes(), type=Wish)


def text_of(settings: object) -> bytes:
    """Settings as JSON; paths become text."""
    return msgspec.json.encode(settings, enc_hook=str)


def value_of(text: msgspec.Raw, kind: type[_T]) -> _T:
    """Settings from JSON.

    Raises:
        msgspec.ValidationError: They are of another kind.
    """
    return msgspec.json.decode(text, type=kind, dec_hook=lambda kind, text: kind(text))


class Counts:
    """What a server has seen, by name, in a file that others may read at any time."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / COUNTS_FILE
        self._seen: Counter[str] = Counter()
        self._is_due = False

    def add(self, name: str) -> None:
        """Count one; called inside the running loop."""
        self._seen[name] += 1
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_later(COUNTS_S, self.write)

    def write(self) -> None:
        """Bring the file up to date."""
        self._is_due = False
        write_private(self._path, msgspec.json.encode(dict(self._seen)))


class Server(Protocol[_Settings_contra]):
    """What each of the servers is."""

    async def apply(self, settings: _Settings_contra) -> None:
        """Behave like this from now on; the first call begins to serve.

        Raises:
            LabError: It cannot; nothing has changed.
        """


def run(
    kind: type[_Kind], make: Callable[[Sequence[socket.socket], Counts], Server[_Kind]]
) -> None:
    """Be the server in the directory that is the first argument, until told to end."""
    logging.basicConfig(level=logging.WARNING)
    directory = Path(sys.argv[1])
    orders = msgspec.json.decode((directory / ORDERS_FILE).read_bytes(), type=Orders)
    if orders.parent_pid is not None:
        tie_to_parent(orders.parent_pid)
    sockets = tuple(socket.socket(fileno=descriptor) for descriptor in orders.listen_fds)
    counts = Counts(directory)
    asyncio.run(_serve(directory, kind, make(sockets, counts), counts))


async def _serve(directory: Path, kind: type[_Kind], server: Server[_Kind], counts: Counts) -> None:
    wanted: asyncio.Queue[bool] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_log_all_but_lines)
    loop.add_signal_handler(signal.SIGHUP, wanted.put_nowait, True)  # noqa: FBT003 - to go on
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, wanted.put_nowait, False)  # noqa: FBT003 - to end
    goes_on = True
    while goes_on:
        acting = await _applied(read_wish(directory), kind, server)
        counts.write()  # what was seen under the former settings is told before the new ones act
        write_private(directory / ACTING_FILE, msgspec.json.encode(acting))
        goes_on = await wanted.get()


async def _applied(wish: Wish, kind: type[_Kind], server: Server[_Kind]) -> Acting:
    try:
        await server.apply(value_of(wish.settings, kind))
    except (LabError, msgspec.ValidationError) as error:
        return Acting(generation=wish.generation, problem=str(error))
    return Acting(generation=wish.generation)


def _log_all_but_lines(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    # clients that break off or distrust us are none of the lab's trouble
    if not isinstance(context.get("exception"), OSError):
        loop.default_exception_handler(context)
