"""TLS by the C core alone protects as `ssl` does, and so does the fallback to `ssl`."""

import importlib
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest
import trustme

from kubelag.kube.lean import tls as lean
from kubelag.kube.lean.sockets import new_socket

Connect = Callable[..., "lean.TlsSocket"]


@pytest.fixture(params=["core", "usual"])
def module(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module as it is, and as it is where Python has no such core."""
    if request.param == "usual":
        monkeypatch.setitem(sys.modules, "_ssl", None)
        importlib.reload(lean)
    yield lean
    monkeypatch.undo()
    importlib.reload(lean)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who signs the server's certificate."""
    return trustme.CA()


@pytest.fixture
def port(authority: trustme.CA) -> Iterator[int]:
    """A server that says what it hears, with a certificate for one name and one address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    authority.issue_cert("api.example.com", "127.0.0.1").configure_cert(context)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(raw, server_side=True) as connection:
                    connection.sendall(connection.recv(100))
                    connection.unwrap()
            except OSError:
                raw.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield int(listener.getsockname()[1])
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def connect(module: ModuleType, port: int, authority: trustme.CA | None, name: str) -> object:
    context = module.new_context(("http/1.1",))
    if authority is None:
        module.trust_anything(context)
    else:
        context.load_verify_locations(cadata=authority.cert_pem.bytes().decode())
    sock = new_socket(socket.AF_INET, socket.SOCK_STREAM, 0)
    sock.settimeout(10)
    sock.connect(("127.0.0.1", port))
    secure = module.TlsSocket(sock, context, name)
    try:
        secure.shake_hands()
        secure.sendall(b"hello")
        return secure.recv(100), secure.recv(100), secure.protocol, secure.version
    finally:
        secure.close()


@pytest.mark.parametrize("name", ["api.example.com", "127.0.0.1"])
def test_who_is_trusted_is_talked_to(
    module: ModuleType, port: int, authority: trustme.CA, name: str
) -> None:
    assert connect(module, port, authority, name) == (b"hello", b"", "http/1.1", "TLSv1.3")


@pytest.mark.parametrize("name", ["other.example.com", "127.0.0.2"])
def test_a_wrong_name_is_refused(
    module: ModuleType, port: int, authority: trustme.CA, name: str
) -> None:
    with pytest.raises(module.DistrustError) as refused:
        connect(module, port, authority, name)
    assert "mismatch" in refused.value.verify_message


def test_an_unknown_authority_is_refused(module: ModuleType, port: int) -> None:
    with pytest.raises(module.DistrustError) as refused:
        connect(module, port, trustme.CA(), "127.0.0.1")
    assert "issuer" in refused.value.verify_message or "signed" in refused.value.verify_message


def test_only_when_told_so_anything_is_trusted(module: ModuleType, port: int) -> None:
    assert connect(module, port, None, "whatever.example.com") == (
        *(b"hello", b""),
        *("http/1.1", "TLSv1.3"),
    )


def test_its_context_demands_certificate_and_name(module: ModuleType) -> None:
    context = module.new_context(("h2",))
    assert (context.check_hostname, int(context.verify_mode)) == (True, int(ssl.CERT_REQUIRED))
    assert int(context.minimum_version) == int(ssl.TLSVersion.TLSv1_2)
