"""Makes a connection: name, addresses, proxy, TLS, each timed and told.

Where a name has several addresses they are raced as RFC 8305 has it, so that a dead first one
costs a quarter of a second and not a minute.
"""

import errno
import os
import select
import time

from kubelag.errors import KubeconfigError, TransportError
from kubelag.kube.lean.sockets import connect_error, look_up, new_socket, numeric, set_no_delay
from kubelag.kube.lean.tls import TlsError, TlsSocket
from kubelag.kube.record import Record
from kubelag.kube.transport.events import Phase, Waiting, no_observer
from kubelag.kube.transport.tls import HTTP1, HTTP2, TlsSettings, handshake_error, make_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket as Socket  # noqa: N812 - a class
    from typing import Any

    from kubelag.kube.auth.credentials import ClientCertificate
    from kubelag.kube.transport.endpoint import Endpoint
    from kubelag.kube.transport.events import Observer, PhaseKind

_SIGN_S = 1.0
"""How long nothing may happen before somebody is told that we wait. Arbitrary."""
HEAD_START_S = 0.3
"""How long an address is tried before the next one is tried beside it. Go's `net.Dialer` waits as
long (`FallbackDelay`)."""


class Route(Record):
    """How connections to one server are made."""

    server: "Endpoint"
    proxy: "Endpoint | None" = None
    tls: "TlsSettings | None" = None
    """None for plain HTTP."""
    connect_s: float = 10.0
    """For name, connection, proxy and handshake together. Arbitrary; Go's default transport gives
    30 s to the connection and 10 s to the handshake."""


class Line(Record):
    """A connection that is ready for HTTP."""

    socket: "Socket | TlsSocket"
    protocol: str
    """`h2` or `http/1.1`."""
    address: str
    """The peer's, as `ADDRESS:PORT`."""


