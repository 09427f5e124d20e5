"""A server behind a counter: every request of every client, whatever library sends it."""

import http.client
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

from kubelag.lab.control_plane.certificates import Certificates
from kubelag.lab.control_plane.handle import ControlPlane

_HOP_HEADERS = frozenset({"connection", "transfer-encoding", "keep-alive", "content-length"})
_PARTS_OF_DISCOVERY = 3
"""Slashes in `/apis/GROUP/VERSION`; what is below is no discovery."""


@dataclass(kw_only=True)
class Counted:
    """A server and what was asked of it since the last look."""

    url: str
    kubeconfig: Path
    paths: list[str] = field(default_factory=list)

    def take(self) -> list[str]:
        """The paths asked for since, without queries or slashes at the end."""
        taken, self.paths[:] = list(self.paths), []
        return taken

    def take_discovery(self) -> list[str]:
        """Those that ask what the server offers."""
        return [path for path in self.take() if is_discovery(path)]


def is_discovery(path: str) -> bool:
    """`/api`, `/apis`, a group's, or a group-version's document."""
    return path in {"/api", "/apis", "/api/v1"} or (
        path.startswith("/apis/") and path.count("/") <= _PARTS_OF_DISCOVERY
    )


@contextmanager
def counted(control_plane: ControlPlane, directory: Path) -> Iterator[Counted]:
    """Passes requests on, as the administrator; plain HTTP, so that it can look at them."""
    paths: list[str] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(control_plane, paths)) as listener:
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{listener.server_port}"
        kubeconfig = directory / "kubeconfig.yaml"
        kubeconfig.write_text(yaml.safe_dump(_config(url)))
        yield Counted(url=url, kubeconfig=kubeconfig, paths=paths)
        listener.shutdown()
        thread.join()


def _config(url: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": url}}],
        "users": [{"name": "test", "user": {}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }


def _handler(control_plane: ControlPlane, paths: list[str]) -> type[BaseHTTPRequestHandler]:
    certificates = Certificates.below(control_plane.directory)
    context = ssl.create_default_context(cafile=str(certificates.ca))
    context.load_cert_chain(certificates.client_certificate, certificates.client_key)
    port = int(control_plane.url.rpartition(":")[2])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 5
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            paths.append(self.path.partition("?")[0].rstrip("/"))
            onward = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=30)
            headers = {name: text for name, text in self.headers.items() if name.lower() != "host"}
            onward.request("GET", self.path, headers=headers)
            answer = onward.getresponse()
            body = answer.read()
            onward.close()
            self.send_response(answer.status)
            for name, text in answer.getheaders():
                if name.lower() not in _HOP_HEADERS:
                    self.send_header(name, text)
            if answer.status != http.HTTPStatus.NOT_MODIFIED:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as its base
            """Say nothing."""

    return Handler
