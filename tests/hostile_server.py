"""Servers and proxies that misbehave on purpose, over TCP and TLS, and kubeconfigs for them."""

import base64
import contextlib
import datetime as dt
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme

JSON = "application/json"
GROUPS = ("apps",)
_LONGEST_HEAD_BYTES = 1 << 20
TIMEOUT_S = 30.0


@dataclass
class Exchange:
    """One request, and the connection on which it may be answered."""

    line: socket.socket
    head: str
    is_over: bool = False

    @property
    def method(self) -> str:
        return self.head.split(" ", 1)[0]

    @property
    def target(self) -> str:
        """Path and query."""
        return self.head.split(" ", 2)[1]

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def header(self, name: str) -> str:
        """Its value; empty where it was not sent."""
        for line in self.head.split("\r\n")[1:]:
            given, _, value = line.partition(":")
            if given.lower() == name.lower():
                return value.strip()
        return ""

    def send(self, data: bytes) -> None:
        """These bytes as they are."""
        self.line.sendall(data)

    def hang_up(self, data: bytes = b"") -> None:
        """These bytes, and then the connection's end."""
        self.send(data)
        self.is_over = True

    def answer(
        self, status: int = 200, body: bytes | str = b"", kind: str = JSON, **headers: str
    ) -> None:
        """A whole answer; underscores in header names become dashes."""
        data = body.encode() if isinstance(body, str) else body
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(data)}"]
        lines += [f"Content-Type: {kind}"] if kind else []
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send("\r\n".join([*lines, "", ""]).encode() + data)

    def answer_json(self, document: object, status: int = 200, **headers: str) -> None:
        """A JSON document."""
        self.answer(status, json.dumps(document), **headers)


Answer = Callable[[Exchange], None]


class HostileServer:
    """Listens on 127.0.0.1; answers as it is told, each connection in a thread of its own.

    Args:
        answer: Deals with one request.
        tls: None for plain TCP.
        greet: Deals with a new connection before anything was read from it, TLS done.
        is_deaf: Whether connections are taken and then nothing at all is done with them.
    """

    def __init__(
        self,
        answer: Answer | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        greet: Callable[[socket.socket], None] | None = None,
        is_deaf: bool = False,
    ) -> None:
        self._answer = answer
        self._tls = tls
        self._greet = greet
        self._is_deaf = is_deaf
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.heads: list[Exchange] = []
        """Every request, in the order in which they came."""
        self.ended = threading.Event()
        self.connected = threading.Event()
        """Somebody has connected."""
        self.asked = threading.Event()
        """Somebody has sent a request."""
        self._start(self._accept)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def targets(self) -> list[str]:
        """Of every request."""
        return [one.target for one in self.heads]

    @property
    def paths(self) -> list[str]:
        return [one.path for one in self.heads]

    def is_deserted(self) -> bool:
        """Whether every client hangs up, or has; waits for it a while."""
        _, *serving = self._threads
        for thread in serving:
            thread.join(TIMEOUT_S)
        return not any(thread.is_alive() for thread in serving)

    def close(self) -> None:
        """Let go of everything, and wait for the threads."""
        self.ended.set()
        # Closing would not wake `accept`.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for line in list(self._open):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(TIMEOUT_S)
        self._listener.close()
        for line in self._open:
            line.close()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.ended.is_set():
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(line)
            self.connected.set()
            if not self._is_deaf:
                self._start(self._serve, line)

    def _serve(self, line: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            line.settimeout(TIMEOUT_S)
            if self._tls is not None:
                line = self._tls.wrap_socket(line, server_side=True)
                self._open.append(line)
            if self._greet is not None:
                self._greet(line)
            self._converse(line)
        # What was sent must arrive, so no reset: say that nothing more comes.
        with contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)
        line.close()

    def _converse(self, line: socket.socket) -> None:
        while self._answer is not None and (head := read_head(line)):
            exchange = Exchange(line, head)
            self.heads.append(exchange)
            self.asked.set()
            self._answer(exchange)
            if exchange.is_over:
                return
        if self._answer is None:
            self.ended.wait(TIMEOUT_S)


def read_head(line: socket.socket) -> str:
    """A request's head without its last empty line; empty where nothing whole comes."""
    read = b""
    while b"\r\n\r\n" not in read:
        piece = line.recv(65536)
        if not piece or len(read) > _LONGEST_HEAD_BYTES:
            return ""
        read += piece
    return read.partition(b"\r\n\r\n")[0].decode("latin-1")


