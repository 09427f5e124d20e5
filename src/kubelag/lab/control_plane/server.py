"""The process of the embedded API server: `python -m kubelag.lab.control_plane.server DIR`.

DIR is private and holds `server.json`, the certificates and the tokens. The listening socket is
inherited, so that a client may connect before the server is ready, and no port is ever guessed.
SIGHUP makes it read `server.json` again, and act on it at once.
"""

import asyncio
import gc
import logging
import signal
import socket
import ssl
import sys
import time
from contextvars import ContextVar
from pathlib import Path
from typing import Any, cast

import msgspec
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config

from kubelag.lab.control_plane.asgi import LabApplication
from kubelag.lab.control_plane.builtin import load_builtin
from kubelag.lab.control_plane.certificates import Certificates
from kubelag.lab.control_plane.core import ApiServer
from kubelag.lab.control_plane.identity import Identity, certificate_identity
from kubelag.lab.control_plane.options import CONFIRMATION_FILE, SETTINGS_FILE, ServerSettings
from kubelag.lab.control_plane.tether import tie_to_parent
from kubelag.lab.control_plane.tokens import read_tokens
from kubelag.lab.private_files import write_private

STREAMS = 250
"""Streams per HTTP/2 connection. Source: `MaxConcurrentStreams` of kube-apiserver."""
IDLE_S = 90.0
"""How long an idle connection is kept; longer than any client of the lab idles."""
NEVER = 2**31
"""Requests after which a connection would be closed."""


def main() -> None:
    """Serve until told to end."""
    directory = Path(sys.argv[1])
    settings = _read_settings(directory)
    if settings.parent_pid is not None:
        tie_to_parent(settings.parent_pid)
    listener = socket.socket(fileno=settings.listen_fd)
    server = _build(directory, settings)
    gc.freeze()  # what was built now lives as long as the process
    asyncio.run(_serve(server, listener, directory))


def _read_settings(directory: Path) -> ServerSettings:
    return msgspec.json.decode((directory / SETTINGS_FILE).read_bytes(), type=ServerSettings)


def _build(directory: Path, settings: ServerSettings) -> ApiServer:
    return ApiServer(
        settings.options,
        load_builtin(),
        tokens=read_tokens(directory),
        members=settings.members,
        number=settings.number,
        started_s=settings.started_s,
    )


async def _serve(server: ApiServer, listener: socket.socket, directory: Path) -> None:
    certificate: ContextVar[Identity | None] = ContextVar("certificate", default=None)
    lab = LabApplication(server, certificate, time.time)
    application = ASGIWrapper(cast("Any", lab))
    config = _config(Certificates.below(directory))
    loop = asyncio.get_running_loop()
    context = WorkerContext(None)

    async def serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # every task of this connection inherits the context, and with it the identity
        peer = writer.get_extra_info("ssl_object").getpeercert()
        certificate.set(certificate_identity(peer))
        await TCPServer(application, loop, config, context, {}, reader, writer)

    def reread_settings() -> None:
        # what is on its way is answered as it was meant; connections stay
        settings = _read_settings(directory)
        lab.server = _build(directory, settings)
        write_private(directory / CONFIRMATION_FILE, str(settings.generation))

    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, reread_settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    loop.set_exception_handler(_log_all_but_handshakes)
    tls = config.create_ssl_context()
    running = await asyncio.start_server(serve_connection, sock=listener, ssl=tls)
    await ended.wait()
    # nobody is owed an answer: the lab goes down, and its clients with it
    running.close()


def _config(certificates: Certificates) -> Config:
    config = Config()
    config.certfile = str(certificates.server_certificate)
    config.keyfile = str(certificates.server_key)
    config.ca_certs = str(certificates.ca)
    config.verify_mode = ssl.CERT_OPTIONAL
    config.h2_max_concurrent_streams = STREAMS
    config.keep_alive_timeout = IDLE_S
    config.keep_alive_max_requests = NEVER
    config.include_server_header = False
    return config


def _log_all_but_handshakes(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    # clients that break off or distrust us are none of the lab's trouble
    if not isinstance(context.get("exception"), OSError):
        loop.default_exception_handler(context)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    main()