class Dialer:
    """Makes connections along one route.

    Args:
        route: Where to, and how.
        certificate: The client's; may be exchanged later, new connections then take the new one.
        observe: Told every phase.
    """

    def __init__(
        self,
        route: Route,
        certificate: "ClientCertificate | None" = None,
        observe: "Observer" = no_observer,
    ) -> None:
        self.route = route
        self._observe = observe
        self._contexts: dict[tuple[str, ...], tuple[object, Any]] = {}
        self._certificate = certificate

    def use_certificate(self, certificate: "ClientCertificate | None") -> None:
        """Present this one from the next connection on."""
        self._certificate = certificate

    def connect(self, connection: int, deadline_s: float = float("inf"), *, for_many: bool) -> Line:
        """A new connection, ready for HTTP.

        Args:
            connection: Its number, for the observer.
            deadline_s: When it must be there at the latest; `time.monotonic` seconds.
            for_many: Whether it is to carry many requests at a time, for which HTTP/2 is offered.
                A single one gains nothing by it, and HTTP/1.1 is loaded and spoken sooner.

        Raises:
            TransportError: If it cannot be made, naming the host and what failed.
            KubeconfigError: If a certificate cannot be used.
        """
        protocols = self._protocols(for_many=for_many)
        context = self._tls_context(protocols)
        deadline = min(deadline_s, time.monotonic() + self.route.connect_s)
        first = self.route.proxy or self.route.server
        sock, address = self._reach(first, connection, deadline)
        try:
            set_no_delay(sock)
            if self.route.proxy is not None:
                self._tunnel(sock, self.route.proxy, connection, deadline)
            if self.route.tls is None:
                return Line(socket=sock, protocol=HTTP1, address=address)
            return self._encrypt(sock, context, address, connection, deadline)
        except BaseException:
            sock.close()
            raise

    def _protocols(self, *, for_many: bool) -> tuple[str, ...]:
        has_http2 = self.route.tls is not None and self.route.tls.has_http2
        return (HTTP2, HTTP1) if for_many and has_http2 else (HTTP1,)

    def _tls_context(self, protocols: tuple[str, ...]) -> "Any":  # noqa: ANN401 - of the C core
        """The context for the certificate of now; kept, since making it takes 2 ms."""
        if self.route.tls is None:
            return None
        certificate = self._certificate
        made_for, context = self._contexts.get(protocols, (None, None))
        if context is None or made_for is not certificate:
            context = make_context(self.route.tls, certificate, protocols)
            self._contexts[protocols] = certificate, context
        return context

    def _reach(self, first: "Endpoint", connection: int, deadline: float) -> "tuple[Socket, str]":
        addresses = self._addresses(first, connection, deadline)
        beat = self._beat(first)
        race = _Race(addresses, self._teller("connect", connection), beat)
        sock = race.run(deadline)
        if sock is not None:
            return sock, race.winner
        raise TransportError(f"no connection to {first.authority}: {race.why()}", _UNREACHABLE)

    def _addresses(
        self, first: "Endpoint", connection: int, deadline: float
    ) -> "list[tuple[Any, ...]]":
        if literal := numeric(first.host, first.port):
            return literal
        if ":" in first.host:
            return self._literal(first)
        tell = self._teller("dns", connection)
        began = time.perf_counter_ns()
        found = _in_time(first.host, first.port, deadline)
        if isinstance(found, list):
            listed = ", ".join(dict.fromkeys(str(one[4][0]) for one in found))
            tell(began, f"{first.host}: {listed}", is_failure=False)
            return found
        tell(began, f"{first.host}: {found}", is_failure=True)
        raise TransportError(
            f"the name {first.host} was not found: {found}",
            "check the server's name in the kubeconfig, and /etc/resolv.conf",
        )

    def _literal(self, first: "Endpoint") -> "list[tuple[Any, ...]]":
        try:
            return list(look_up(first.host, first.port))
        except OSError as error:
            raise TransportError(
                f"{first.host} is no address here ({_said(error)})",
                "check the server in the kubeconfig, and the interface behind the %",
            ) from error

    def _tunnel(self, sock: "Socket", proxy: "Endpoint", connection: int, deadline: float) -> None:
        tell = self._teller("proxy", connection)
        began = time.perf_counter_ns()
        try:
            _limit(sock, deadline)
            if self.route.tls is not None or proxy.scheme.startswith("socks"):
                from kubelag.kube.transport.proxy import open_tunnel  # noqa: PLC0415 -- rare

                open_tunnel(sock, proxy, self.route.server, lambda: _limit(sock, deadline))
        except OSError as error:
            tell(began, proxy.authority, is_failure=True)
            raise TransportError(
                f"the proxy {proxy.authority} gave no way through ({_said(error)})",
                "check that it is alive, or spare this server with NO_PROXY",
            ) from error
        tell(began, proxy.authority, is_failure=False)

    def _encrypt(
        self,
        sock: "Socket",
        context: "Any",  # noqa: ANN401 - of the C core
        address: str,
        connection: int,
        deadline: float,
    ) -> Line:
        host, settings = self.route.server.authority, self.route.tls
        tell = self._teller("tls", connection)
        began = time.perf_counter_ns()
        if settings is None:
            raise AssertionError
        try:
            wrapped = _wrapped(sock, context, settings)
            self._shake_hands(wrapped, deadline)
        except TlsError as error:
            tell(began, str(error.reason or error), is_failure=True)
            raise handshake_error(error, host, settings) from error
        except OSError as error:
            tell(began, _said(error), is_failure=True)
            raise TransportError(
                f"TLS with {host} did not come about ({_said(error)})",
                "the port answers and then is silent: look for a wrong port, a dead server behind "
                "a load balancer, a proxy, or packets larger than the path takes",
            ) from error
        protocol = wrapped.protocol or HTTP1
        tell(began, f"{wrapped.version} {protocol}", is_failure=False)
        return Line(socket=wrapped, protocol=protocol, address=address)

    def _shake_hands(self, sock: TlsSocket, deadline: float) -> None:
        beat = self._beat(self.route.server)
        while True:
            left_s = deadline - time.monotonic()
            sock.settimeout(max(0.001, min(left_s, _SIGN_S)))
            try:
                return sock.shake_hands()
            except TimeoutError:
                if left_s <= _SIGN_S:
                    raise
                beat()

    def _beat(self, to: "Endpoint") -> "Callable[[], None]":
        """What tells, every second, that a connection is still being made."""
        began = time.monotonic()

        def beat() -> None:
            waited_s = time.monotonic() - began
            self._observe(Waiting(server=to.authority, waited_s=waited_s, answers=0))

        return beat

    def _teller(self, kind: "PhaseKind", connection: int) -> "_Tell":
        return _Tell(self._observe, kind, connection)


class _Tell:
    """Tells the observer of one kind of phase of one connection."""

    def __init__(self, observe: "Observer", kind: "PhaseKind", connection: int) -> None:
        self._observe, self._kind, self._connection = observe, kind, connection

    def __call__(self, began_ns: int, detail: str, *, is_failure: bool) -> None:
        self._observe(
            Phase(
                kind=self._kind,
                began_ns=began_ns,
                ended_ns=time.perf_counter_ns(),
                connection=self._connection,
                detail=detail,
                is_failure=is_failure,
            )
        )


