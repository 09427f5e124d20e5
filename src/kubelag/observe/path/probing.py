"""One connection to one address, stage by stage, each with its own limit.

No credential is ever sent: neither a header nor a client certificate. A certificate that is not
trusted ends a probe that verifies; a probe that does not verify learns what the certificate is.
"""

import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from kubelag.errors import KubelagError
from kubelag.kube.transport.endpoint import Endpoint
from kubelag.kube.transport.http1 import Http1
from kubelag.kube.transport.http2 import Http2
from kubelag.kube.transport.messages import Broken, Head, ProtocolError, Request
from kubelag.kube.transport.proxy import open_tunnel
from kubelag.kube.transport.tls import HTTP1, HTTP2, TlsSettings
from kubelag.model.path import AddressProbe, Hop
from kubelag.observe.path.certificate import read_certificate
from kubelag.observe.path.places import is_literal, split_place
from kubelag.observe.sock_diag import SocketListError, parse_tcp_info

if TYPE_CHECKING:
    from kubelag.kube.transport.messages import Conversation

_IP_MTU, _IPV6_MTU = 14, 24
"""From linux/in.h and linux/in6.h; Python does not name them."""
_TCP_INFO_BYTES = 104
"""What every kernel tells of a connection; newer ones would tell more."""
_READ_BYTES = 65536
_PATH = "/version"
# Not /livez: a health check is exempt from queues and answered by a server that is slow otherwise.

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long each stage may take.

    A SYN is sent again after 1 s and after 3 s, so that one or two lost ones still show as slow
    rather than dead. The others are arbitrary: long enough for a server that is slow, and short
    enough that all of the looking has an end.
    """

    connect_s: float = 3.3
    proxy_s: float = 4.0
    tls_s: float = 4.0
    answer_s: float = 4.0
    deadline_s: float = float("inf")
    """When all must be over; `time.monotonic` seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What to connect to, and how."""

    address: str
    """`IP:port` to dial."""
    hop: Hop
    server: Endpoint
    """Whom to ask, for CONNECT and the Host header."""
    proxy: Endpoint | None = field(default=None, repr=False)
    """Where the address is a proxy's."""
    tls: TlsSettings | None = field(default=None, repr=False)
    """None for plain HTTP."""
    is_verified: bool = True
    segment_limit_bytes: int | None = None
    limits: Limits = Limits()


def probe_address(probe: Probe) -> AddressProbe:
    """Connect, and go as far as it goes; never raises for what the network does."""
    return _Attempt(probe).run()


