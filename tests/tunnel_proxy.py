"""A proxy that works, for CONNECT and SOCKS 5, and writes down what was asked of it."""

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from hostile_server import TIMEOUT_S, Exchange, HostileServer, read_head


class TunnelProxy:
    """A CONNECT and SOCKS 5 proxy that works, and counts what came through.

    Args:
        password: `NAME:PASSWORD` that SOCKS asks for; empty for none.
        places: Ports of this machine that stand for other hosts.
    """

    def __init__(self, password: str = "", places: Mapping[str, int] | None = None) -> None:
        self._password = password.encode()
        self._places = places or {}
        self.asked_for: list[str] = []
        """`HOST:PORT` of every way that was asked for."""
        self.authorizations: list[str] = []
        """Proxy-Authorization of every CONNECT."""
        self.server = HostileServer(greet=self._greet)

    @property
    def port(self) -> int:
        return self.server.port

    def _greet(self, line: socket.socket) -> None:
        first = line.recv(1, socket.MSG_PEEK)
        place = self._socks(line) if first == b"\x05" else self._connect(line)
        if place is None:
            line.close()
            return
        if place[0] in self._places:
            place = "127.0.0.1", self._places[place[0]]
        with socket.create_connection(place, timeout=TIMEOUT_S) as onward:
            line.sendall(self._welcome)
            back = threading.Thread(target=_copy, args=(onward, line), daemon=True)
            back.start()
            _copy(line, onward)
            back.join(TIMEOUT_S)
        line.close()

    def _connect(self, line: socket.socket) -> tuple[str, int] | None:
        exchange = Exchange(line, read_head(line))
        host, _, port = exchange.target.rpartition(":")
        self.asked_for.append(exchange.target)
        self.authorizations.append(exchange.header("Proxy-Authorization"))
        self._welcome = b"HTTP/1.1 200 Connection established\r\n\r\n"
        return host.strip("[]"), int(port)

    def _socks(self, line: socket.socket) -> tuple[str, int] | None:
        _, count = _exactly(line, 2)
        methods = _exactly(line, count)
        wanted = 2 if self._password else 0
        if wanted not in methods:
            line.sendall(b"\x05\xff")
            return None
        line.sendall(bytes([5, wanted]))
        if self._password and not self._is_let_in(line):
            return None
        _, _, _, kind = _exactly(line, 4)
        assert kind == 3, "a name is to be looked up by the proxy"
        host = _exactly(line, _exactly(line, 1)[0]).decode()
        port = int.from_bytes(_exactly(line, 2), "big")
        self.asked_for.append(f"{host}:{port}")
        self._welcome = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
        return host, port

    def _is_let_in(self, line: socket.socket) -> bool:
        _exactly(line, 1)
        user = _exactly(line, _exactly(line, 1)[0])
        password = _exactly(line, _exactly(line, 1)[0])
        is_let_in = user + b":" + password == self._password
        line.sendall(bytes([1, 0 if is_let_in else 1]))
        return is_let_in


@contextmanager
def proxying(password: str = "", places: Mapping[str, int] | None = None) -> Iterator[TunnelProxy]:
    """A working proxy for the time being."""
    proxy = TunnelProxy(password, places)
    try:
        yield proxy
    finally:
        proxy.server.close()


def _exactly(line: socket.socket, count: int) -> bytes:
    read = b""
    while len(read) < count:
        piece = line.recv(count - len(read))
        if not piece:
            raise OSError("hung up")
        read += piece
    return read


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