class _Race:
    """Tries addresses one beside the other, a head start apart; the first to connect wins."""

    def __init__(
        self, addresses: "list[tuple[Any, ...]]", tell: _Tell, beat: "Callable[[], None]"
    ) -> None:
        self._waiting = list(addresses)
        self._tell = tell
        self._beat = beat
        self._running: dict[int, tuple[Socket, str, int]] = {}
        self._failed: list[str] = []
        self._poll = select.poll()
        self.winner = ""

    def run(self, deadline: float) -> "Socket | None":
        """The connected socket; None where no address took the connection in time."""
        try:
            while self._waiting or self._running:
                if self._waiting and (sock := self._start()):
                    return sock
                if sock := self._wait(deadline):
                    return sock
                if time.monotonic() >= deadline:
                    return None
            return None
        finally:
            for sock, address, began in self._running.values():
                sock.close()
                self._tell(began, f"{address}: gave up", is_failure=True)
                self._failed.append(f"{address}: no answer")

    def why(self) -> str:
        """A clause on every address that failed."""
        return "; ".join(dict.fromkeys(self._failed)) or "it has no address"

    def _start(self) -> "Socket | None":
        family, kind, protocol, _, place = self._waiting.pop(0)
        address = f"[{place[0]}]:{place[1]}" if ":" in place[0] else f"{place[0]}:{place[1]}"
        began = time.perf_counter_ns()
        try:
            sock = new_socket(family, kind, protocol)
        except OSError as error:
            self._failed.append(f"{address}: {_said(error)}")
            return None
        sock.settimeout(0.0)
        self._running[sock.fileno()] = sock, address, began
        code = sock.connect_ex(place)
        if code == errno.EINPROGRESS:
            self._poll.register(sock, select.POLLOUT)
            return None
        return self._settle(sock.fileno(), code)

    def _wait(self, deadline: float) -> "Socket | None":
        left_s = deadline - time.monotonic()
        # The next address is tried when this one had its head start, or as soon as it fails.
        wait_s = min(left_s, HEAD_START_S) if self._waiting else left_s
        if not self._running:
            return None
        ready = self._poll.poll(max(0.0, min(wait_s, _SIGN_S) * 1000))
        if not ready and wait_s > _SIGN_S:
            self._beat()
        for fd, _ in ready:
            self._poll.unregister(fd)
            code = connect_error(self._running[fd][0])
            if sock := self._settle(fd, code):
                return sock
        return None

    def _settle(self, fd: int, code: int) -> "Socket | None":
        sock, address, began = self._running.pop(fd)
        if code == 0:
            self.winner = address
            self._tell(began, address, is_failure=False)
            return sock
        sock.close()
        why = os.strerror(code).lower()
        self._tell(began, f"{address}: {why}", is_failure=True)
        self._failed.append(f"{address}: {why}")
        return None


def _in_time(host: str, port: int, deadline: float) -> "list[tuple[Any, ...]] | str":
    """The name's addresses, or why there are none; the resolver itself cannot be interrupted."""
    import _thread  # noqa: PLC0415 -- `threading` would cost 2 ms more

    answer: list[list[tuple[Any, ...]] | str] = []
    done = _thread.allocate_lock()
    done.acquire()

    def ask() -> None:
        try:
            answer.append(look_up(host, port))
        except (OSError, UnicodeError) as error:
            answer.append(getattr(error, "strerror", None) or str(error))
        finally:
            done.release()

    _thread.start_new_thread(ask, ())
    if done.acquire(timeout=max(0.0, deadline - time.monotonic())):
        return answer[0]
    return "the name servers gave no answer in time"


def _wrapped(sock: "Socket", context: "Any", settings: TlsSettings) -> TlsSocket:  # noqa: ANN401 - of the C core
    try:
        return TlsSocket(sock, context, settings.server_name)
    except ValueError as error:  # UnicodeError too
        raise KubeconfigError(
            f"{settings.server_name!r} can be no name of a certificate",
            "correct the server, or tls-server-name",
        ) from error


def _limit(sock: "Socket", deadline: float) -> None:
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    sock.settimeout(left_s)


def _said(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (error.strerror or str(error)).lower()


_UNREACHABLE = "check the server in the kubeconfig, and that the way to it is open"