class _Attempt:
    """One probe while it runs."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._sock: socket.socket | None = None
        self._seen = AddressProbe(
            address=probe.address,
            hop=probe.hop,
            at_ns=time.time_ns(),
            segment_limit_bytes=probe.segment_limit_bytes,
        )

    def run(self) -> AddressProbe:
        began_ns = time.perf_counter_ns()
        try:
            self._sock = sock = self._connected()
            self._tunnel(sock)
            if self._probe.tls is not None:
                self._sock = sock = self._secured(sock, self._probe.tls)
            self._ask(sock)
        except (OSError, KubelagError, ProtocolError, ValueError) as error:
            self._seen = replace(self._seen, error=_why(error))
        finally:
            took_ns = time.perf_counter_ns() - began_ns
            if self._sock is not None:
                self._read_kernel(self._sock)
                self._sock.close()
        return replace(self._seen, took_ns=took_ns)

    def _connected(self) -> socket.socket:
        host, port = split_place(self._probe.address)
        if not is_literal(host):
            raise OSError(f"the name {host} was not found")
        family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        self._sock = sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if (limit := self._probe.segment_limit_bytes) is not None:
            # Before connecting, so that our SYN tells the other end too.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, limit)
        took_ns, _ = self._timed("connect", sock, lambda: sock.connect(place))
        self._seen = replace(self._seen, connect_ns=took_ns)
        return sock

    def _tunnel(self, sock: socket.socket) -> None:
        proxy, probe = self._probe.proxy, self._probe
        if proxy is None or _is_forwarded(probe):
            return
        until_s = time.monotonic() + probe.limits.proxy_s

        def go() -> None:
            open_tunnel(sock, proxy, probe.server, lambda: self._limit("proxy", sock, until_s))

        took_ns, _ = self._timed("proxy", sock, go)
        self._seen = replace(self._seen, tunnel_ns=took_ns)

    def _secured(self, sock: socket.socket, settings: TlsSettings) -> ssl.SSLSocket:
        context = _context(settings, is_verified=self._probe.is_verified)
        line = context.wrap_socket(
            sock, server_hostname=settings.server_name, do_handshake_on_connect=False
        )
        self._sock = line
        took_ns, _ = self._timed("tls", line, line.do_handshake)
        self._seen = replace(
            self._seen,
            tls_ns=took_ns,
            tls_version=line.version() or "",
            protocol=line.selected_alpn_protocol() or "",
            certificate=read_certificate(line.getpeercert(binary_form=True) or b""),
        )
        return line

    def _ask(self, sock: socket.socket) -> None:
        server = self._probe.server
        target = f"{server.prefix}{_PATH}"
        if _is_forwarded(self._probe):
            target = f"http://{server.authority}{target}"
        is_h2 = self._seen.protocol == HTTP2
        talk: Conversation = Http2(server.authority) if is_h2 else Http1(server.authority)
        talk.send(Request(target=target, headers=(("user-agent", "kubelag"),)))
        took_ns, status = self._timed("answer", sock, lambda: _status(sock, talk))
        self._seen = replace(self._seen, answer_ns=took_ns, status=status)

    def _timed(self, stage: str, sock: socket.socket, act: Callable[[], T]) -> tuple[int, T]:
        """How long it took, and what it returned."""
        self._limit(stage, sock, time.monotonic() + getattr(self._probe.limits, f"{stage}_s"))
        began_ns = time.perf_counter_ns()
        try:
            done = act()
        except TimeoutError as error:
            spent_s = (time.perf_counter_ns() - began_ns) / 1e9
            raise TimeoutError(f"{_SILENCES[stage]} within {spent_s:.1f} s") from error
        return time.perf_counter_ns() - began_ns, done

    def _limit(self, stage: str, sock: socket.socket, until_s: float) -> None:
        left_s = min(until_s, self._probe.limits.deadline_s) - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(f"{_SILENCES[stage]} in the time that was left")
        sock.settimeout(left_s)

    def _read_kernel(self, sock: socket.socket) -> None:
        """What the kernel knows of the connection; nothing where it is gone."""
        if sock.fileno() < 0 or self._seen.connect_ns is None:
            return
        is_v6 = sock.family == socket.AF_INET6
        level = socket.IPPROTO_IPV6 if is_v6 else socket.IPPROTO_IP
        try:
            told = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
            info = parse_tcp_info(told)
            mtu = sock.getsockopt(level, _IPV6_MTU if is_v6 else _IP_MTU)
        except (OSError, SocketListError):
            return
        self._seen = replace(
            self._seen,
            rtt_ns=info.rtt_us * 1000 or None,
            retransmissions=info.total_retrans,
            path_mtu_bytes=mtu,
            segment_bytes=info.snd_mss,
            congestion_window=info.snd_cwnd,
        )


_SILENCES = {
    "connect": "no answer to connecting",
    "proxy": "the proxy gave no answer",
    "tls": "TLS was not through",
    "answer": "no answer to the request",
}


def _context(settings: TlsSettings, *, is_verified: bool) -> ssl.SSLContext:
    """Trusts as the client does, or nobody and everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([HTTP2, HTTP1])
    if settings.is_insecure or not is_verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif settings.ca_pem:
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata=settings.ca_pem.decode("ascii", "ignore"))
    else:
        context.set_default_verify_paths()
    return context


def _is_forwarded(probe: Probe) -> bool:
    """Whether the proxy is asked for the document itself, as it is where there is no TLS."""
    return probe.proxy is not None and probe.tls is None and probe.proxy.scheme == "http"


def _status(sock: socket.socket, talk: "Conversation") -> int:
    """The answer's status, when its head has come."""
    while True:
        if data := talk.data_to_send():
            sock.sendall(data)
        piece = sock.recv(_READ_BYTES)
        for event in talk.receive(piece):
            if isinstance(event, Head):
                return event.status
            if isinstance(event, Broken):
                raise ConnectionError(event.why)
        if not piece:
            raise ConnectionError("the connection was closed without an answer")


def _why(error: Exception) -> str:
    """One clause."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message.rstrip('.').lower()}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return f"TLS failed: {error.reason.lower().replace('_', ' ')}"
    if isinstance(error, KubelagError):
        return error.message
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