@dataclass(frozen=True)
class Authority:
    """Signs certificates for servers, and is trusted by kubeconfigs."""

    ca: trustme.CA = field(default_factory=trustme.CA)

    @property
    def pem(self) -> bytes:
        return self.ca.cert_pem.bytes()

    def server(self, *names: str, ends: dt.datetime | None = None) -> ssl.SSLContext:
        """A server's context with a certificate for these names, which speaks HTTP/1.1 only."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        self.ca.issue_cert(*(names or ("127.0.0.1", "localhost")), not_after=ends).configure_cert(
            context
        )
        return context


def kubeconfig(
    directory: Path,
    server: str,
    ca: bytes = b"",
    user: Mapping[str, Any] | None = None,
    **cluster: Any,
) -> Path:
    """Write a kubeconfig for one server; JSON, which is YAML too."""
    trusted = {"certificate-authority-data": base64.b64encode(ca).decode()} if ca else {}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server, **trusted, **cluster}}],
        "users": [{"name": "u", "user": dict(user or {})}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path = directory / "kubeconfig.json"
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    return path


def resource(name: str, kind: str, **fields: Any) -> dict[str, Any]:
    """An `APIResource`."""
    plain = {"name": name, "singularName": "", "namespaced": False, "kind": kind}
    return {**plain, "verbs": ["get", "list"], **fields}


NODES = resource("nodes", "Node", shortNames=["no"])
PODS = resource("pods", "Pod", namespaced=True, shortNames=["po"])
DEPLOYMENTS = resource("deployments", "Deployment", namespaced=True, shortNames=["deploy"])
VERSIONS = {"kind": "APIVersions", "versions": ["v1"]}
GROUP_LIST: dict[str, Any] = {
    "kind": "APIGroupList",
    "apiVersion": "v1",
    "groups": [
        {
            "name": "apps",
            "versions": [{"groupVersion": "apps/v1", "version": "v1"}],
            "preferredVersion": {"groupVersion": "apps/v1", "version": "v1"},
        }
    ],
}


def resource_list(group_version: str, *resources: Mapping[str, Any]) -> dict[str, Any]:
    """An `APIResourceList`."""
    kind = {"kind": "APIResourceList", "apiVersion": "v1"}
    return {**kind, "groupVersion": group_version, "resources": list(resources)}


NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "node1", "creationTimestamp": "2026-01-01T00:00:00Z"},
}
NODE_TABLE: dict[str, Any] = {
    "kind": "Table",
    "apiVersion": "meta.k8s.io/v1",
    "metadata": {},
    "columnDefinitions": [{"name": "Name", "type": "string", "format": "name", "priority": 0}],
    "rows": [{"cells": ["node1"], "object": {"kind": "PartialObjectMetadata", **NODE}}],
}
DOCUMENTS: dict[str, Any] = {
    "/api": VERSIONS,
    "/apis": GROUP_LIST,
    "/api/v1": resource_list("v1", NODES, PODS),
    "/apis/apps/v1": resource_list("apps/v1", DEPLOYMENTS),
    "/api/v1/nodes": NODE_TABLE,
    "/version": {"gitVersion": "v1.30.0"},
}
"""A server of two groups with one node, discovered as before 1.26."""


def well_behaved(special: Mapping[str, Answer] | None = None) -> Answer:
    """Answers as a small API server does, but for these paths."""

    def answer(exchange: Exchange) -> None:
        if special and exchange.path in special:
            special[exchange.path](exchange)
        elif exchange.path in DOCUMENTS:
            exchange.answer_json(DOCUMENTS[exchange.path])
        else:
            exchange.answer_json(status_object(404, "NotFound", "nothing is here"), 404)

    return answer


def in_turn(*answers: Answer) -> Answer:
    """The first request is answered by the first, and so on; the last one stays."""
    left = list(answers)

    def answer(exchange: Exchange) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(exchange)

    return answer


def status_object(code: int, reason: str, message: str) -> dict[str, Any]:
    """How an API server refuses."""
    kind = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return {**kind, "message": message, "reason": reason, "code": code}


def refuses(code: int, reason: str, message: str = "not today", **headers: str) -> Answer:
    """Answers with such a refusal."""
    document = status_object(code, reason, message)
    return lambda exchange: exchange.answer_json(document, code, **headers)


@contextmanager
def serving(answer: Answer | None = None, **options: Any) -> Iterator[HostileServer]:
    """A hostile server for the time being."""
    server = HostileServer(answer, **options)
    try:
        yield server
    finally:
        server.close()


def tree(root: Path) -> Sequence[str]:
    """Every file below, by its path relative to it."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
