"""What the middlebox tests have behind the box and in front of it."""

import contextlib
import json
import socket
import ssl
import threading
from dataclasses import dataclass, field
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kubelag.lab.control_plane.certificates import Certificates
from kubelag.lab.network.middlebox import MiddleboxSettings
from kubelag.lab.network.served import Served

HOME = "127.0.0.1"


class Upstream(ThreadingHTTPServer):
    """A TLS server of HTTP/1.1 that says who it is."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, name: str, certificates: Certificates) -> None:
        super().__init__((HOME, 0), Handler)
        self.name = name
        self.may_go_on = threading.Event()
        self.has_lost_client = threading.Event()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificates.server_certificate, certificates.server_key)

    @property
    def place(self) -> str:
        return f"{HOME}:{self.server_address[1]}"

    def finish_request(self, request: Any, client_address: Any) -> None:
        with (
            contextlib.suppress(OSError),
            self._context.wrap_socket(request, server_side=True) as line,
        ):
            super().finish_request(line, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Upstream

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        match self.path:
            case "/watch":
                self._watch()
            case "/broken":
                self.send_response(200)
                self.send_header("Content-Length", "100")
                self.end_headers()
                self.wfile.write(b"only this")
                self.close_connection = True
            case "/upgrade":
                self._upgrade()
            case "/last":
                self._answer(b"bye", close=True)
            case "/headers":
                self._answer(json.dumps(self.headers.items()).encode())
            case _:
                self._answer(self.server.name.encode())

    def do_POST(self) -> None:
        self._answer(self._body())

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, body: bytes, *, close: bool = False) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if close:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _watch(self) -> None:
        """Two pieces; the second when it may go on, or pieces until the client is lost."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"5\r\nfirst\r\n")
        self.connection.settimeout(0.02)
        while not self.server.may_go_on.is_set():
            with contextlib.suppress(TimeoutError):
                if not self.connection.recv(1):
                    self.server.has_lost_client.set()
                    return
        self.connection.settimeout(None)
        self.wfile.write(b"6\r\nsecond\r\n0\r\n\r\n")

    def _upgrade(self) -> None:
        """Speak another protocol: every line comes back."""
        self.send_response(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", "echo")
        self.end_headers()
        while line := self.rfile.readline():
            self.wfile.write(line)
        self.close_connection = True

    def _body(self) -> bytes:
        if self.headers["Transfer-Encoding"] != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"]))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)


@dataclass(kw_only=True)
class Street:
    """A client's way: a box, and two servers behind it."""

    box: Served[MiddleboxSettings]
    upstreams: tuple[Upstream, Upstream]
    certificates: Certificates
    open: list[HTTPSConnection] = field(default_factory=list)

    def connect(self) -> HTTPSConnection:
        context = ssl.create_default_context(cafile=self.certificates.ca)
        connection = HTTPSConnection(HOME, self.box.port, context=context, timeout=30)
        self.open.append(connection)
        return connection

    def get(self, path: str = "/", connection: HTTPSConnection | None = None) -> str:
        asked = connection or self.connect()
        asked.request("GET", path)
        return asked.getresponse().read().decode()

    def raw(self, alpn: tuple[str, ...] = ()) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=self.certificates.ca)
        if alpn:
            context.set_alpn_protocols(alpn)
        line = socket.create_connection((HOME, self.box.port), timeout=30)
        return context.wrap_socket(line, server_hostname=HOME)


def http1(certificates: Certificates, *upstreams: Upstream) -> MiddleboxSettings:
    return MiddleboxSettings(
        mode="http1",
        upstreams=tuple(one.place for one in upstreams),
        certificate=certificates.server_certificate,
        key=certificates.server_key,
        upstream_ca=certificates.ca,
    )


def make_slow(street: Street, delay_s: float) -> None:
    places = tuple(one.place for one in street.upstreams)
    street.box.reconfigure(MiddleboxSettings(mode="slow_tls", upstreams=places, delay_s=delay_s))
